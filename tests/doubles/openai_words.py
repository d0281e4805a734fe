"""What OpenAI's server says, written by hand: responses, their events, chunks of a chat,
pictures. Only what an adapter may rely on; the emulator has the rest."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from safelight_protocol.prices import used
from tests.doubles.sse_end import event, nameless

ID = "resp_1"
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "total_tokens": 17,
}
USED = used({"run": 1, "input_token": 8, "cached_token": 4, "output_token": 5})
"""The same in our units."""

PICTURE = base64.b64encode(b"a picture").decode()
PAINTED = {
    "input_tokens": 9,
    "input_tokens_details": {"text_tokens": 7, "image_tokens": 2},
    "output_tokens": 300,
    "total_tokens": 309,
}


def response(status: str = "completed", text: str = "", **more: Any) -> dict[str, Any]:
    """A response, with one message of this text."""
    parts = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": parts}
    told: dict[str, Any] = {
        "id": ID,
        "object": "response",
        "status": status,
        "model": "m",
        "error": None,
    }
    told |= {"usage": USAGE if status in ("completed", "incomplete") else None}
    return told | {"incomplete_details": None, "output": [message] if text else []} | more


def refusing(words: str) -> dict[str, Any]:
    """A response that is a refusal."""
    parts = [{"type": "refusal", "refusal": words}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": parts}
    return response(output=[message])


def told(number: int, what: str, **more: Any) -> bytes:
    """An event of a response."""
    kind = f"response.{what}"
    return event(kind, {"type": kind, "sequence_number": number, **more})


def stands(number: int, what: str, status: str | None = None, **more: Any) -> bytes:
    """An event that brings the whole response."""
    return told(number, what, response=response(status or what, **more))


BEGINS = (stands(0, "created", "queued"), stands(1, "queued"), stands(2, "in_progress"))
"""How the stream of a response begins."""


def writes(number: int, text: str) -> bytes:
    """A piece of text."""
    return told(number, "output_text.delta", delta=text, item_id="msg_1", output_index=0)


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """A piece of a chat completion."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return nameless(chunked([choice]) | more)


def chunked(choices: Sequence[Any]) -> dict[str, Any]:
    """What is around the choices."""
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": choices}


def counts(into: int = 12, out: int = 5, cached: int = 4) -> bytes:
    """The last chunk, with what was used."""
    usage = {"prompt_tokens": into, "completion_tokens": out, "total_tokens": into + out}
    usage |= {"prompt_tokens_details": {"cached_tokens": cached}}  # type: ignore[dict-item]
    return nameless(chunked([]) | {"usage": usage})


DONE = b"data: [DONE]\n\n"


def partial(place: int, what: str = "image_generation") -> bytes:
    """A partial picture."""
    kind = f"{what}.partial_image"
    return event(kind, {"type": kind, "partial_image_index": place, **_picture(place)})


def painted(what: str = "image_generation", **more: Any) -> bytes:
    """The picture."""
    kind = f"{what}.completed"
    return event(kind, {"type": kind, "usage": PAINTED, **_picture(None), **more})


def _picture(place: int | None) -> dict[str, Any]:
    data = PICTURE if place is None else base64.b64encode(f"partial {place}".encode()).decode()
    return {"b64_json": data, "output_format": "webp", "size": "1024x1024", "created_at": 1}


def error(message: str = "no", **more: Any) -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": "x", "code": None, "param": None} | more}
