"""Sizes of pictures from their headers, however large, broken or full of text they are."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from safelight.media import sniff
from safelight.stills import picture_size
from safelight.thumbnails import is_bearable, thumbnail


def encoded(form: str, size: tuple[int, int] = (70, 30), mode: str = "RGB", **more: Any) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    Image.new(mode, size).save(out, form, **more)
    return out.getvalue()


def size_of(tmp_path: Path, data: bytes) -> tuple[int, int] | None:
    """As its header says."""
    file = tmp_path / "file"
    file.write_bytes(data)
    return picture_size(file, sniff(data[:64]) or "")


FRAMES: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (70, 30), "red")]}
FORMS: dict[str, bytes] = {
    "PNG": encoded("PNG"),
    "JPEG": encoded("JPEG"),
    "GIF": encoded("GIF"),
    "AVIF": encoded("AVIF"),
    "WebP, lossy": encoded("WEBP"),
    "WebP, lossless": encoded("WEBP", lossless=True),
    "WebP, animated": encoded("WEBP", **FRAMES),
    "JPEG of inks": encoded("JPEG", mode="CMYK"),
    "PNG with 16 bits": encoded("PNG", mode="I;16"),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_a_picture_has_the_size_that_its_header_says(tmp_path: Path, data: bytes) -> None:
    """Of each kind that is kept."""
    assert size_of(tmp_path, data) == (70, 30)


def test_a_header_may_say_any_size(tmp_path: Path) -> None:
    """It is read and no more: room is made for no picture."""
    webp = bytearray(encoded("WEBP", **FRAMES))
    webp[24:30] = b"\xff\xff\xff" * 2
    gif = b"GIF89a" + struct.pack("<HH", 60_000, 50_000) + bytes(30)
    assert size_of(tmp_path, bytes(webp)) == (2**24, 2**24)
    assert size_of(tmp_path, gif) == (60_000, 50_000)


def test_texts_are_not_unpacked(tmp_path: Path) -> None:
    """A PNG whose workflow unpacks to megabytes is a picture like others."""
    info = PngInfo()
    info.add_text("workflow", "x" * 3_000_000, zip=True)
    assert size_of(tmp_path, encoded("PNG", pnginfo=info)) == (70, 30)


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_no_damage_is_more_than_a_broken_picture(tmp_path: Path, data: bytes) -> None:
    """Whatever bytes are wrong: there is a size or there is none, a thumbnail or none, and
    nothing is raised."""
    dice = random.Random(7)
    file = tmp_path / "file"
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(min(80, len(broken)))] = dice.choice((0, 127, 255))
        file.write_bytes(broken)
        media_type = sniff(bytes(broken[:64])) or ""
        if media_type.startswith("image/"):
            size = picture_size(file, media_type)
            if size is not None and is_bearable(media_type, *size):
                thumbnail(file, 75)


def test_a_frame_larger_than_its_screen_is_not_decoded(tmp_path: Path) -> None:
    """A GIF of one pixel by its header, whose frame has 121 million."""
    frame = b"," + struct.pack("<HHHH", 0, 0, 11_000, 11_000) + b"\0\x02\x02\x4c\x01\0;"
    file = tmp_path / "file"
    file.write_bytes(b"GIF89a\1\0\1\0\x80\0\0" + b"\0\0\0\xff\xff\xff" + frame)
    assert thumbnail(file, 75) is None


def small(tmp_path: Path, image: Image.Image, **more: Any) -> Image.Image:
    """The thumbnail of it as a PNG."""
    file = tmp_path / "file"
    image.save(file, "PNG", **more)
    made = thumbnail(file, 90)
    assert made is not None
    return Image.open(io.BytesIO(made))


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    """Grey stays grey; cut off, all but the darkest would be white."""
    grey = Image.new("I;16", (600, 600), 32_768)
    assert small(tmp_path, grey).convert("L").getpixel((100, 100)) in range(122, 135)


def test_what_is_clear_stays_clear(tmp_path: Path) -> None:
    """Of a palette too."""
    picture = Image.new("P", (600, 600), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    made = small(tmp_path, picture, transparency=bytes([255, 0]))
    assert made.mode == "RGBA" and made.getpixel((9, 9))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_camera_that_was_turned_is_turned_back(tmp_path: Path, orientation: int) -> None:
    """As the file itself is shown by browsers."""
    exif = Image.Exif()
    exif[0x112] = orientation
    made = small(tmp_path, Image.new("RGB", (1200, 600)), exif=exif)
    assert made.size == ((512, 256) if orientation == 3 else (256, 512))
    assert made.getexif().get(0x112, 1) == 1


def test_what_moves_is_not_its_own_thumbnail(tmp_path: Path) -> None:
    """A small PNG that is animated gets a still one."""
    file = tmp_path / "file"
    file.write_bytes(encoded("PNG", **FRAMES))
    assert thumbnail(file, 75) is not None
    file.write_bytes(encoded("PNG"))
    assert thumbnail(file, 75) is None
