"""Pictures to order: of any size, clear ground, made of other pictures, as heavy as is wanted.

The same order gives the same bytes. A picture that is larger than a reader's buffer is a
fault of its own kind, so one may be asked to weigh something; and one may be asked for half
done, since partial pictures are told while it is made. Knows no provider.
"""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import msgspec
from PIL import Image, ImageDraw, ImageFilter, PngImagePlugin, UnidentifiedImageError

FORMS = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
"""What can be made, and its media type."""

SKETCH = 192
"""The longer side at which shapes are drawn; they are scaled from there, which is quick."""

MEGABYTE = 1_000_000


class NotAPicture(Exception):
    """Bytes that no picture can be read from; the message says which one they were."""


class Canvas(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: `form` is one of FORMS, `quality` 1 to 100 for those that lose
    something, `at_least` the bytes that it must weigh, `sources` the pictures it is made of."""

    text: str
    width: int = 1024
    height: int = 1024
    form: str = "png"
    seed: int = 0
    quality: int = 90
    clear: bool = False
    at_least: int = 0
    sources: Sequence[bytes] = ()


def painted(canvas: Canvas, share: float = 1.0) -> bytes:
    """The picture when `share` of it, 0 to 1, is done: blurred before its end."""
    chance = random.Random(f"{canvas.seed} {canvas.text}")
    image = _sketch(canvas, chance)
    if share < 1:
        image = image.filter(ImageFilter.GaussianBlur(1 + 14 * (1 - share)))
    image = image.resize((canvas.width, canvas.height), Image.Resampling.BILINEAR)
    if canvas.at_least:
        image = _grained(image, chance)
    return _written(image, canvas, chance)


def opened(data: bytes, name: str = "image") -> Image.Image:
    """The picture in these bytes, decoded to its last pixel. Raises NotAPicture."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise NotAPicture(name) from None
    return image


def _sketch(canvas: Canvas, chance: random.Random) -> Image.Image:
    scale = SKETCH / max(canvas.width, canvas.height)
    size = (max(1, round(canvas.width * scale)), max(1, round(canvas.height * scale)))
    image = Image.new("RGBA", size, (0, 0, 0, 0) if canvas.clear else _colour(chance))
    for number, source in enumerate(canvas.sources):
        part = opened(source, f"image {number}").convert("RGBA").resize(size)
        image = Image.blend(image, part, 1 / (number + 1) if number else 0.75)
    draw = ImageDraw.Draw(image)
    for _ in range(5 if canvas.sources else 14):
        x, y = chance.randrange(size[0]), chance.randrange(size[1])
        reach = chance.randint(SKETCH // 16, SKETCH // 3)
        box = (x, y, x + reach, y + chance.randint(SKETCH // 16, SKETCH // 3))
        shape = draw.ellipse if chance.random() < 0.6 else draw.rectangle
        shape(box, fill=_colour(chance))
    return image if canvas.clear else image.convert("RGB")


def _colour(chance: random.Random) -> tuple[int, int, int, int]:
    red, green, blue = (chance.randrange(24, 240) for _ in range(3))
    return (red, green, blue, 255)


def _grained(image: Image.Image, chance: random.Random) -> Image.Image:
    """With noise, which no format can pack."""
    noise = Image.frombytes("RGB", image.size, chance.randbytes(image.width * image.height * 3))
    return Image.blend(image.convert("RGB"), noise, 0.5)


def _written(image: Image.Image, canvas: Canvas, chance: random.Random) -> bytes:
    out = io.BytesIO()
    match canvas.form:
        case "jpeg":
            image.convert("RGB").save(out, "JPEG", quality=canvas.quality)
        case "webp":
            image.save(out, "WEBP", quality=canvas.quality, method=0)
        case _:
            image.save(out, "PNG", compress_level=1)
    lacking = canvas.at_least - out.tell()
    if lacking > 0 and canvas.form == "png":
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=1, pnginfo=_ballast(lacking, chance))
    return out.getvalue()


def _ballast(size: int, chance: random.Random) -> PngImagePlugin.PngInfo:
    """A text chunk of this size, which every reader skips."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", chance.randbytes(size // 2 + 64).hex())
    return info
