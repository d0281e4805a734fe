"""Chance made visible: seeded random streams and the fields that are drawn from them.

Everything random in a picture comes through `stream`, so equal keys give equal
pictures. Textures are periodic and isotropic (random spectra, no lattice), and
they are looked up in world units, so that a bigger picture shows the same forms.
Knows nothing of colours or scenes. Same library versions give the same numbers.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.floating[Any]]
"""Floats, usually of 32 bits: (height, width) for masks and tones, with a third axis for
colours, (n, 2) for outlines."""

SIZE = 512
"""Samples on each side of a texture; a power of two, so that wrapping is a mask."""


def stream(*key: object) -> np.random.Generator:
    """A random stream of its own for every key; equal keys give equal streams."""
    digest = blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def texture(rng: np.random.Generator, slope: float = 1.7, low: float = 2.0) -> Field:
    """A periodic field, mean 0 and deviation 1.

    `slope` is the fall of its spectrum: 1 is rough, 2.5 is soft. Waves longer than
    1/`low` of the tile are left out, so that no tile is bright at one end.
    """
    gain = _gain(slope, low)
    real, imaginary = rng.standard_normal((2, *gain.shape), dtype=np.float32) * gain
    field = np.fft.irfft2(real + 1j * imaginary, (SIZE, SIZE))
    return np.asarray(field / field.std(), np.float32)


@lru_cache(16)
def _gain(slope: float, low: float) -> Field:
    """How strong each wave of a spectrum is."""
    waves = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :]) * SIZE
    gain = np.where(waves < low, 0.0, np.maximum(waves, low) ** -slope)
    return np.asarray(gain, np.float32)


def patch(tile: Field, box: tuple[float, float, float, float], width: int, height: int) -> Field:
    """The part `box` = (left, top, right, bottom) of an endless tiling, smoothly resized.

    Units of `box` are tiles. Enlarging is bicubic, shrinking averages.
    """
    left, top, right, bottom = (edge * SIZE for edge in box)
    x0, y0 = int(np.floor(left)) - 2, int(np.floor(top)) - 2
    columns = np.arange(x0, int(np.ceil(right)) + 3) & (SIZE - 1)
    rows = np.arange(y0, int(np.ceil(bottom)) + 3) & (SIZE - 1)
    part = Image.fromarray(np.ascontiguousarray(tile[np.ix_(rows, columns)]))
    inside = (left - x0, top - y0, right - x0, bottom - y0)
    resized = part.resize((width, height), Image.Resampling.BICUBIC, box=inside)
    return np.asarray(resized, np.float32)


def sample(tile: Field, u: Field, v: Field) -> Field:
    """The tile at any coordinates (in tiles, wrapping), linear between its samples."""
    u, v = u * SIZE, v * SIZE
    left, top = np.floor(u), np.floor(v)
    fu, fv = u - left, v - top
    x0, y0 = left.astype(np.int32) & (SIZE - 1), top.astype(np.int32) & (SIZE - 1)
    x1, y1 = (x0 + 1) & (SIZE - 1), ((y0 + 1) & (SIZE - 1)) * SIZE
    y0 = y0 * SIZE
    flat = tile.ravel()
    upper = flat[y0 + x0] * (1 - fu) + flat[y0 + x1] * fu
    lower = flat[y1 + x0] * (1 - fu) + flat[y1 + x1] * fu
    return np.asarray(upper * (1 - fv) + lower * fv, np.float32)


def enlarge(field: Field, width: int, height: int) -> Field:
    """The field at another size, bicubic."""
    image = Image.fromarray(np.ascontiguousarray(field, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def line(x: Field, rng: np.random.Generator, octaves: int, gain: float, ridged: float = 0) -> Field:
    """A rolling curve over `x`, about -1 to 1, one wave a unit in its first octave.

    `ridged` 0 rolls like hills; towards 1 the crests fold into peaks.
    """
    total, weight, size = np.zeros_like(x), 1.0, 0.0
    for octave in range(octaves):
        table = rng.uniform(-1, 1, 256).astype(np.float32)
        at = x * np.float32(2.03**octave) + np.float32(rng.uniform(0, 256))
        left = np.floor(at)
        f = at - left
        f = f * f * f * (f * (f * 6 - 15) + 10)
        i = left.astype(np.int32)
        wave = table[i & 255] * (1 - f) + table[(i + 1) & 255] * f
        total += weight * (wave * (1 - ridged) + (1 - 2 * np.abs(wave)) * ridged)
        size += weight
        weight *= gain
    return np.asarray(total / size * 1.6, np.float32)


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, smooth between; `low` > `high` turns it round."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
