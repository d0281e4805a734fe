"""People, animals, houses and boats in the picture, as silhouettes with a little light.

`prop` stands one of them on a ridge, on the water or in the air. The outlines
are data (`outlines.py`); here they get their place, their colour and their lamps.
"""

from __future__ import annotations

import numpy as np

from .canvas import Stencil, View, glow, lay
from .composition import Composition
from .land import Ridge, body_colour, crest_row, ground_colour
from .noise import Field
from .outlines import OUTLINES, Shape, bent, numbers
from .palette import Rgb, mix, tone
from .sky import spark
from .stage import Paints, Stage

LAMPS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "monk": ((0.305, 0.40, 0.036),),
    "lighthouse": ((0.0, 0.832, 0.03),),
    "cottage": ((-0.22, 0.22, 0.042), (0.2, 0.22, 0.042)),
    "castle": ((-0.34, 0.55, 0.014), (0.0, 0.5, 0.014), (0.41, 0.44, 0.014), (-0.05, 0.12, 0.016)),
    "church": ((-0.115, 0.36, 0.018), (0.14, 0.2, 0.018), (0.27, 0.2, 0.018)),
    "balloon": ((0.0, 0.21, 0.03),),
    "windmill": ((0.0, 0.3, 0.02),),
    "robot": ((-0.06, 0.87, 0.013), (0.06, 0.87, 0.013)),
}
"""Where lights burn, by outline: x, y and radius in heights."""


BUILDINGS = frozenset({"castle", "church", "cottage", "windmill", "lighthouse"})
"""They stand behind the crest of their ridge, and must be laid before it."""


SAILS = {"boat": slice(1, 3), "ship": slice(1, 4)}
AFLOAT = frozenset({"boat", "ship", "whale"})


def prop(name: str, x: float, high: float, ridge: Ridge | None, row: float = 0.0) -> Stage:
    """A figure of `high` world units at world x, on the ridge, or else at the fraction `row`."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        near = ridge.near if ridge else 0.5
        foot = row * view.height
        if ridge:
            foot = float(crest_row(view, picture, ridge, np.array([x], np.float32))[0])
            foot += (0.08 * high if name in BUILDINGS else 0.004) * view.scale
        elif name in AFLOAT:
            foot += 0.003 * view.scale * np.sin(2 * np.pi * view.phase)
        place = (view.column(x, near), foot, high * view.scale)
        colour = mix(body_colour(picture, min(1.0, near + 0.15)), picture.palette.deep, 0.55)
        if not ridge and name in AFLOAT:
            _reflection(sheet, view, name, place, colour)
        side = 0.0 if picture.light is None else float(np.sign(picture.light.x - x))
        rim = (mix(picture.palette.light, picture.palette.accent, 0.2), side)
        _figure(sheet, view, name, place, _worn(name, colour, picture), rim)
        _lamps(sheet, name, place, picture)

    return paint


def _worn(name: str, colour: Rgb, picture: Composition) -> Rgb:
    return mix(colour, picture.palette.accent, 0.62) if name == "balloon" else colour


def outline(
    stencil: Stencil, name: str, place: tuple[float, float, float], parts: slice = slice(None)
) -> None:
    """Draw parts of a figure at (column, foot row, height in pixels); below 0 is upside down."""
    column, foot, high = place
    scale = np.array([abs(high), -high], np.float32)
    for part in OUTLINES[name][parts]:
        points = numbers(part.points)
        if isinstance(part, Shape):
            curve = bent(points) if part.smooth else points
            stencil.polygon(curve * scale + (column, foot))
        else:
            curve = bent(points, closed=False)
            stencil.stroke(curve * scale + (column, foot), part.width * abs(high))


def _figure(
    sheet: Field,
    view: View,
    name: str,
    place: tuple[float, float, float],
    colour: Rgb,
    rim: tuple[Rgb, float],
) -> None:
    """The silhouette, with an edge of light on the side (-1, 0, 1) where the light stands."""
    _, foot, high = place
    stencil = Stencil(view, foot - 1.25 * high, foot + 0.1 * high + 2)
    outline(stencil, name, place)
    mask = stencil.mask()
    lay(sheet[stencil.rows], colour, mask)
    if name in SAILS:
        cloth = Stencil(view, foot - 1.25 * high, foot + 0.1 * high + 2)
        outline(cloth, name, place, SAILS[name])
        lay(sheet[cloth.rows], mix(colour, rim[0], 0.72), cloth.mask())
    shift = round(rim[1] * max(1.0, high * 0.016))
    if shift and high > 14:
        lit = np.clip(mask - np.roll(mask, -shift, axis=1), 0, 1)
        lay(sheet[stencil.rows], rim[0], lit * np.float32(0.45))


def _reflection(
    sheet: Field, view: View, name: str, place: tuple[float, float, float], colour: Rgb
) -> None:
    """The figure upside down on the water, shortened and torn by the waves."""
    column, foot, high = place
    stencil = Stencil(view, foot, foot + 0.8 * high)
    outline(stencil, name, (column, foot, -0.65 * high))
    mask = stencil.mask()
    rows = np.arange(mask.shape[0], dtype=np.float32)
    deep = rows / max(1.0, 0.65 * high)
    wave = (
        np.sin(rows * np.float32(95 / view.scale * 3) + 2 * np.pi * view.phase) * deep * 0.03 * high
    )
    columns = (np.arange(view.width)[None, :] + wave[:, None].astype(np.int32)) % view.width
    torn = mask[np.arange(mask.shape[0])[:, None], columns]
    lay(sheet[stencil.rows], colour, torn * np.clip(0.55 - 0.45 * deep, 0, 1)[:, None])


def path(ridge: Ridge, x: float) -> Stage:
    """A path that winds from our feet over the ridge's crest at world x, narrowing."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        top = float(crest_row(view, picture, ridge, np.array([x], np.float32))[0])
        t = np.linspace(0, 1, 40)
        y = top + (view.height * 1.05 - top) * t**1.3
        sway = picture.rng("path").uniform(0.05, 0.11)
        middle = view.column(x, ridge.near) + sway * view.scale * np.sin(t * 4.4) * t
        half = view.scale * (0.005 + 0.06 * t**1.6)
        edges = np.concatenate(
            [np.stack([middle - half, y], -1), np.stack([middle + half, y], -1)[::-1]]
        )
        stencil = Stencil(view, top - 2, view.height)
        stencil.polygon(edges)
        pale = mix(ground_colour(picture, ridge.near), picture.palette.sky[-1], 0.36)
        rough = view.brush(paints.rough, 1.2, 2.4, ridge.near, (stencil.top, stencil.bottom), 0.6)
        lay(sheet[stencil.rows], pale, stencil.mask() * np.clip(0.62 + 0.2 * rough, 0, 1))

    return paint


def _lamps(
    sheet: Field, name: str, place: tuple[float, float, float], picture: Composition
) -> None:
    if name not in LAMPS or (picture.hour == "day" and name not in ("monk", "balloon", "robot")):
        return
    column, foot, high = place
    warm = mix(picture.palette.accent, (1.0, 0.86, 0.55), 0.75)
    for x, y, radius in LAMPS[name]:
        at = (column + x * high, foot - y * high)
        spark(sheet, *at, max(1.0, radius * high * 5.0), warm, 0.42)
        spark(sheet, *at, max(0.9, radius * high * 1.3), tone(warm, 0.08), 1.0)
    if name == "lighthouse":
        _beam(sheet, (column, foot - 0.832 * high), high, warm)


def _beam(sheet: Field, at: tuple[float, float], high: float, colour: Rgb) -> None:
    """Two fans of light from a lighthouse, over everything above the sea."""
    bottom = int(min(sheet.shape[0], at[1] + high * 0.8))
    y = np.arange(bottom, dtype=np.float32)[:, None] - np.float32(at[1])
    x = np.arange(sheet.shape[1], dtype=np.float32)[None, :] - np.float32(at[0])
    away = np.hypot(x, y) / np.float32(high)
    angle = np.abs(y + 0.16 * np.abs(x)) / (np.abs(x) + 1e-3)
    fan = np.exp(-((angle / 0.085) ** 2)) * np.exp(-away / 2.6) * np.clip(away * 4, 0, 1)
    glow(sheet[:bottom], colour, np.asarray(fan * 0.5, np.float32))


def flock(x: float, row: float, count: int, size: float) -> Stage:
    """Birds far off, each two strokes of a wing, loosely in line."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        rng = paints.composition.rng("flock")
        stencil = Stencil(view, 0, view.height)
        for i in range(count):
            at_x = x + 0.036 * (i - count / 2) + rng.normal(0, 0.022)
            at_y = (
                row * view.height + (rng.normal(0, 0.02) + 0.012 * abs(i - count / 3)) * view.scale
            )
            span = size * rng.uniform(0.6, 1.1) * view.scale
            lift = span * rng.uniform(0.2, 0.5)
            wing = np.array([[-1, -lift / span], [-0.45, -lift / span * 1.1], [0, 0.1]])
            wings = np.concatenate([wing, wing[1::-1] * (-1, 1) * rng.uniform(0.9, 1.05)])
            curve = bent(np.asarray(wings, np.float32), closed=False) * span + (
                view.column(at_x, 0.3),
                at_y,
            )
            stencil.stroke(curve, span * 0.10)
        colour = mix(paints.composition.palette.deep, paints.composition.palette.haze, 0.25)
        lay(sheet, colour, stencil.mask() * np.float32(0.9))

    return paint
