"""Air and what stands in it: the gradient, sun or moon, clouds, stars, northern lights.

Each function lays one thing onto a sheet. Soft things are computed small and
enlarged, which saves most of the time and cannot band, since the sheet is float.
Contract of a stage: `stage.py`.
"""

from __future__ import annotations

import numpy as np

from .canvas import View, glow, lay
from .composition import Light
from .noise import Field, enlarge, line, sample, smoothstep
from .palette import Rgb, mix, spread
from .stage import Paints


def _small(view: View, part: int) -> View:
    """The same view with a `part` of the pixels on each side."""
    return View(max(48, view.width // part), max(48, view.height // part), view.pan, view.phase)


def gradient(sheet: Field, view: View, paints: Paints) -> None:
    """The sky from zenith to horizon over the whole sheet, brushed, warmer near the light."""
    small = _small(view, 3)
    h = small.height
    picture = paints.composition
    t = small.ys()[:, None] / picture.horizon
    wide = small.brush(paints.soft, 0.35, 1.1, 0.02, (0, h), 0.13)
    streak = small.brush(paints.rough, 0.22, 1.5, 0.02, (0, h), 0.41)
    t = np.clip(t, 0, 1) ** 0.9 + 0.05 * wide + 0.022 * streak
    if picture.light is not None:
        away = distance(small, paints) / 0.75
        t = t + (0.2 * np.exp(-(away**2)) - 0.05) * (1 - np.clip(t, 0, 1))
    colours = spread(paints.sky, np.asarray(t, np.float32))
    if picture.light is not None:
        away = distance(small, paints)
        glow(colours, picture.palette.light, 0.30 * np.exp(-away / 0.13))
        glow(
            colours,
            mix(picture.palette.light, picture.palette.accent, 0.35),
            0.16 * np.exp(-away / 0.5),
        )
    for i in range(3):
        sheet[..., i] = enlarge(colours[..., i], view.width, view.height)


def distance(view: View, paints: Paints) -> Field:
    """World units from the light to every pixel."""
    light = paints.composition.light
    assert light is not None
    dx = view.xs(0.03)[None, :] - np.float32(light.x)
    dy = (view.ys()[:, None] - np.float32(light.y)) * np.float32(view.height / view.scale)
    return np.asarray(np.hypot(dx, dy), np.float32)


def disc(sheet: Field, view: View, paints: Paints) -> None:
    """Sun or moon: a disc cut by hand; the moon has its grey seas, or is a crescent."""
    light = paints.composition.light
    if light is None:
        return
    rows, columns = _window(view, light)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    pixel, span = 1 / view.scale, (rows.start, rows.stop)
    wobble = view.brush(paints.soft, 1.5, 1.5, 0.03, span, 0.7)[:, columns]
    away = distance(view, paints)[rows, columns]
    mask = smoothstep(pixel, -pixel, away - light.radius * (1 + 0.008 * wobble))
    if light.crescent:
        x = view.xs(0.03)[None, columns] - np.float32(light.x - light.radius * 0.42)
        y = (view.ys()[rows, None] - np.float32(light.y)) * np.float32(view.height / view.scale)
        bite = np.hypot(x, y + np.float32(light.radius * 0.18))
        mask *= smoothstep(-pixel, pixel, bite - light.radius * np.float32(0.93))
    tones = np.ones_like(away)
    if light.moon:
        seas = view.brush(paints.soft, 2.2, 2.2, 0.03, span, 0.3)[:, columns]
        tones -= 0.13 * smoothstep(0.1, 0.9, seas)
    colour = np.asarray(_disc_colour(paints), np.float32)
    lay(sheet[rows, columns], colour * tones[..., None], mask)


def _window(view: View, light: Light) -> tuple[slice, slice]:
    """The rows and columns that the disc lies in."""
    reach = int(light.radius * view.scale * 1.3) + 4
    row, column = int(light.y * view.height), int(view.column(light.x, 0.03))
    return (
        slice(max(0, row - reach), min(view.height, row + reach)),
        slice(max(0, column - reach), min(view.width, column + reach)),
    )


def _disc_colour(paints: Paints) -> Rgb:
    """The light's own colour, or a warm one where it would drown in a pale sky."""
    picture = paints.composition
    assert picture.light is not None
    palette = picture.palette
    at = min(1023, int(1023 * min(1.0, picture.light.y / picture.horizon)))
    contrast = sum(palette.light) / 3 - float(paints.sky[at].mean())
    return mix(palette.light, palette.accent, float(np.clip(0.66 - 3.4 * contrast, 0, 0.6)))


def stars(sheet: Field, view: View, paints: Paints) -> None:
    """Stars as small soft points, most of them faint, fewer to be seen near the horizon."""
    picture = paints.composition
    rng = picture.rng("stars")
    count = int(900 * picture.stars)
    x, y = rng.uniform(-1.5, 1.5, count), rng.uniform(0, 1.0, count)
    bright = (1 - rng.power(2.2, count)) ** 2.2 * 1.4 + 0.12
    warm = rng.uniform(0, 1, count)
    for i in range(count):
        fade = float(np.clip((1 - y[i]) / 0.45, 0, 1))
        radius = max(0.55, (0.0007 + 0.0016 * bright[i]) * view.scale)
        colour = mix(picture.palette.light, (0.72, 0.84, 1.0), round(float(warm[i]), 1) * 0.8)
        strength = float(min(1.0, bright[i])) * fade * min(1.0, view.scale * 0.0016 / radius)
        spark(sheet, view.column(x[i], 0.01), y[i] * view.height, radius, colour, strength)


def spark(sheet: Field, x: float, y: float, radius: float, colour: Rgb, strength: float) -> None:
    """One soft point of light at a pixel position."""
    reach = int(radius * 3) + 1
    left, top = int(x) - reach, int(y) - reach
    rows = slice(max(0, top), min(sheet.shape[0], top + 2 * reach + 2))
    columns = slice(max(0, left), min(sheet.shape[1], left + 2 * reach + 2))
    if rows.start >= rows.stop or columns.start >= columns.stop or strength < 0.01:
        return
    dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + np.float32(0.5 - y)
    dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] + np.float32(0.5 - x)
    spot = np.exp(-(dx * dx + dy * dy) / np.float32(2 * (radius * 0.8) ** 2))
    glow(sheet[rows, columns], colour, np.asarray(spot * np.float32(strength), np.float32))


def clouds(sheet: Field, view: View, paints: Paints) -> None:
    """Banks of cloud in perspective: small and flat at the horizon, lit from the light's side."""
    picture = paints.composition
    if picture.clouds <= 0:
        return
    small = _small(view, 2 if view.width * view.height > 200_000 else 1)
    height = max(8, int(small.height * min(1.0, picture.horizon + 0.03)))
    up = (picture.horizon + 0.03 - small.ys()[:height, None]) / picture.horizon
    body, lit = _bodies(small, paints, np.maximum(up, 0))
    limit = 1.15 - 1.8 * picture.clouds
    mask = smoothstep(limit, limit + 1.1, body) * smoothstep(0.0, 0.25, up)
    palette = picture.palette
    dark = np.array(mix(palette.sky[-2], palette.haze, 0.55), np.float32)
    bright = np.array(mix(palette.sky[-1], palette.light, 0.55), np.float32)
    part = sheet[: int(height * view.height / small.height)]
    cover = np.clip(enlarge(mask * np.float32(0.85), view.width, len(part)), 0, 1)
    shine = np.clip(enlarge(lit, view.width, len(part)), 0, 1)[..., None]
    lay(part, dark + (bright - dark) * shine, cover)


def _bodies(small: View, paints: Paints, up: Field) -> tuple[Field, Field]:
    """How thick the clouds are, and how much light falls on them (0 to 1)."""
    light = paints.composition.light
    far = 1 / (up + 0.3)
    swing = np.float32(0.004 * np.sin(2 * np.pi * small.phase))
    u = small.xs(0.04)[None, :] * far * np.float32(0.15) + np.float32(0.3) + swing
    u, v = np.broadcast_arrays(u, far * np.float32(0.2))
    warp = np.float32(0.008) * sample(paints.soft, u * 1.9, v * 1.9)
    body = _density(paints, u + warp, v + warp)
    side = -0.008 if light is not None and light.x < 0 else 0.008
    behind = _density(paints, u + warp + side, v + warp - np.float32(0.014))
    return body, smoothstep(-0.55, 0.6, body - behind)


def _density(paints: Paints, u: Field, v: Field) -> Field:
    return sample(paints.soft, u, v) + np.float32(0.13) * sample(paints.rough, u * 1.7, v * 1.7)


def aurora(sheet: Field, view: View, paints: Paints) -> None:
    """Curtains of northern light that hang from waving lines."""
    picture = paints.composition
    small = _small(view, 3)
    y = small.ys()[:, None]
    colours = (picture.palette.accent, mix(picture.palette.accent, (0.62, 0.36, 0.95), 0.6))
    for band in range(3):
        rng = picture.rng("aurora", band)
        x = small.xs(0.03)
        sway = np.float32(0.05 * np.sin(2 * np.pi * view.phase + band))
        foot = 0.30 + 0.13 * band / 2 + 0.13 * line(x * 1.1 + sway, rng, 2, 0.5)
        rays = 0.55 + 0.45 * line(x * 9 + 2 * sway, rng, 3, 0.6)
        up = foot[None, :] * picture.horizon * 1.6 - y
        reach = 0.16 + 0.10 * line(x * 2.3, rng, 2, 0.5)[None, :]
        curtain = np.exp(-np.maximum(up, 0) / np.maximum(reach, 0.05)) * smoothstep(-0.03, 0.02, up)
        mask = curtain * np.clip(rays, 0, 1)[None, :] * (0.62 - 0.13 * band)
        full = np.clip(enlarge(np.asarray(mask, np.float32), view.width, view.height), 0, 1)
        glow(sheet, colours[min(band, 1)], full)
