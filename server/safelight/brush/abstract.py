"""Pictures of nothing: sheets of cut paper that lie in soft shadow upon each other.

Levels of one folded field become sheets; a disc may lie between two of them.
"""

from __future__ import annotations

import numpy as np

from .canvas import View, lay, shade
from .noise import Field, enlarge, sample, smoothstep, texture
from .palette import mix, ramp
from .stage import Paints, Stage


def _field(view: View, paints: Paints) -> Field:
    """The folded field at a third of the size, about -2 to 2."""
    small = View(max(64, view.width // 3), max(64, view.height // 3), view.pan, view.phase)
    rng = paints.composition.rng("folds")
    turn, tall = rng.uniform(0, np.pi), small.height / small.scale
    x = small.xs(0.4)[None, :]
    y = (small.ys()[:, None] - 0.5) * np.float32(tall)
    along = x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
    across = y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn))
    sway = np.float32(0.006 * np.sin(2 * np.pi * view.phase))
    u, v = along * np.float32(0.075) + sway, across * np.float32(0.11) + np.float32(0.3)
    silk = texture(rng, 3.2, 3)
    fold = np.float32(0.05) * sample(silk, u * 1.3 + 0.5, v * 1.3)
    other = np.float32(0.05) * sample(silk, u * 1.3, v * 1.3 + 0.4)
    return sample(silk, u + fold, v + other) + np.float32(1.2) * across


def sheets(count: int) -> Stage:
    """`count` sheets from dark below to light above, each with its shadow."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        palette = paints.composition.palette
        small = _field(view, paints)
        field = enlarge(small, view.width, view.height)
        # What casts a shadow lies up and to the left by 1.2 % of a unit.
        drop = max(1, round(small.shape[1] * 0.012))
        moved = np.pad(small, ((drop, 0), (drop, 0)), mode="edge")[:-drop, :-drop]
        cast = enlarge(moved, view.width, view.height)
        gy, gx = np.gradient(field)
        steep = np.hypot(gx, gy) + np.float32(1e-4)
        stops = [palette.deep, palette.ground, *palette.sky, palette.light]
        colours = ramp(stops)
        levels = np.quantile(small, np.linspace(0.07, 0.93, count))
        sheet[:] = colours[0]
        accent = int(paints.composition.rng("accent").integers(2, count - 1))
        for k, level in enumerate(levels):
            lit = colours[int((k + 1) / count * (len(colours) - 1))]
            shadow = smoothstep(level - 0.34, level + 0.22, cast)
            shade(sheet, shadow * np.float32(-0.42))
            tint = mix(palette.accent, tuple(lit), 0.12) if k == accent else lit
            lay(sheet, np.asarray(tint), np.clip((field - level) / steep + 0.5, 0, 1))
            streak = view.brush(paints.rough, 0.5, 0.5, 0.4, (0, view.height), 0.1 * k)
            above = field > level
            shade(sheet, streak * above * np.float32(0.012))

    return paint
