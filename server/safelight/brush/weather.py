"""What falls or hangs in front of everything: rain, snow, petals, lightning, shafts of light."""

from __future__ import annotations

import numpy as np

from .canvas import Stencil, View, glow, lay
from .noise import Field, enlarge, smoothstep
from .palette import Rgb, mix
from .sky import spark
from .stage import Paints
from .trees import branch


def rain(sheet: Field, view: View, paints: Paints) -> None:
    """Slanting threads of rain, finer the farther they are."""
    picture = paints.composition
    rng = picture.rng("rain")
    stencil = Stencil(view, 0, view.height)
    for _ in range(420):
        near = rng.uniform(0.15, 1)
        x, y = (
            view.column(rng.uniform(-1.4, 1.4), near),
            (rng.uniform(0, 1.2) + 1.2 * view.phase) % 1.2 - 0.1,
        )
        long = view.scale * (0.02 + 0.05 * near)
        foot = y * view.height
        drop = np.array([[x, foot - long], [x - long * 0.17, foot]])
        stencil.stroke(drop, max(0.35, view.scale * 0.0011 * near), 0.25 + 0.4 * near)
    lay(
        sheet,
        mix(picture.palette.sky[-1], picture.palette.light, 0.5),
        stencil.mask() * np.float32(0.55),
    )


def snow(sheet: Field, view: View, paints: Paints) -> None:
    """Flakes in three depths."""
    palette = paints.composition.palette
    _falling(sheet, view, paints, mix(palette.light, (1.0, 1.0, 1.0), 0.6), 420)


def petals(sheet: Field, view: View, paints: Paints) -> None:
    """Petals or leaves on the wind."""
    _falling(sheet, view, paints, paints.composition.palette.accent, 90)


def _falling(sheet: Field, view: View, paints: Paints, colour: Rgb, count: int) -> None:
    rng = paints.composition.rng("falling")
    for _ in range(count):
        near = rng.uniform(0, 1) ** 2.2
        turn = np.sin(2 * np.pi * (view.phase + rng.uniform())) * 0.01
        x = view.column(rng.uniform(-1.4, 1.4) + turn, near)
        y = (rng.uniform(0, 1.1) + 1.1 * view.phase) % 1.1 * view.height
        radius = max(0.6, (0.0012 + 0.0045 * near) * view.scale)
        spark(sheet, x, y, radius, colour, 0.85 - 0.45 * near)


def lightning(sheet: Field, view: View, paints: Paints) -> None:
    """One bolt from the clouds to the horizon, and the light it throws."""
    picture = paints.composition
    rng = picture.rng("bolt")
    stencil = Stencil(view, 0, view.height * picture.horizon)
    x = view.column(rng.uniform(-0.3, 0.3), 0.1)
    foot, row = picture.horizon * view.height, 0.02 * view.height
    at = [[x, row]]
    while row < foot:
        row += rng.uniform(0.01, 0.05) * view.height
        x += rng.normal(0, 0.026) * view.scale
        at.append([x, row])
    stencil.stroke(np.array(at), view.scale * 0.0032)
    for k in rng.integers(2, len(at) - 1, 4):
        angle = np.pi / 2 + rng.uniform(-0.9, 0.9)
        branch(stencil, rng, np.array(at[k]), angle, 0.05 * view.scale, 0.0018 * view.scale, 2)
    mask = stencil.mask()
    small = mask[::8, ::8]
    halo = enlarge(_blurred(small), view.width, mask.shape[0])
    glow(sheet[stencil.rows], picture.palette.light, np.clip(halo * 3, 0, 0.5))
    lay(sheet[stencil.rows], (1.0, 0.99, 0.95), mask)


def _blurred(field: Field) -> Field:
    for axis in (0, 1):
        kernel = np.hanning(2 * (field.shape[1] // 12) + 3).astype(np.float32)
        field = np.apply_along_axis(np.convolve, axis, field, kernel / kernel.sum(), "same")
    return field


def shafts(sheet: Field, view: View, paints: Paints) -> None:
    """Light that falls in slanting shafts from where the sun stands."""
    picture = paints.composition
    if picture.light is None:
        return
    small = View(max(48, view.width // 4), max(48, view.height // 4), view.pan, view.phase)
    dx = small.xs(0.1)[None, :] - np.float32(picture.light.x)
    dy = (small.ys()[:, None] - np.float32(picture.light.y - 0.25)) * np.float32(
        small.height / small.scale
    )
    angle = np.arctan2(dx, np.maximum(dy, 1e-3))
    rng = picture.rng("shafts")
    rays = sum(
        np.cos(angle * np.float32(rng.uniform(8, 40)) + np.float32(rng.uniform(0, 6)))
        for _ in range(4)
    )
    mask = smoothstep(0.1, 2.6, np.asarray(rays, np.float32)) * np.exp(-np.hypot(dx, dy) * 1.1)
    mask = enlarge(np.asarray(mask * (dy > 0), np.float32), view.width, view.height)
    glow(
        sheet,
        mix(picture.palette.light, picture.palette.accent, 0.2),
        np.clip(mask, 0, 1) * np.float32(0.5),
    )
