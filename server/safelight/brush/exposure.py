"""The input image: read with suspicion, brushed over, and exposed twice with the painting.

The bytes come from a stranger: only a few formats, a bound on pixels that is
checked before anything is decoded, and one clear `BadInput` for all that is wrong.
"""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from .canvas import View
from .composition import Composition
from .noise import Field, smoothstep
from .palette import ramp, spread
from .spec import BadInput

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 50_000_000


def read(data: bytes) -> Image.Image:
    """The image, upright and in plain colours. Raises `BadInput`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(BytesIO(data), formats=FORMATS)
        _bounded(image.size)
        image.load()
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    except UnidentifiedImageError:
        raise BadInput(
            f"input image: found {len(data)} bytes of no known image, expected {', '.join(FORMATS)}"
        ) from None
    except Image.DecompressionBombError:
        raise BadInput(f"input image: more than {MAX_PIXELS} pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as trouble:
        raise BadInput(f"input image: cannot be decoded ({trouble})"[:200]) from None
    paper = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return Image.alpha_composite(paper, upright).convert("RGB")


def _bounded(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise BadInput(
            f"input image: found {size[0]} x {size[1]} pixels, expected at most {MAX_PIXELS}"
        )


def brushed(image: Image.Image, view: View) -> Field:
    """The image cut to the view's shape and painted in dabs of one colour each."""
    fitted = ImageOps.fit(image, (view.width, view.height), Image.Resampling.BICUBIC)
    reach = max(1, round(view.scale * 0.0042))
    return _dabs(fitted, reach)


def _dabs(image: Image.Image, reach: int) -> Field:
    """Of four squares around each pixel the calmest gives the colour (Kuwahara's filter)."""
    half = (reach + 1) // 2
    border = ((half, half), (half, half))
    mean = np.asarray(image.filter(ImageFilter.BoxBlur(reach / 2)), np.float32) / np.float32(255)
    grey = np.asarray(image.convert("L"), np.float32) / np.float32(255)
    rough = np.pad(_box(grey * grey, half) - _box(grey, half) ** 2, border, mode="edge")
    wide = np.pad(mean, (*border, (0, 0)), mode="edge")
    best, calm = mean, np.full_like(grey, np.inf)
    height, width = grey.shape
    for dy in (0, 2 * half):
        for dx in (0, 2 * half):
            other = rough[dy : dy + height, dx : dx + width]
            take = other < calm
            calm = np.where(take, other, calm)
            best = np.where(take[..., None], wide[dy : dy + height, dx : dx + width], best)
    return np.asarray(best, np.float32)


def _box(field: Field, half: int) -> Field:
    """The mean over a square of 2 x `half` + 1 pixels."""
    span = 2 * half + 1
    for axis in (0, 1):
        border = [(0, 0), (0, 0)]
        border[axis] = (half + 1, half)
        sums = np.cumsum(np.pad(field, border, mode="edge"), axis=axis, dtype=np.float64)
        starts = np.arange(sums.shape[axis] - span)
        field = (np.take(sums, starts + span, axis) - np.take(sums, starts, axis)) / span
    return np.asarray(field, np.float32)


def expose(sheet: Field, photo: Field, picture: Composition, strength: float) -> None:
    """Both on one sheet: the photo in the painting's colours, the painting in its lights."""
    palette = picture.palette
    grey = photo @ np.array([0.30, 0.59, 0.11], np.float32)
    table = ramp([palette.deep, palette.ground, palette.haze, *palette.sky[1:], palette.light])
    toned = photo + (spread(table, grey) - photo) * np.float32(min(1.0, 0.15 + strength * 0.8))
    veil = smoothstep(1.02 - 0.9 * strength, 1.75 - 1.1 * strength, grey)
    veil = np.clip(veil * strength * 1.25 + max(0.0, strength - 0.6), 0, 0.94)
    sheet += (toned - sheet) * (1 - veil)[..., None]
