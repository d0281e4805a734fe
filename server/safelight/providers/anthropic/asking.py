"""What is sent: one message of the user's, with its pictures, and the parameters.

Reads the pictures; sends nothing.
"""

from __future__ import annotations

import base64
from typing import Any

from ..base import Failure, InputFile, Never, Prediction
from ..streamed import input_bytes
from ..streams import MARK, handle_of

PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")
"""Media types that a message can carry."""

MOST_TOKENS = 4096
"""Tokens of an answer where nothing is said: the API takes no request without a limit."""

OURS = frozenset({"model", "messages", "max_tokens", "system", "stream"})
"""Fields that say what runs and how it is read; no parameter is sent by these names, except
for the two that are parameters."""


async def request_of(prediction: Prediction, name: str) -> dict[str, Any]:
    """The arguments of the SDK's `messages.create`. Raises Failure for a file that cannot be
    part of a message; FileNotFoundError for one that has gone."""
    if prediction.kind != "text":
        raise Failure(Never("invalid_input", f"{name} makes text, not kind {prediction.kind}"))
    content = [await _block(place, one) for place, one in enumerate(prediction.inputs)]
    content.append({"type": "text", "text": prediction.prompt})
    params = prediction.params
    arguments: dict[str, Any] = {
        "model": prediction.model.removeprefix(f"{name}/"),
        "max_tokens": params.get("max_tokens") or MOST_TOKENS,
        "messages": [{"role": "user", "content": content}],
        "extra_headers": {MARK: handle_of(prediction, name)},
        "extra_body": {key: value for key, value in params.items() if key not in OURS},
    }
    if params.get("system"):
        arguments["system"] = params["system"]
    return arguments


async def _block(place: int, file: InputFile) -> dict[str, Any]:
    data = base64.b64encode(await input_bytes(place, file, PICTURES)).decode()
    source = {"type": "base64", "media_type": file.media_type, "data": data}
    return {"type": "image", "source": source}
