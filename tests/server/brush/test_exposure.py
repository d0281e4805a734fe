"""The input image: what is read, what is refused, and how much of it stays."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import msgspec
import numpy as np
import pytest
from PIL import Image

from safelight.brush.exposure import read
from safelight.brush.paint import paint
from safelight.brush.spec import BadInput, PaintSpec

from .conftest import Apart, Last, Look


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def halves() -> Image.Image:
    """Black on the left, yellow on the right."""
    image = Image.new("RGB", (300, 200), (10, 10, 10))
    image.paste((240, 220, 60), (150, 0, 300, 200))
    return image


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 60000 x 60000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def large() -> bytes:
    """An honest image with more pixels than are taken."""
    return encoded(Image.new("1", (8000, 7000)))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_common_formats_are_read(format: str) -> None:
    """Pictures of the listed formats are read in plain colours."""
    image = read(encoded(halves(), format))
    assert (image.mode, image.size) == ("RGB", (300, 200))


def test_transparency_shows_paper() -> None:
    """What is transparent becomes white."""
    image = read(encoded(Image.new("RGBA", (300, 300), (255, 0, 0, 0))))
    assert image.getpixel((5, 5)) == (255, 255, 255)


def test_a_turned_photograph_stands_upright() -> None:
    """The orientation that a camera notes is followed."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read(encoded(halves(), "JPEG", exif=exif)).size == (200, 300)


BAD = {
    "no image": b"this is no picture at all",
    "empty svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "cut off": encoded(halves())[:120],
    "bomb": bomb(),
    "too large": large(),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_bad_image_is_refused_with_a_reason(data: bytes) -> None:
    """Whatever is wrong with the bytes, one error says so before the first step."""
    with pytest.raises(BadInput, match=r"^input image: .{10}"):
        paint(PaintSpec(prompt="x", seed=1, image=data))


def test_strength_moves_away_from_the_image(last: Last, look: Look, apart: Apart) -> None:
    """At strength 0 the input's own light stays; the more, the nearer the painting."""
    spec = PaintSpec(prompt="sea at night", seed=1, width=300, height=256, steps=1)
    plain = look(last(paint(spec)).data)
    photo = msgspec.structs.replace(spec, image=encoded(halves()))
    kept, between, gone = (
        look(last(paint(msgspec.structs.replace(photo, strength=part))).data)
        for part in (0.0, 0.5, 1.0)
    )
    assert kept[:, 200:].mean() > kept[:, :100].mean() + 0.3
    assert apart(kept, plain) > apart(between, plain) > apart(gone, plain)
    assert np.abs(gone - plain).mean() > 0.001
