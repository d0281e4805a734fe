"""The sheet that is painted on, the view that frames it, and the ways to lay paint.

A `View` turns world units into pixels: one world unit is about one side of a
square picture, x grows to the right from the middle, heights are fractions of
the picture. Nothing else in the brush knows pixels. Colours are sRGB, 0 to 1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .noise import Field, patch, smoothstep
from .palette import Rgb


class View(msgspec.Struct, frozen=True):
    """Which part of the world is seen, and how large.

    `pan` moves the camera to the right, in world units; near things move by all of
    it, far ones less. `phase` (0 to 1) is the place in a loop of moving water and air.
    """

    width: int
    height: int
    pan: float = 0.0
    phase: float = 0.0

    @property
    def scale(self) -> float:
        """Pixels in a world unit."""
        usual = min(math.sqrt(self.width * self.height), 1.4 * min(self.width, self.height))
        return max(usual, self.width / 3)

    @property
    def lift(self) -> float:
        """What heights of land are multiplied by: less than 1 in very low, wide pictures."""
        return min(1.0, self.height / self.scale / 0.7)

    def xs(self, near: float = 0.0) -> Field:
        """World x of every column, for things at nearness 0 (far) to 1."""
        columns = np.arange(self.width, dtype=np.float32) + np.float32(0.5 - self.width / 2)
        return np.asarray(columns / np.float32(self.scale) + np.float32(self.pan * near))

    def ys(self) -> Field:
        """Fraction of the height of every row, 0 at the top."""
        return np.asarray((np.arange(self.height, dtype=np.float32) + 0.5) / self.height)

    def column(self, x: float, near: float = 0.0) -> float:
        """The pixel column of a world x."""
        return (x - self.pan * near) * self.scale + self.width / 2

    @property
    def left(self) -> float:
        """World x of the left edge when the camera stands still."""
        return -self.width / self.scale / 2

    def brush(
        self, tile: Field, across: float, down: float, near: float, rows: tuple[int, int], at: float
    ) -> Field:
        """A texture over some rows, fixed to the world; `across` and `down` in tiles a unit.

        `at` shifts the texture, so that layers that share a tile differ.
        """
        x = self.xs(near)
        half = 0.5 / self.scale
        top, bottom = rows[0] / self.scale, rows[1] / self.scale
        box = (
            (float(x[0]) - half) * across + at,
            top * down + at * 1.7,
            (float(x[-1]) + half) * across + at,
            bottom * down + at * 1.7,
        )
        return patch(tile, box, self.width, rows[1] - rows[0])


def blank(view: View, colour: Rgb) -> Field:
    """A sheet in one colour."""
    return np.full((view.height, view.width, 3), colour, np.float32)


def lay(sheet: Field, colour: Field | Rgb, mask: Field | float) -> None:
    """Paint `colour` where `mask` is 1, glaze it where less.

    Channel by channel: broadcasting a mask over three channels takes NumPy twice as long.
    """
    paint = np.asarray(colour, np.float32)
    cover = np.asarray(mask, np.float32)
    for i in range(3):
        channel = sheet[..., i]
        channel += (paint[..., i] - channel) * cover


def glow(sheet: Field, colour: Rgb, mask: Field) -> None:
    """Add light without ever passing white (screen)."""
    for i in range(3):
        sheet[..., i] += (1 - sheet[..., i]) * (mask * np.float32(colour[i]))


def shade(sheet: Field, mask: Field) -> None:
    """Multiply by 1 + `mask`: below 0 darkens, above lightens."""
    factor = 1 + mask
    for i in range(3):
        sheet[..., i] *= factor


class Stencil:
    """A mask drawn with Pillow at twice the size, in pixels of the view.

    Covers rows `top` to `bottom`; draw in whole-picture coordinates.
    """

    def __init__(self, view: View, top: float, bottom: float) -> None:
        self.top = max(0, min(view.height - 1, int(top)))
        self.bottom = max(self.top + 1, min(view.height, math.ceil(bottom)))
        self.width = view.width
        size = (view.width * 2, (self.bottom - self.top) * 2)
        self._image = Image.new("L", size, 0)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Field, tone: float = 1.0) -> None:
        """Fill an outline of (x, y) rows."""
        self._draw.polygon(_doubled(points, self.top), fill=int(tone * 255))

    def dot(self, x: float, y: float, radius: float, tone: float = 1.0) -> None:
        """Fill a disc."""
        x, y, r = x * 2, (y - self.top) * 2, radius * 2
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=int(tone * 255))

    def stroke(self, points: Field, width: float, tone: float = 1.0) -> None:
        """Draw a line through (x, y) rows; thin lines fade instead of vanishing."""
        thick = max(1, round(width * 2))
        fade = min(1.0, width * 2) * tone
        line = _doubled(points, self.top)
        # A rounded joint costs most of a stroke's time and shows only on thick ones.
        joint = "curve" if thick > 5 else None
        self._draw.line(line, fill=int(fade * 255), width=thick, joint=joint)

    @property
    def rows(self) -> slice:
        """The rows of the sheet that the mask belongs to."""
        return slice(self.top, self.bottom)

    def mask(self) -> Field:
        """What was drawn, 0 to 1, at the size of the view."""
        small = self._image.reduce(2)
        return np.asarray(small, np.float32) / np.float32(255)


class Sketch:
    """Opaque colours drawn with Pillow at twice the size, over rows `top` to `bottom`."""

    def __init__(self, view: View, top: float, bottom: float) -> None:
        self.top = max(0, min(view.height - 1, int(top)))
        self.bottom = max(self.top + 1, min(view.height, math.ceil(bottom)))
        self._image = Image.new("RGBA", (view.width * 2, (self.bottom - self.top) * 2))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Field, colour: Rgb) -> None:
        """Fill an outline of (x, y) rows."""
        self._draw.polygon(_doubled(points, self.top), fill=ink(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Rgb) -> None:
        """Fill an upright rectangle."""
        x0, y0, x1, y1 = left * 2, (top - self.top) * 2, right * 2, (bottom - self.top) * 2
        self._draw.polygon((x0, y0, x1, y0, x1, y1, x0, y1), fill=ink(colour))

    def oval(self, x: float, y: float, wide: float, tall: float, colour: Rgb) -> None:
        """Fill an upright ellipse with the given half axes."""
        x, y = x * 2, (y - self.top) * 2
        edges = (x - wide * 2, y - tall * 2, x + wide * 2, y + tall * 2)
        self._draw.ellipse(edges, fill=ink(colour))

    def stroke(self, points: Field, width: float, colour: Rgb) -> None:
        """Draw a line through (x, y) rows, at least half a pixel wide."""
        line = _doubled(points, self.top)
        self._draw.line(line, fill=ink(colour), width=max(1, round(width * 2)))

    def glow(self, part: int) -> Field:
        """The drawing's light, blurred, at one `part`-th of the size of its rows."""
        size = (max(2, self._image.width // 2 // part), max(2, self._image.height // 2 // part))
        small = self._image.convert("RGB").resize(size, Image.Resampling.BOX)
        blurred = small.filter(ImageFilter.GaussianBlur(max(1.0, size[0] / 90)))
        return np.asarray(blurred, np.float32) / np.float32(255)

    def lay(self, sheet: Field, strength: float = 1.0) -> None:
        """Put the drawing onto the sheet."""
        small = np.asarray(self._image.reduce(2), np.float32) * np.float32(strength / 255)
        part = sheet[self.top : self.bottom]
        lay(part, small[..., :3] / np.float32(strength), small[..., 3])


def _doubled(points: Field, top: int) -> list[float]:
    """Rows of (x, y) as Pillow's flat list, at twice the size, from row `top` on."""
    moved = np.array(points, np.float64)
    moved[:, 1] -= top
    moved *= 2
    flat: list[float] = moved.ravel().tolist()
    return flat


@lru_cache(1024)
def ink(colour: Rgb) -> tuple[int, int, int, int]:
    """An opaque colour as Pillow wants it."""
    red, green, blue = (round(min(1.0, max(0.0, part)) * 255) for part in colour)
    return (red, green, blue, 255)


def below(crest: Field, rows: tuple[int, int], rough: Field | float, soft: float = 1.0) -> Field:
    """1 under a crest line (pixel row of every column), its edge `soft` pixels wide.

    `rough` (pixels) moves the edge, which makes it brushed instead of cut.
    """
    y = np.arange(rows[0], rows[1], dtype=np.float32)[:, None] + np.float32(0.5)
    return smoothstep(-soft / 2, soft / 2, y - crest[None, :] + rough)
