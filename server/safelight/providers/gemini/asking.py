"""What is sent: one turn of the user's, with its pictures, and how it is to be answered.

Reads the pictures; sends nothing. The SDK is told to send one request and no more: left to
itself it goes on with another one where an answer was cut off, and calls functions.
"""

from __future__ import annotations

from typing import Any

import msgspec
from google.genai import types

from ..base import Failure, InputFile, Never, Prediction
from ..streamed import input_bytes
from ..streams import MARK, handle_of

PICTURES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
"""Media types that a request can carry."""

SEEDS = 2**31
"""Seeds are 32 bits with a sign; ours, which may be larger, are taken by their remainder."""

CALLED = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_output_tokens",
    "system": "system_instruction",
}
"""Parameters, and what the SDK calls them."""

PICTURED = ("aspect_ratio", "image_size")
"""Parameters that say what a picture is to be like."""


class Request(msgspec.Struct, frozen=True):
    """The arguments of the SDK's `generate_content_stream`."""

    model: str
    contents: list[types.ContentUnion]
    config: types.GenerateContentConfig


async def request_of(prediction: Prediction, name: str) -> Request:
    """What a prediction asks for. Raises Failure for a file that cannot be part of it;
    FileNotFoundError for one that has gone."""
    if prediction.kind == "video":
        raise Failure(Never("invalid_input", f"{name} makes text and pictures, no video"))
    parts = [await _part(place, one) for place, one in enumerate(prediction.inputs)]
    parts.append(types.Part(text=prediction.prompt))
    contents: list[types.ContentUnion] = [types.Content(role="user", parts=parts)]
    model = prediction.model.removeprefix(f"{name}/")
    return Request(model, contents, _config(prediction, name))


def _config(prediction: Prediction, name: str) -> types.GenerateContentConfig:
    params = prediction.params
    said = {key: params[key] for key in CALLED if params.get(key) not in (None, "")}
    known: dict[str, Any] = {CALLED[key]: value for key, value in said.items()}
    if prediction.kind == "image":
        known["response_modalities"] = ["TEXT", "IMAGE"]
        look = {key: params[key] for key in PICTURED if params.get(key)}
        known["image_config"] = types.ImageConfig(**look) if look else None
    others = {key: value for key, value in params.items() if key not in (*CALLED, *PICTURED)}
    body = {"generationConfig": others} if others else None
    marks = {MARK: handle_of(prediction, name)}
    return types.GenerateContentConfig(
        http_options=types.HttpOptions(headers=marks, extra_body=body),
        seed=prediction.seed % SEEDS,
        automatic_continuation=False,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        **known,
    )


async def _part(place: int, file: InputFile) -> types.Part:
    data = await input_bytes(place, file, PICTURES)
    return types.Part.from_bytes(data=data, mime_type=file.media_type)
