"""A small WebP of a picture: at most 512 pixels on its longer side, of its first frame.

Pure work on one file, done in a worker thread by who keeps it. A picture is only decoded
when its header says that it is of a bearable size, whatever it would unpack to: no file can
take more memory than that. What cannot be decoded has no thumbnail, which is no mistake.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageOps

SIDE = 512
"""Pixels of the longer side, at most."""

SMALL_BYTES = 64 * 1024
"""A still picture within SIDE and this is its own thumbnail."""

MOST_PIXELS = 40_000_000
"""Of a picture that is decoded: 160 MB as it is worked on. A larger one has no thumbnail."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")

UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, IndexError)
"""What Pillow raises for a picture that is broken behind its header."""


def is_small(media_type: str, width: int | None, height: int | None, size: int) -> bool:
    """Whether a picture is its own thumbnail. An animation might move: it never is."""
    still = media_type in ("image/png", "image/jpeg")
    return still and max(width or SIDE + 1, height or SIDE + 1) <= SIDE and size <= SMALL_BYTES


def is_bearable(media_type: str, width: int | None, height: int | None) -> bool:
    """Whether a thumbnail may be made of such a file."""
    return media_type.startswith("image/") and 0 < (width or 0) * (height or 0) <= MOST_PIXELS


def thumbnail(path: Path, quality: int) -> bytes | None:
    """The thumbnail, or None if the picture cannot be decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.draft("RGB", (SIDE, SIDE))
            turned = ImageOps.exif_transpose(image)
            clear = turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info
            made = turned.convert("RGBA" if clear else "RGB")
            made.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            made.save(out, "WEBP", quality=quality, method=1)
    except UNDECODABLE:
        return None
    return out.getvalue()
