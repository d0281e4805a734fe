"""Still and moving water: the picture above it turned over, broken by ripples and glitter.

`lake` must come after everything that is to be mirrored and before what stands in
front of the water. Moves in a loop with the view's phase.
"""

from __future__ import annotations

import numpy as np

from .canvas import View, glow, lay, shade
from .noise import Field, sample, smoothstep
from .palette import mix, spread
from .stage import Paints, Stage


def water(line: float, calm: float) -> Stage:
    """Water from the height `line` (fraction) to the foot. `calm` 1 is a mirror, 0 open sea."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        first = int(line * view.height)
        if first >= view.height - 2:
            return
        picture = paints.composition
        count = view.height - first
        deep = (np.arange(count, dtype=np.float32)[:, None] + 0.5) / count
        ripple = _ripples(view, paints, first, deep)
        mirrored = _mirror(sheet, view, first, ripple * np.float32(0.5 + 2.2 * (1 - calm)), deep)
        palette = picture.palette
        clear = spread(paints.sky, np.clip(1.02 - deep * 0.9 + 0.05 * ripple, 0, 1))
        lay(mirrored, clear, 0.75 - 0.7 * calm)
        tint = mix(palette.sky[0], palette.ground, 0.4 if calm < 0.6 else 0.25)
        body = mix(tint, palette.deep, 0.3)
        lay(mirrored, body, np.float32(0.16 + 0.2 * (1 - calm)) + (0.34 - 0.12 * calm) * deep)
        shade(mirrored, ripple * (0.05 + 0.06 * deep) * np.float32(1.3 - calm * 0.75))
        _glitter(mirrored, view, paints, first, deep, ripple)
        sheet[first:] = mirrored
        edge = np.exp(-deep * count / np.float32(0.004 * view.scale + 1))
        lay(sheet[first:], mix(palette.sky[-1], palette.light, 0.4), edge * np.float32(0.35))

    return paint


def _ripples(view: View, paints: Paints, first: int, deep: Field) -> Field:
    """Waves that flatten and crowd towards the horizon, about -1 to 1."""
    x = view.xs(0.5)
    far = 1 / (deep + 0.08)
    u = (x[None, :] * far * 0.11).astype(np.float32)
    v = np.broadcast_to(far * np.float32(0.42), u.shape)
    turn = 2 * np.pi * view.phase

    one = sample(paints.rough, u, v)
    two = sample(paints.rough, u + 0.37, v + 0.61)
    calm = smoothstep(0.0, 0.06, deep)
    return np.asarray((one * np.cos(turn) + two * np.sin(turn)) * calm, np.float32)


def _mirror(sheet: Field, view: View, first: int, ripple: Field, deep: Field) -> Field:
    count = sheet.shape[0] - first
    reach = np.float32(view.scale * 0.012)
    row = first - 1 - np.arange(count, dtype=np.float32)[:, None] * min(1.0, first / count)
    row = row + ripple * reach * (0.25 + deep)
    column = np.arange(view.width, dtype=np.float32)[None, :] + ripple * reach * (0.15 + 0.6 * deep)
    rows = np.clip(row, 0, first - 1).astype(np.int32)
    columns = np.clip(column, 0, view.width - 1).astype(np.int32)
    return np.asarray(sheet[rows, columns])


def _glitter(
    sheet: Field, view: View, paints: Paints, first: int, deep: Field, ripple: Field
) -> None:
    """The light's road on the water, and pale flecks elsewhere."""
    picture = paints.composition
    fleck = smoothstep(1.15, 2.0, ripple) * (0.10 + 0.12 * deep)
    glow(sheet, picture.palette.sky[-1], fleck)
    if picture.light is None:
        return
    away = np.abs(view.xs(0.5)[None, :] - np.float32(picture.light.x))
    width = np.float32(picture.light.radius) * (0.8 + 1.6 * deep)
    road = np.exp(-((away / width) ** 2))
    sparkle = smoothstep(0.15, 1.1, ripple) * road
    glow(sheet, picture.palette.light, sparkle * np.float32(0.85) + road * np.float32(0.12))
