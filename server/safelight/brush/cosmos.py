"""Space: nebulae, stars by the hundred, a planet with its night side and perhaps a ring."""

from __future__ import annotations

import numpy as np

from .canvas import View, lay
from .noise import Field, enlarge, sample, smoothstep
from .palette import mix, ramp, spread
from .sky import spark
from .stage import Paints


def nebula(sheet: Field, view: View, paints: Paints) -> None:
    """Folded clouds of gas along a slanting band, darkest at the rims."""
    palette = paints.composition.palette
    part = 2 if view.width * view.height > 200_000 else 1
    small = View(max(48, view.width // part), max(48, view.height // part), view.pan, view.phase)
    u, v, across = _slanting(small, paints)
    one = sample(paints.soft, u * 1.2, v * 1.2)
    two = sample(paints.soft, u * 1.2 + 0.5, v * 1.2 + 0.3)
    folded = sample(paints.soft, u + 0.035 * one, v + 0.035 * two)
    dust = sample(paints.soft, u * 2.3 - 0.03 * two, v * 2.3 + 0.03 * one)
    band = np.exp(-((across / 0.36) ** 2))
    t = 0.10 + 0.62 * band * smoothstep(-1.0, 1.9, folded + 0.25 * one) + 0.05 * one * band
    t = t * (1 - 0.55 * smoothstep(0.3, 1.6, dust) * band)
    t = t + 0.35 * band**3 * smoothstep(0.5, 2.2, folded)
    colours = spread(ramp([*palette.sky, mix(palette.sky[-1], palette.light, 0.55)]), t)
    cool = smoothstep(0.2, 1.6, two) * band * np.float32(0.4)
    lay(colours, mix(palette.accent, palette.sky[1], 0.4), cool)
    for i in range(3):
        sheet[..., i] = enlarge(colours[..., i], view.width, view.height)


def _slanting(view: View, paints: Paints) -> tuple[Field, Field, Field]:
    """Texture coordinates along and across the band, and the distance across in world units."""
    x = view.xs(0.05)[None, :]
    y = (view.ys()[:, None] - 0.5) * np.float32(view.height / view.scale)
    lean = np.float32(paints.composition.rng("lean").uniform(-0.9, 0.9))
    along = x * np.cos(lean) + y * np.sin(lean)
    across = y * np.cos(lean) - x * np.sin(lean)
    turn = np.float32(0.003 * np.sin(2 * np.pi * view.phase))
    u = along * np.float32(0.17) + np.float32(0.4) + turn
    return u, across * np.float32(0.22) + np.float32(0.2), across


def starfield(sheet: Field, view: View, paints: Paints) -> None:
    """Stars of all sizes in world places; a few large ones."""
    picture = paints.composition
    rng = picture.rng("starfield")
    count = 1300
    places = rng.uniform(-1.1, 1.1, (count, 2))
    bright = (1 - rng.power(2.4, count)) ** 2.4 * 1.5 + 0.10
    hue = rng.uniform(0, 1, count)
    for (x, y), power, warm in zip(places, bright, hue, strict=True):
        colour = mix((1.0, 0.86, 0.7), (0.72, 0.84, 1.0), round(float(warm), 1))
        radius = max(0.55, (0.0006 + 0.0017 * power) * view.scale)
        faint = min(1.0, view.scale * 0.0016 / radius)
        row = y * view.scale + view.height / 2
        spark(sheet, view.column(x, 0.05), row, radius, colour, min(1.0, float(power)) * faint)


_RINGED = {"ring", "rings", "ringed", "saturn"}


def planet(sheet: Field, view: View, paints: Paints) -> None:
    """A ball lit from one side, its bands bent round it, with air at its rim."""
    picture = paints.composition
    light = picture.light
    if light is None:
        return
    radius = light.radius
    x = (view.xs(0.25)[None, :] - np.float32(light.x)) / np.float32(radius)
    y = (view.ys()[:, None] - np.float32(light.y)) * np.float32(view.height / view.scale / radius)
    rows = np.flatnonzero(np.abs(y[:, 0]) < 1.35)
    columns = np.flatnonzero(np.abs(x[0]) < 2.3)
    if not len(rows) or not len(columns):
        return
    window = np.ix_(rows, columns)
    x, y = x[:, columns], y[rows]
    part = sheet[window]
    ring = _RINGED & set(picture.words) or picture.taste("ring").random() < 0.55
    if ring:
        _ring(part, paints, x, y, front=False)
    _ball(part, paints, x, y, 1.5 / (radius * view.scale))
    if ring:
        _ring(part, paints, x, y, front=True)
    sheet[window] = part


def _ball(part: Field, paints: Paints, x: Field, y: Field, pixel: float) -> None:
    palette = paints.composition.palette
    away = np.hypot(x, y)
    z = np.sqrt(np.maximum(0, 1 - away * away))
    sun = np.array([-0.62, -0.48, 0.62])
    lit = smoothstep(-0.12, 0.95, np.asarray(x * sun[0] + y * sun[1] + z * sun[2], np.float32))
    tilt = y * np.float32(0.94) + x * np.float32(0.34)
    across = x * np.float32(0.94) - y * np.float32(0.34)
    bulge = np.arcsin(np.clip(tilt, -1, 1))
    swirl = sample(paints.soft, across / (1.1 + z) * 0.2, bulge * np.float32(0.3))
    bands = sample(paints.rough, across * 0.02 + 0.2, bulge * np.float32(0.11) + 0.01 * swirl)
    t = np.clip(0.52 + 0.2 * bands + 0.13 * swirl, 0, 1)
    stops = [
        palette.ground,
        palette.sky[2],
        mix(palette.accent, palette.sky[-1], 0.5),
        palette.light,
    ]
    colours = spread(ramp(stops), t) * (0.05 + 1.0 * lit)[..., None]
    colours += (np.asarray(palette.sky[1], np.float32) * 0.55) * (1 - lit)[..., None] * 0.5
    rim = smoothstep(0.72, 1.0, away) * (0.1 + lit)
    lay(colours, mix(palette.light, palette.sky[2], 0.35), np.clip(rim * 0.55, 0, 1))
    halo = np.exp(-np.maximum(away - 1, 0) * 9) * smoothstep(-0.9, 0.7, -x * 0.6 - y * 0.5)
    lay(part, mix(palette.light, palette.sky[2], 0.4), np.clip(halo, 0, 1) * np.float32(0.33))
    lay(part, colours, smoothstep(1 + pixel / 2, 1 - pixel / 2, away))


def _ring(part: Field, paints: Paints, x: Field, y: Field, front: bool) -> None:
    palette = paints.composition.palette
    along = x * np.float32(0.94) - y * np.float32(0.34)
    across = (y * np.float32(0.94) + x * np.float32(0.34)) * np.float32(4.2)
    away = np.hypot(along, across)
    half = across > 0 if front else across <= 0
    grooves = sample(paints.rough, away * np.float32(0.4), np.zeros_like(away) + np.float32(0.3))
    mask = smoothstep(1.35, 1.42, away) * smoothstep(2.15, 2.05, away) * half
    mask = mask * np.clip(0.55 + 0.28 * grooves, 0.08, 0.95) * smoothstep(2.1, -0.6, along)
    lay(part, mix(palette.light, palette.sky[-1], 0.4), np.asarray(mask, np.float32))
