"""What a request of text models says: the words of its input, and how many tokens they are.

Input comes as one string or as messages, whose content is a string or a list of parts; the
answer is to the last thing that a user said, the count is of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ..canvas import NotAPicture, opened
from ..prose import tokens
from .errors import invalid, no_model, wrong_type
from .models import MODELS
from .ordered import of_data_url

PICTURE_TOKENS = 85
"""What a picture among the words is counted as."""

MESSAGE_TOKENS = 3
"""What each message adds for itself."""

TEXT_PARTS = ("text", "input_text", "output_text")


class Said(msgspec.Struct, frozen=True):
    """`prompt` is the last that a user said, `whole` everything, `tokens` its count."""

    prompt: str
    whole: str
    tokens: int


def text_model(asked: Mapping[str, Any]) -> str:
    """The model of a request. Raises Refusal."""
    model = asked.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter", None, None)
    if model not in MODELS or MODELS[model].does != "text":
        raise no_model(model)
    return model


def most_tokens(asked: Mapping[str, Any], *names: str) -> int | None:
    """The limit of the answer's length, by the first of these that is there. Raises Refusal."""
    for name in names:
        if (value := asked.get(name)) is not None:
            if isinstance(value, bool) or not isinstance(value, int):
                raise wrong_type(name, "an integer", value)
            if value < 1:
                message = f"Invalid '{name}': integer below minimum value."
                raise invalid(message, name, "integer_below_min_value")
            return value
    return None


def read(given: Any, param: str, instructions: str | None = None) -> Said:
    """The words of a string or of messages. Raises Refusal."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise wrong_type(param, "a string or an array of messages", given)
    everything, prompt = [instructions or ""], ""
    count = tokens(instructions or "")
    for number, message in enumerate(given):
        if not isinstance(message, dict):
            raise wrong_type(f"{param}[{number}]", "an object", message)
        words, pictures = _content(message.get("content"), f"{param}[{number}].content")
        everything.append(words)
        count += tokens(words) + MESSAGE_TOKENS + pictures * PICTURE_TOKENS
        if message.get("role", "user") == "user":
            prompt = words
    return Said(prompt, "\n".join(everything), count)


def _content(content: Any, param: str) -> tuple[str, int]:
    if content is None or isinstance(content, str):
        return content or "", 0
    if not isinstance(content, list):
        raise wrong_type(param, "a string or an array of parts", content)
    parts = list(_parts(content, param))
    return "".join(words for words in parts if words is not None), parts.count(None)


def _parts(content: Sequence[Any], param: str) -> Iterator[str | None]:
    """The text of each part, None for a picture."""
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in TEXT_PARTS and isinstance(part.get("text"), str):
            yield part["text"]
        elif kind in ("image_url", "input_image"):
            url = part.get("image_url")
            where = f"{param}[{number}].image_url"
            data = of_data_url(url.get("url") if isinstance(url, dict) else url, where)
            try:
                opened(data)
            except NotAPicture:
                raise invalid("The image data is not valid.", where, "invalid_image") from None
            yield None
        else:
            message = f"Invalid value: '{kind}'."
            raise invalid(message, f"{param}[{number}].type")
