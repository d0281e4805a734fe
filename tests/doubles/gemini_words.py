"""Streams of Gemini's generateContent, written by hand: what a test wants to hear said."""

from __future__ import annotations

import base64
from typing import Any

from tests.doubles.sse_end import nameless

KEY_INVALID = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}


def piece(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """One response: parts, perhaps the reason to finish, and whatever stands beside."""
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    candidate |= more.pop("candidate", {})
    return nameless({"candidates": [candidate], "responseId": "r1", "modelVersion": "m"} | more)


def says(text: str, **more: Any) -> bytes:
    """A piece of text."""
    return piece({"text": text}, **more)


def picture(data: bytes, media_type: str = "image/png", **more: Any) -> dict[str, Any]:
    """A part that is a picture."""
    inline = {"mimeType": media_type, "data": base64.b64encode(data).decode()}
    return {"inlineData": inline} | more


def counts(prompt: int = 10, written: int = 5, **more: Any) -> dict[str, Any]:
    """What stands beside a piece to say what was used so far."""
    told = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": written,
        "totalTokenCount": prompt + written,
    }
    return {"usageMetadata": told | more}


def blocked(reason: str = "SAFETY") -> bytes:
    """A prompt that was refused."""
    return nameless({"promptFeedback": {"blockReason": reason}} | counts(written=0))


def error(code: int, status: str, message: str = "no", *details: Any) -> dict[str, Any]:
    """The body of an error."""
    told = {"code": code, "status": status, "message": message, "details": list(details)}
    return {"error": told}
