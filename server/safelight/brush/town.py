"""Rows of houses: a modern skyline or old gables and towers, windows lit after dusk.

A row is walked from left to right in world units, so that it is the same street
at every size. Rows are laid from far to near, with air between them.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from .canvas import Sketch, View, lay
from .land import air, body_colour
from .noise import Field, enlarge, smoothstep
from .palette import Rgb, mix, tone
from .stage import Paints, Stage

Style = Literal["modern", "old"]


class Row(msgspec.Struct, frozen=True):
    """One row: `base` is a fraction of the height; `tall` and `wide` are world units.

    Houses reach down to the fraction `until`, from where something else covers them.
    """

    near: float
    base: float
    tall: float
    wide: float
    style: Style
    lit: float
    middle: float = 0.0
    until: float = 1.0


class _House(msgspec.Struct, frozen=True):
    left: float
    right: float
    top: float
    foot: float
    salt: int

    @property
    def wide(self) -> float:
        return self.right - self.left


def street(row: Row) -> Stage:
    """The stage that lays this row and the air in front of it."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        houses = _houses(view, paints, row)
        top = min((house.top - house.wide for house in houses), default=0.0)
        walls = Sketch(view, top - 0.1 * view.scale, row.until * view.height)
        lamps = Sketch(view, top, row.until * view.height)
        base = body_colour(picture, row.near)
        for house in houses:
            rng = np.random.Generator(np.random.PCG64(house.salt))
            colour = tone(base, float(rng.uniform(-0.03, 0.03)))
            if row.style == "old":
                colour = mix(colour, picture.palette.accent, float(rng.uniform(0, 0.14)))
                _old(walls, house, colour, rng, paints, row)
            else:
                _modern(walls, house, colour, rng, paints)
            _windows(lamps, house, rng, paints, row, view.scale)
        walls.lay(sheet)
        _light(sheet, view, lamps)
        _air(sheet, view, paints, row)

    return paint


def _houses(view: View, paints: Paints, row: Row) -> list[_House]:
    rng = paints.composition.rng("street", row.near)
    houses, x = [], -1.75
    foot = row.base * view.height
    while x < 1.75:
        wide = row.wide * rng.uniform(0.55, 1.35)
        hill = 0.42 + 0.58 * np.exp(-(((x + wide / 2 - row.middle) / 0.42) ** 2))
        tall = (
            row.tall * hill * rng.uniform(0.45, 1.1)
            if row.style == "modern"
            else (row.tall * (0.75 + 0.25 * hill) * rng.uniform(0.7, 1.05))
        )
        left, right = view.column(x, row.near), view.column(x + wide, row.near)
        salt = int(rng.integers(0, 2**32))
        if right > -40 and left < view.width + 40:
            houses.append(_House(left, right, foot - tall * view.scale * view.lift, foot, salt))
        gap = 0.12 if row.style == "modern" else -0.02
        x += wide * (1 + max(0.0, gap * rng.uniform(-0.6, 1.4)))
    return houses


def _modern(
    walls: Sketch, house: _House, colour: Rgb, rng: np.random.Generator, paints: Paints
) -> None:
    left, right, top, wide = house.left, house.right, house.top, house.wide
    kind = rng.random()
    if kind < 0.25:
        inset = wide * rng.uniform(0.12, 0.28)
        walls.box(left + inset, top - wide * rng.uniform(0.3, 0.7), right - inset, top, colour)
    elif kind < 0.42:
        slope = wide * rng.uniform(0.2, 0.5)
        walls.polygon(np.array([[left, top], [right, top - slope], [right, top]]), colour)
    elif kind < 0.60:
        x = left + wide * rng.uniform(0.35, 0.65)
        mast = np.array([[x, top - wide * rng.uniform(0.4, 1.0)], [x, top]])
        walls.stroke(mast, max(0.6, wide * 0.03), colour)
    walls.box(left, top, right, walls.bottom, colour)
    dark = mix(colour, paints.composition.palette.deep, 0.22)
    sunny = paints.composition.light is None or paints.composition.light.x < 0
    edge = (left + wide * 0.64, right) if sunny else (left, left + wide * 0.36)
    walls.box(edge[0], top, edge[1], walls.bottom, dark)


def _old(
    walls: Sketch, house: _House, colour: Rgb, rng: np.random.Generator, paints: Paints, row: Row
) -> None:
    left, right, top, wide = house.left, house.right, house.top, house.wide
    palette = paints.composition.palette
    roof = mix(mix(colour, palette.accent, 0.34 * row.near + 0.08), palette.deep, 0.25)
    kind, over = rng.random(), wide * 0.05
    middle = (left + right) / 2
    if kind < 0.12:
        top -= wide * rng.uniform(0.2, 0.6)
        left, right = left + wide * 0.2, right - wide * 0.2
        peak = top - wide * rng.uniform(0.7, 1.2)
        outline = [[left - over, top], [middle, peak], [right + over, top]]
    elif kind < 0.55:
        peak = top - wide * rng.uniform(0.45, 0.75)
        outline = [[left - over, top + over], [middle, peak], [right + over, top + over]]
    else:
        peak = top - wide * rng.uniform(0.32, 0.5)
        outline = [
            [left - over, top],
            [left + wide * 0.2, peak],
            [right - wide * 0.2, peak],
            [right + over, top],
        ]
        chimney = left + wide * rng.uniform(0.3, 0.65)
        walls.box(chimney, peak - wide * 0.16, chimney + wide * 0.09, peak + 2, roof)
    walls.box(left, top, right, walls.bottom, colour)
    walls.polygon(np.array(outline), roof)


def _windows(
    lamps: Sketch, house: _House, rng: np.random.Generator, paints: Paints, row: Row, scale: float
) -> None:
    """A grid of panes of which some burn; too small ones are left out."""
    palette = paints.composition.palette
    pane = scale * (0.0042 if row.style == "modern" else 0.0062) * (0.45 + row.near)
    step_x, step_y = pane * 2.1, pane * (2.9 if row.style == "modern" else 4.4)
    across = int((house.wide * 0.86) / step_x)
    down = int((house.foot - house.top) / step_y)
    if across < 1 or pane < 0.45 or row.lit <= 0:
        return
    start = house.left + (house.wide - across * step_x) / 2 + (step_x - pane) / 2
    colours = (
        mix(palette.accent, palette.light, 0.55),
        mix(palette.accent, palette.light, 0.2),
        palette.light,
    )
    burning = rng.random((down, across)) < row.lit * rng.uniform(0.3, 1.2)
    tint = rng.integers(0, 3, (down, across))
    for j, i in zip(*np.nonzero(burning), strict=True):
        x, y = start + i * step_x, house.top + (j + 0.7) * step_y
        lamps.box(x, y, x + pane, y + pane * 1.35, colours[tint[j, i]])


def _light(sheet: Field, view: View, lamps: Sketch) -> None:
    """The windows themselves, then the glow that they spread."""
    lamps.lay(sheet, 0.92)
    small = lamps.glow(8)
    for i in range(3):
        wide = enlarge(small[..., i], view.width, lamps.bottom - lamps.top)
        part = sheet[lamps.top : lamps.bottom, :, i]
        part += (1 - part) * np.clip(wide * np.float32(1.3), 0, 0.6)


def _air(sheet: Field, view: View, paints: Paints, row: Row) -> None:
    start = row.base - 0.55 * row.tall - 0.1
    rows = (max(0, int(start * view.height)), min(view.height, int(row.until * view.height) + 1))
    y = view.ys()[rows[0] : rows[1], None]
    soft = view.brush(paints.soft, 0.3, 0.8, row.near, rows, row.near)
    veil = smoothstep(start, row.base + 0.02, y) * np.float32(0.5 * (1 - row.near) ** 0.8)
    lay(sheet[rows[0] : rows[1]], air(paints.composition), np.clip(veil * (1 + 0.2 * soft), 0, 1))
