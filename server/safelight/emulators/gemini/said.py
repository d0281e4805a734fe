"""What a request to Gemini says, held against what is taken: words, pictures, settings.

Names come in camel case or with underscores, as JSON of Google's does. The answer is to
the last thing that a user said, the count is of everything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from ..canvas import NotAPicture, opened
from ..prose import tokens
from .errors import invalid, unknown
from .models import SIZES, Model

KNOWN = frozenset(
    "contents systemInstruction generationConfig safetySettings tools toolConfig cachedContent"
    " model serviceTier store".split()
)
SETTINGS = frozenset(
    "temperature topP topK maxOutputTokens stopSequences candidateCount seed responseModalities"
    " imageConfig thinkingConfig responseMimeType responseSchema responseJsonSchema"
    " presencePenalty frequencyPenalty responseLogprobs logprobs speechConfig mediaResolution"
    " routingConfig modelSelectionConfig audioTimestamp enableEnhancedCivicAnswers".split()
)
PICTURE_TOKENS = 258
"""What a picture that comes in is counted as."""

SCALES = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """`prompt` is the last that a user said, `pictures` came with it."""

    prompt: str
    whole: str
    words: int
    pictures: tuple[bytes, ...]
    most: int | None
    stops: tuple[str, ...]
    paints: bool
    width: int
    height: int

    @property
    def seen(self) -> int:
        """What the pictures are in tokens."""
        return len(self.pictures) * PICTURE_TOKENS

    @property
    def tokens(self) -> int:
        """All that went in."""
        return self.words + self.seen


def read(asked: Mapping[str, Any], model: Model) -> Said:
    """The request. Raises Refusal."""
    body = _named(asked, KNOWN, "")
    config = _named(body.get("generationConfig") or {}, SETTINGS, "generation_config")
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        message = "* GenerateContentRequest.contents: contents is not specified\n"
        raise invalid(message, "contents")
    system = body.get("systemInstruction")
    prompt, whole, pictures = "", "", []
    for place, content in _all(system, contents):
        words, found = _read(content, place)
        whole += words
        pictures += found
        role = content.get("role", "user")
        prompt = words if role == "user" and place != "system_instruction" else prompt
    width, height = _size(config)
    return Said(
        prompt=prompt,
        whole=whole,
        words=tokens(whole),
        pictures=tuple(pictures),
        most=_most(config),
        stops=tuple(config.get("stopSequences") or ()),
        paints=_paints(config, model),
        width=width,
        height=height,
    )


def _all(system: Any, contents: list[Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    given = [("system_instruction", system)] if system is not None else []
    given += [(f"contents[{number}]", content) for number, content in enumerate(contents)]
    for place, content in given:
        if not isinstance(content, dict):
            raise invalid(f"Invalid value at '{place}'", place)
        if content.get("role", "user") not in ("user", "model", "system"):
            raise invalid("Please use a valid role: user, model.", place)
        yield place, content


def _read(content: Mapping[str, Any], place: str) -> tuple[str, list[bytes]]:
    words, pictures = "", []
    for number, part in enumerate(content.get("parts") or []):
        where = f"{place}.parts[{number}]"
        inline = part.get("inlineData") or part.get("inline_data")
        if isinstance(part.get("text"), str):
            words += part["text"]
        elif isinstance(inline, dict):
            pictures.append(_picture(inline.get("data"), where))
        else:
            raise invalid(f"{where}: required oneof field 'data' must have one initialized field")
    return words, pictures


def _picture(data: object, place: str) -> bytes:
    try:
        found = base64.b64decode(str(data).translate({45: 43, 95: 47}) + "==")
        opened(found)
    except (NotAPicture, binascii.Error, ValueError):
        raise invalid("Unable to process input image.", f"{place}.inline_data.data") from None
    return found


def _named(asked: Any, known: frozenset[str], place: str) -> dict[str, Any]:
    """With all names in camel case. Raises Refusal for one that nobody knows."""
    if not isinstance(asked, dict):
        raise invalid(f"Invalid value at '{place}'", place)
    named = {_camel(name): value for name, value in asked.items()}
    for name, given in zip(named, asked, strict=True):
        if name not in known:
            raise unknown(given, place)
    return named


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _most(config: Mapping[str, Any]) -> int | None:
    most = config.get("maxOutputTokens")
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        field = "generation_config.max_output_tokens"
        raise invalid(f"Invalid value at '{field}': it must be positive", field)
    return most


def _paints(config: Mapping[str, Any], model: Model) -> bool:
    wanted = [str(each).upper() for each in config.get("responseModalities") or []]
    if "IMAGE" in wanted and not model.picture:
        message = "The requested combination of response modalities (IMAGE) is not supported"
        raise invalid(f"{message} by the model.", "generation_config.response_modalities")
    return bool(model.picture) and ("IMAGE" in wanted or not wanted)


def _size(config: Mapping[str, Any]) -> tuple[int, int]:
    image = config.get("imageConfig") or {}
    ratio = image.get("aspectRatio") or image.get("aspect_ratio") or "1:1"
    scale = image.get("imageSize") or image.get("image_size") or "1K"
    if ratio not in SIZES or scale not in SCALES:
        field = "generation_config.image_config"
        raise invalid(f"Invalid value at '{field}': {ratio!r} {scale!r}", field)
    width, height = SIZES[ratio]
    return round(width * SCALES[scale]), round(height * SCALES[scale])
