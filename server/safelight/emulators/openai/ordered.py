"""What a request for pictures asks for, held against what the models take.

`read` takes the JSON of /v1/images/generations, or of an edit with its files, and answers
with an Order or raises a Refusal that names the parameter, as the real one does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..canvas import MEGABYTE, Canvas, NotAPicture, opened
from ..prose import tokens
from .errors import invalid, missing, no_model, unknown, wrong_type
from .models import MODELS
from .prices import Tokens

QUALITIES = {"low": 272, "medium": 1056, "high": 4160, "xhigh": 6240, "max": 8320}
"""What a picture of 1024 by 1024 is in tokens; others by their area."""

PARTIAL_TOKENS = 100
"""What each partial picture adds."""

OLD_SIZES = ("1024x1024", "1536x1024", "1024x1536")
OLD_MODELS = ("gpt-image-1.5", "gpt-image-1-mini")
FORMS = ("png", "webp", "jpeg")
MOST_SOURCES = 16
MOST_PROMPT = 32_000
HUGE = 3.0
"""Megabytes of a picture that is huge where nobody says how much that is."""

KNOWN = frozenset(
    "prompt background complexity model moderation n output_compression output_format"
    " partial_images quality safety_identifier size stream user image images mask"
    " input_fidelity".split()
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One request for `n` pictures."""

    model: str
    prompt: str
    n: int
    width: int
    height: int
    quality: str
    form: str
    compression: int
    clear: bool
    stream: bool
    partials: int
    sources: tuple[bytes, ...] = ()

    @property
    def size(self) -> str:
        """As it is told."""
        return f"{self.width}x{self.height}"

    @property
    def background(self) -> str:
        """As it is told."""
        return "transparent" if self.clear else "opaque"

    def canvas(self, number: int, megabytes: float = 0.0) -> Canvas:
        """What is painted as the picture of that number."""
        return Canvas(
            text=self.prompt,
            width=self.width,
            height=self.height,
            form=self.form,
            seed=number,
            quality=max(1, self.compression),
            clear=self.clear,
            at_least=int(megabytes * MEGABYTE),
            sources=self.sources,
        )

    def used(self, pictures: int, partials: int) -> Tokens:
        """What so many pictures and partial ones come to, with what went in."""
        area = self.width * self.height / (1024 * 1024)
        each = round(QUALITIES[self.quality] * area)
        return Tokens(
            text_in=tokens(self.prompt),
            image_in=sum(_tokens_of(source) for source in self.sources),
            image_out=pictures * each + partials * PARTIAL_TOKENS,
        )


def read(asked: Mapping[str, Any], *, is_edit: bool) -> Order:
    """The order. Raises Refusal."""
    for name in asked:
        if name not in KNOWN or (name in ("image", "images", "mask") and not is_edit):
            raise unknown(name)
    prompt = asked.get("prompt")
    if not prompt:
        raise missing("prompt")
    if not isinstance(prompt, str):
        raise wrong_type("prompt", "a string", prompt)
    if len(prompt) > MOST_PROMPT:
        raise invalid("The prompt is too long.", "prompt", "string_above_max_length")
    model = asked.get("model") or "gpt-image-2"
    if model not in MODELS or MODELS[model].does != "image":
        raise no_model(str(model))
    stream = _flag(asked, "stream")
    width, height = _size(asked, model)
    order = Order(
        model=model,
        prompt=prompt,
        n=_number(asked, "n", 1, 10, 1),
        width=width,
        height=height,
        quality=_one_of(asked, "quality", (*QUALITIES, "auto"), "medium"),
        form=_one_of(asked, "output_format", FORMS, "png"),
        compression=_number(asked, "output_compression", 0, 100, 100),
        clear=_one_of(asked, "background", ("transparent", "opaque", "auto"), "") == "transparent",
        stream=stream,
        partials=_number(asked, "partial_images", 0, 3, 0) if stream else 0,
        sources=_sources(asked) if is_edit else (),
    )
    if order.clear and order.form == "jpeg":
        message = "Transparent background is not supported for JPEG output format."
        raise invalid(message, "background")
    return order


def _flag(asked: Mapping[str, Any], name: str) -> bool:
    value = asked.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return bool(value)


def _number(asked: Mapping[str, Any], name: str, least: int, most: int, otherwise: int) -> int:
    value = asked.get(name)
    if value is None:
        return otherwise
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    if not least <= value <= most:
        below = value < least
        word, bound = ("minimum", least) if below else ("maximum", most)
        message = f"Invalid '{name}': integer {'below' if below else 'above'} {word} value."
        code = f"integer_{'below_min' if below else 'above_max'}_value"
        raise invalid(f"{message} Expected {bound}, but got {value} instead.", name, code)
    return value


def _one_of(asked: Mapping[str, Any], name: str, allowed: tuple[str, ...], otherwise: str) -> str:
    value = asked.get(name)
    if value is None or value == "auto":
        return otherwise
    if value not in allowed:
        words = ", ".join(f"'{each}'" for each in allowed)
        message = f"Invalid value: '{value}'. Supported values are: {words}."
        raise invalid(message, name)
    return str(value)


def _size(asked: Mapping[str, Any], model: str) -> tuple[int, int]:
    text = asked.get("size") or "auto"
    if text == "auto":
        return 1024, 1024
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(text))
    if found is None or (model in OLD_MODELS and text not in OLD_SIZES):
        words = ", ".join(f"'{each}'" for each in (*OLD_SIZES, "auto"))
        message = f"Invalid value: '{text}'. Supported values are: {words}."
        raise invalid(message, "size")
    width, height = int(found[1]), int(found[2])
    fits = width % 16 == 0 and height % 16 == 0 and 0 < min(width, height)
    if not fits or max(width, height) > 3 * min(width, height):
        message = "Width and height must be divisible by 16, in a ratio of 1:3 to 3:1."
        raise invalid(f"Invalid size '{text}'. {message}", "size")
    if max(width, height) > 3840 or width * height > 3840 * 2160:
        raise invalid(f"Invalid size '{text}'. At most 3840x2160 is supported.", "size")
    return width, height


def _sources(asked: Mapping[str, Any]) -> tuple[bytes, ...]:
    given = asked.get("image") or asked.get("images")
    if not given:
        raise missing("image")
    listed = given if isinstance(given, list) else [given]
    if len(listed) > MOST_SOURCES:
        raise invalid(f"At most {MOST_SOURCES} images are supported.", "image")
    found = tuple(_bytes_of(each) for each in listed)
    for source in found:
        _tokens_of(source)
    return found


def _bytes_of(given: Any) -> bytes:
    if isinstance(given, dict):
        given = given.get("image_url")
    return given if isinstance(given, bytes) else of_data_url(given, "image")


def of_data_url(url: object, param: str) -> bytes:
    """The bytes of a picture that is its own address. Raises Refusal."""
    if not isinstance(url, str) or not url.startswith("data:image/"):
        message = "Expected a base64-encoded data URL with an image."
        raise invalid(message, param, "invalid_image_url")
    try:
        return base64.b64decode(url.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Invalid base64 data.", param, "invalid_base64_image") from None


def _tokens_of(source: bytes) -> int:
    try:
        width, height = (int(side) for side in opened(source).size)
    except NotAPicture:
        message = "Invalid image file or mode for image, please check your image file."
        raise invalid(message, "image", "invalid_image_file") from None
    return min(1536, -(-width // 32) * -(-height // 32))
