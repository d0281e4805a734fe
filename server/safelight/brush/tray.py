"""The developer tray: what a picture looks like on its way, under the safelight.

As on real paper the shadows come first and unevenly, then the middle tones; the
light is red until the fixer, then white, and colour comes with it. At 1 the
picture is shown as it is. Only previews pass through here, never a result.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter

from .noise import Field, enlarge, smoothstep, stream, texture
from .spec import Preview

LONGEST = 384
MAX_BYTES = 64 * 1024 - 1
SAFELIGHT = np.array([0.93, 0.25, 0.15], np.float32)
PAPER = np.array([0.97, 0.95, 0.91], np.float32)


def preview_size(width: int, height: int) -> tuple[int, int]:
    """The size of a preview: the same shape, the longest side at most 384."""
    part = min(1.0, LONGEST / max(width, height))
    return (max(1, round(width * part)), max(1, round(height * part)))


class Tray:
    """One small finished picture (0 to 1) that can be shown at any stage of developing."""

    def __init__(self, plate: Field, *key: object) -> None:
        height, width = plate.shape[:2]
        self._plate = plate
        uneven = texture(stream("tray", *key), 2.2, 2)[:64, :64]
        self._uneven = enlarge(uneven, width, height)

    def show(self, part: float) -> Field:
        """The picture when `part` (0 to 1) of the time is over."""
        if part >= 1:
            return self._plate
        plate = _soft(self._plate, part)
        grey = plate @ np.array([0.30, 0.59, 0.11], np.float32)
        density = 1 - grey
        time = np.maximum(0, 1.35 * part**1.25 + 0.07 * self._uneven * (1 - part) - 0.02)
        grown = 1 - np.exp(-time * (0.9 + 4.2 * density**1.3))
        grown = grown * (1 - part**3) + part**3
        tone = 1 - density * grown
        colour = float(smoothstep(0.45, 0.95, np.array([part], np.float32))[0])
        white = float(smoothstep(0.58, 0.86, np.array([part], np.float32))[0])
        chroma = (plate - grey[..., None]) * colour
        shown = (tone[..., None] + chroma) * (PAPER * (1 - colour) + colour)
        return np.asarray(np.clip(shown * (SAFELIGHT * (1 - white) + white), 0, 1), np.float32)


def _soft(plate: Field, part: float) -> Field:
    """Detail comes late: blurred at first, sharp from the half on."""
    radius = 5.0 * max(0.0, 0.5 - part)
    if radius < 0.2:
        return plate
    image = Image.fromarray((np.clip(plate, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


def preview(picture: Field) -> Preview:
    """The picture as a small JPEG, under 64 KiB."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    for quality in (82, 70, 50, 25):
        out = BytesIO()
        image.save(out, "JPEG", quality=quality)
        if out.tell() <= MAX_BYTES:
            break
    return Preview("image/jpeg", out.getvalue())
