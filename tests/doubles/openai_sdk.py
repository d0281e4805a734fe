"""OpenAI's own SDK at an emulator of theirs: a client that asks once, and pictures as it gets
them."""

from __future__ import annotations

import base64
import io

from openai import OpenAI
from PIL import Image

from tests.doubles.emulated import Emulated


def client_of(emulator: Emulated) -> OpenAI:
    """A client, which is closed by leaving it."""
    url = emulator.url + "/v1"
    return OpenAI(api_key=emulator.key, base_url=url, max_retries=0, timeout=20)


def picture(text: str | None) -> Image.Image:
    """The one that this is in base64."""
    image = Image.open(io.BytesIO(base64.b64decode(text or "", validate=True)))
    image.load()
    return image
