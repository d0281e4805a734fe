"""A small WebP of a picture: at most 512 pixels on its longer side, of its first frame.

Pure work on one file, done in a worker thread. A picture is only decoded when its header, and
what Pillow makes of it, say that it is of a bearable size, whatever it would unpack to. What
cannot be decoded has no thumbnail, which is no mistake.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageFile, ImageOps

SIDE = 512
"""Pixels of the longer side, at most."""

SMALL_BYTES = 64 * 1024
"""A still picture within SIDE and this is its own thumbnail."""

MOST_PIXELS = {"image/png": 40_000_000, "image/jpeg": 40_000_000}
MOST_PIXELS_OF_OTHERS = 16_000_000
"""Of a picture that is decoded; a larger one has no thumbnail. The decoders of WebP, AVIF and
GIF keep several copies of it while they work."""

LARGE_PIXELS = 10_000_000
"""Above this a picture takes up to 330 MB while it is worked on, and up to 180 MB below."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")

_DIRECT = ("RGB", "RGBA", "L", "LA", "CMYK", "YCbCr")
"""Modes that are made small first and converted then, which needs no second large copy."""


def is_bearable(media_type: str, width: int | None, height: int | None) -> bool:
    """Whether such a file may be decoded."""
    most = MOST_PIXELS.get(media_type, MOST_PIXELS_OF_OTHERS)
    return media_type.startswith("image/") and 0 < (width or 0) * (height or 0) <= most


def is_large(width: int | None, height: int | None) -> bool:
    """Whether to decode it beside others would take too much."""
    return (width or 0) * (height or 0) > LARGE_PIXELS


def thumbnail(path: Path, quality: int) -> bytes | None:
    """The thumbnail; None for a picture that cannot be decoded, or is small itself."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if _is_small(image, path.stat().st_size) or not _is_bearable(image):
                return None
            return _drawn(image, quality)
    except MemoryError:
        raise
    except Exception:  # decoders raise what they like for a picture that is broken
        return None


def _is_small(image: ImageFile.ImageFile, size: int) -> bool:
    """An animation might move, and is never small; other formats may be less well known."""
    still = image.format in ("PNG", "JPEG") and not getattr(image, "is_animated", False)
    return still and max(image.size) <= SIDE and size <= SMALL_BYTES


def _is_bearable(image: ImageFile.ImageFile) -> bool:
    """The frames of a GIF may be larger than its header says."""
    return is_bearable(Image.MIME.get(image.format or "", ""), *image.size)


def _drawn(image: ImageFile.ImageFile, quality: int) -> bytes:
    image.draft("RGB", (SIDE, SIDE))
    made: Image.Image = image
    if made.mode.startswith("I"):  # 16 bits: to convert them would cut them off, not scale
        made = made.point(lambda value: value * (1 / 256) + 0).convert("L")
    clear = made.mode in ("RGBA", "LA", "PA") or "transparency" in made.info
    if made.mode not in _DIRECT or (clear and made.mode not in ("RGBA", "LA")):
        made = made.convert("RGBA" if clear else "RGB")
    made.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    ImageOps.exif_transpose(made, in_place=True)
    out = io.BytesIO()
    made.convert("RGBA" if clear else "RGB").save(out, "WEBP", quality=quality, method=1)
    return out.getvalue()
