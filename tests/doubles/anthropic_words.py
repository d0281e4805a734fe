"""Streams of Anthropic's Messages, written by hand: what a test wants to hear said."""

from __future__ import annotations

from typing import Any

from tests.doubles.sse_end import event


def began(**usage: int) -> bytes:
    """`message_start`, with the counts that are known then."""
    counts = {"input_tokens": 10, "output_tokens": 1} | usage
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts,
    }
    return event("message_start", {"type": "message_start", "message": message})


def says(text: str, index: int = 0) -> bytes:
    """A piece of text."""
    delta = {"type": "text_delta", "text": text}
    return _delta(delta, index)


def thinks(text: str, index: int = 0) -> bytes:
    """A piece of what is only thought."""
    return _delta({"type": "thinking_delta", "thinking": text}, index)


def ping() -> bytes:
    """A sign of life."""
    return event("ping", {"type": "ping"})


def ends(reason: str = "end_turn", **usage: int) -> bytes:
    """`message_delta` with the last counts, and `message_stop`."""
    counts = {"output_tokens": 5} | usage
    delta = {"stop_reason": reason, "stop_sequence": None}
    last = {"type": "message_delta", "delta": delta, "usage": counts}
    return event("message_delta", last) + event("message_stop", {"type": "message_stop"})


def error(kind: str, message: str = "no") -> dict[str, Any]:
    """The body of an error."""
    told = {"type": kind, "message": message}
    return {"type": "error", "error": told, "request_id": "req_1"}


def breaks(kind: str = "overloaded_error") -> bytes:
    """An error in the middle of a stream."""
    return event("error", error(kind))


def _delta(delta: dict[str, Any], index: int) -> bytes:
    data = {"type": "content_block_delta", "index": index, "delta": delta}
    return event("content_block_delta", data)
