"""Solid ground in layers: peaks, hills and dunes, each paler the farther it is.

A `Ridge` says where a layer stands and how it is made; `ridge_stage` makes it a
stage. The crest is a function of world x alone (`crest`), so that trees, towers
and people can stand on it.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from .canvas import View, below, lay, shade
from .composition import Composition
from .noise import Field, line, smoothstep
from .palette import Rgb, mix
from .stage import Paints, Stage


class Ridge(msgspec.Struct, frozen=True):
    """One layer. `base` is a fraction of the height, `rise` and `wave` are world units.

    `near` runs from 0 (the horizon) to 1 (at our feet). `mist` is how far its foot
    fades into the air (0 to 1), `snow` how deep the snow reaches down (0 to 1), `tilt`
    how much the whole layer rises to the right.
    """

    name: str
    near: float
    base: float
    rise: float
    wave: float
    form: Literal["peak", "hill", "dune"] = "hill"
    mist: float = 0.5
    snow: float = 0.0
    tilt: float = 0.0
    sand: bool = False


def crest(composition: Composition, ridge: Ridge, x: Field) -> Field:
    """How high the ridge stands over its base at world x, in world units."""
    rng = composition.rng("ridge", ridge.name)
    at = x / np.float32(ridge.wave)
    if ridge.form == "peak":
        up = _peaks(at, rng)
    elif ridge.form == "dune":
        up = _dune(at, rng)
    else:
        up = _rolling(at, rng)
    return np.asarray(ridge.rise * up + ridge.tilt * x, np.float32)


def _peaks(at: Field, rng: np.random.Generator) -> Field:
    slow = line(at * 0.55, rng, 2, 0.5)
    return 0.72 * line(at, rng, 6, 0.4, ridged=0.9) + 0.3 * slow - 0.12


def _rolling(at: Field, rng: np.random.Generator) -> Field:
    return 0.92 * line(at, rng, 3, 0.36) + 0.035 * line(at * 14, rng, 3, 0.6)


def _dune(at: Field, rng: np.random.Generator) -> Field:
    """Sharp crests with a long windward and a steep lee side, merged where they meet."""
    total = np.full_like(at, 0.02)
    for i in range(-6, 7):
        top, place = rng.uniform(0.45, 1.0), i + rng.uniform(-0.3, 0.3)
        windward, lee = rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.55)
        away = at - np.float32(place)
        fall = np.where(away < 0, -away / windward, away / lee)
        total += (top * np.exp(-(fall**1.15))) ** 3
    return np.asarray(np.cbrt(total) * 1.6 - 0.9, np.float32)


def crest_row(view: View, composition: Composition, ridge: Ridge, x: Field) -> Field:
    """The crest as pixel rows."""
    return np.asarray(
        ridge.base * view.height - crest(composition, ridge, x) * view.scale * view.lift
    )


def air(composition: Composition) -> Rgb:
    """What far things fade into."""
    palette = composition.palette
    return mix(palette.sky[-1], palette.haze, 0.25)


def body_colour(composition: Composition, near: float) -> Rgb:
    """The flat colour of a layer at a nearness."""
    palette = composition.palette
    stops = [mix(palette.sky[-1], palette.haze, 0.65), palette.haze, palette.ground, palette.deep]
    at = min(max(near, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(at), len(stops) - 2)
    return mix(stops[index], stops[index + 1], at - index)


def chain(ridges: list[Ridge], last: Ridge | None = None) -> list[Stage]:
    """The stages of ridges that stand one before the other, and before them perhaps `last`."""
    after: list[Ridge | None] = [*ridges[1:], last]
    return [ridge_stage(*pair) for pair in zip(ridges, after, strict=True)]


def ground_colour(composition: Composition, near: float) -> Rgb:
    """The colour of bare ground, white where snow lies."""
    colour = body_colour(composition, near)
    if not composition.snowy:
        return colour
    palette = composition.palette
    return mix(colour, mix(palette.light, palette.sky[1], 0.35), 0.5 + 0.2 * near)


def _sand(composition: Composition) -> Rgb:
    dim = {"night": 0.75, "dusk": 0.5, "sunset": 0.25}.get(composition.hour, 0.05)
    return mix((0.93, 0.83, 0.66), body_colour(composition, 0.7), dim)


def ridge_stage(ridge: Ridge, under: Ridge | None = None) -> Stage:
    """The stage that lays this ridge, down to where `under`, laid later, is sure to cover it."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        top_row = crest_row(view, picture, ridge, view.xs(ridge.near))
        first = max(0, int(top_row.min()) - 4)
        last = view.height
        if under:
            cover = crest_row(view, picture, under, view.xs(under.near))
            last = min(last, max(first + 1, int(cover.max()) + 4))
        if first >= last:
            return
        rows = (first, last)
        rough = view.brush(paints.fine, 0.8, 0.8, ridge.near, rows, 0.2)
        mask = below(top_row, rows, rough * np.float32(0.0009 * view.scale), 1.5)
        lay(sheet[first:last], _surface(view, paints, ridge, top_row, rows), mask)

    return paint


def _surface(
    view: View, paints: Paints, ridge: Ridge, top_row: Field, rows: tuple[int, int]
) -> Field:
    picture = paints.composition
    y = np.arange(rows[0], rows[1], dtype=np.float32)[:, None]
    deep = (y - top_row[None, :]) / np.float32(view.scale)
    sheet = np.empty((rows[1] - rows[0], view.width, 3), np.float32)
    sheet[:] = _sand(picture) if ridge.sand else ground_colour(picture, ridge.near)
    if ridge.form == "peak":
        _facets(sheet, view, paints, ridge, deep, rows)
    elif ridge.form == "dune":
        _slopes(sheet, view, paints, ridge, deep, rows)
    streak = view.brush(paints.rough, 0.35, 1.6, ridge.near, rows, 0.31 + ridge.near)
    shade(sheet, streak * np.float32(0.035))
    if ridge.mist > 0:
        veil = ridge.mist * smoothstep(0.0, 0.05 + 0.2 * (1 - ridge.near) + ridge.rise, deep)
        soft = view.brush(paints.soft, 0.3, 0.9, ridge.near, rows, 0.77 * ridge.near)
        lay(sheet, air(picture), np.clip(veil * (1 + 0.22 * soft), 0, 1))
    return sheet


def _lit_side(picture: Composition) -> float:
    return -1.0 if picture.light is None or picture.light.x < 0 else 1.0


_PROFILE = np.linspace(-4, 4, 8192, dtype=np.float32)
"""Where crests are looked at for their peaks; the same for every view, or a panning
camera would see the faces change sides."""


def _spine(view: View, picture: Composition, ridge: Ridge, bend: Field) -> Field:
    """How far each point lies to the right of its peak's spine, in world units.

    A spine runs down from every peak, winding by `bend`; left of it is one face of
    the mountain or dune, right of it the other.
    """
    reach = max(3, int(ridge.wave * (0.05 if ridge.form == "peak" else 0.25) * 1024))
    kernel = np.hanning(2 * reach + 1) / reach
    smooth = np.convolve(crest(picture, ridge, _PROFILE), kernel, "same")
    rising = np.diff(smooth) > 0
    peaks = np.flatnonzero(rising[:-1] & ~rising[1:]) + 1
    feet = np.flatnonzero(~rising[:-1] & rising[1:]) + 1
    at = view.xs(ridge.near)[None, :] + bend
    if not len(peaks):
        return at
    owner = np.searchsorted(feet, np.arange(len(_PROFILE))) - np.searchsorted(feet, peaks[0])
    spine = _PROFILE[peaks[np.clip(owner, 0, len(peaks) - 1)]]
    index = ((at + np.float32(4)) * np.float32(len(_PROFILE) / 8)).astype(np.int32)
    return np.asarray(at - spine[np.clip(index, 0, len(_PROFILE) - 1)], np.float32)


def _facets(
    sheet: Field, view: View, paints: Paints, ridge: Ridge, deep: Field, rows: tuple[int, int]
) -> None:
    """Light and shadow on rock: each peak has a bright and a dark face, folded again and again."""
    picture = paints.composition
    soft = view.brush(paints.soft, 0.5, 0.35, ridge.near, rows, 0.55)
    rough = view.brush(paints.rough, 0.55, 0.4, ridge.near, rows, 0.15)
    down = np.minimum(deep, 0.6)
    side = _spine(view, picture, ridge, (0.22 * soft + 0.10 * rough) * down)
    sign = np.float32(_lit_side(picture))
    face = np.tanh(side * sign * 60) * np.exp(-np.abs(side) / np.float32(0.55 * ridge.wave))
    fold = view.brush(paints.soft, 1.1, 0.5, ridge.near, rows, 0.9)
    moved = view.brush(paints.soft, 1.1, 0.5, ridge.near, rows, 0.9 - 0.004 * float(sign))
    face = np.clip(0.75 * face + 1.1 * (fold - moved) + 0.14 * rough, -1, 1)
    strength = np.float32((0.5 + 0.4 * ridge.near) * (1 - 0.45 * ridge.mist))
    palette = picture.palette
    sun = mix(body_colour(picture, ridge.near), palette.light, 0.42)
    dark = mix(body_colour(picture, min(1, ridge.near + 0.3)), palette.sky[0], 0.25)
    lay(sheet, sun, smoothstep(-0.05, 0.75, face) * strength)
    lay(sheet, dark, smoothstep(0.0, -0.7, face) * strength)
    if ridge.snow > 0:
        _snow(sheet, ridge, deep, face, rough, mix(palette.light, palette.sky[-1], 0.2))


def _snow(sheet: Field, ridge: Ridge, deep: Field, face: Field, rough: Field, white: Rgb) -> None:
    reach = np.float32(ridge.snow * (0.05 + ridge.rise))
    cover = smoothstep(0.5, -0.1, deep / reach - 0.5 - 0.2 * face - 0.22 * rough)
    shadow = np.asarray(white, np.float32) * np.array([0.66, 0.74, 0.88], np.float32)
    lit = smoothstep(-0.2, 0.42, face)[..., None]
    pale = shadow * (1 - lit) + np.asarray(white, np.float32) * lit
    lay(sheet, pale, cover * np.float32(0.95 - 0.4 * ridge.mist))


def _slopes(
    sheet: Field, view: View, paints: Paints, ridge: Ridge, deep: Field, rows: tuple[int, int]
) -> None:
    """A dune: one face in the light, one in shadow, a winding edge between, ripples of wind."""
    picture = paints.composition
    soft = view.brush(paints.soft, 0.22, 0.22, ridge.near, rows, 0.5)
    sign = np.float32(_lit_side(picture))
    wind = 0.10 * np.sin(deep * np.float32(9 + 6 * ridge.near)) + 0.05 * soft
    lean = sign * deep * np.float32(0.55)
    side = _spine(view, picture, ridge, wind * smoothstep(0, 0.2, deep) * 1.6 - lean)
    lit = smoothstep(-0.012, 0.012, side * sign)
    palette = picture.palette
    sun = mix(body_colour(picture, ridge.near * 0.8), palette.light, 0.38)
    shadow = mix(body_colour(picture, min(1.0, ridge.near + 0.24)), palette.sky[0], 0.16)
    away = np.exp(-np.abs(side) / np.float32(0.3 * ridge.wave))
    lay(sheet, shadow, (1 - lit) * (0.35 + 0.6 * away))
    lay(sheet, sun, lit * (0.25 + 0.65 * away))
    ripple = np.sin((deep + 0.12 * side + 0.01 * soft) * np.float32(300 - 120 * ridge.near))
    shade(sheet, ripple * np.float32(0.03 * ridge.near) * (0.3 + lit))
