"""Something to look at: small pictures and films that follow from words and a seed.

No brush of Safelight's is used; that a picture is this emulator's shall be seen at once.
The same words and seed give the same bytes. It knows no provider.
"""

from __future__ import annotations

import hashlib
import io
import math
import random
import textwrap
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter, UnidentifiedImageError

Format = Literal["png", "jpeg", "webp"]
MAX_SIDE = 2048


def picture(
    words: str,
    *,
    seed: int = 0,
    size: tuple[int, int] = (256, 256),
    share: float = 1.0,
    kind: Format = "png",
) -> bytes:
    """A picture of coloured discs with the words on it; `share` below 1 is one that is not
    done yet, and blurred. Sides are held to 16 and 2048 pixels."""
    image = _painted(words, seed, size)
    if share < 1.0:
        image = image.filter(ImageFilter.GaussianBlur((1.0 - share) * 12))
    return _written(image, kind)


def film(
    words: str,
    *,
    seed: int = 0,
    size: tuple[int, int] = (192, 128),
    frames: int = 12,
    start: bytes | None = None,
) -> bytes:
    """A film as an animated WebP; it begins with the picture `start`, if there is one. Raises
    ValueError for a start that is no picture."""
    ground = _painted(words, seed, size) if start is None else _read(start, _held(size))
    shown = []
    for number in range(max(2, frames)):
        turn = 2 * math.pi * number / frames
        frame = ground.copy()
        x = ground.width * (0.5 + 0.35 * math.sin(turn))
        y = ground.height * (0.5 - 0.35 * math.cos(turn))
        ImageDraw.Draw(frame).ellipse((x - 9, y - 9, x + 9, y + 9), fill=(255, 240, 200))
        shown.append(frame)
    into = io.BytesIO()
    shown[0].save(into, "WEBP", save_all=True, append_images=shown[1:], duration=80, loop=0)
    return into.getvalue()


def story(words: str, *, seed: int = 0, sentences: int = 4) -> str:
    """A text about the words, for models that write."""
    chance = random.Random(f"{seed}:{words}")
    subject = " ".join(words.split()[:6]) or "nothing in particular"
    verbs = ("waits", "shines", "drifts", "hums", "unfolds", "returns")
    places = ("in the harbour", "under a red lamp", "between two trays", "on wet paper")
    told = (
        f"{subject[0].upper()}{subject[1:]} {chance.choice(verbs)} {chance.choice(places)}."
        for _ in range(sentences)
    )
    return " ".join(told)


def _painted(words: str, seed: int, size: tuple[int, int]) -> Image.Image:
    digest = hashlib.sha256(f"{seed}\n{words}".encode()).digest()
    chance = random.Random(digest)
    width, height = _held(size)
    image = Image.new("RGB", (width, height), (digest[0] // 3, digest[1] // 3, digest[2] // 3))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = chance.randrange(width), chance.randrange(height)
        r = chance.randrange(4, max(6, min(width, height) // 3))
        colour = tuple(chance.randrange(60, 256) for _ in range(3))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    lines = textwrap.wrap(words, max(8, width // 8))[:4]
    draw.multiline_text((6, 6), "\n".join(lines), fill=(255, 255, 255))
    return image


def _read(start: bytes, size: tuple[int, int]) -> Image.Image:
    try:
        with Image.open(io.BytesIO(start)) as given:
            return given.convert("RGB").resize(size)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as trouble:
        raise ValueError(f"no picture: {trouble}") from None


def _held(size: tuple[int, int]) -> tuple[int, int]:
    width, height = (max(16, min(MAX_SIDE, side)) for side in size)
    return width, height


def _written(image: Image.Image, kind: Format) -> bytes:
    into = io.BytesIO()
    image.save(into, kind.upper())
    return into.getvalue()
