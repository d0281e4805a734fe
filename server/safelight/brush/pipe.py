"""How a parent and a painting worker talk: framed messages over a pair of pipes.

A message is a JSON header and a body of bytes, each after its length as a u32 in
big-endian order. The same layout goes both ways. Pure: who reads and writes the pipes
is not known here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_PART = 512 * 1024 * 1024
"""A length above this is no message of ours: the stream is out of step."""


class Job(msgspec.Struct, kw_only=True, frozen=True):
    """What the parent asks for; the body is the input image, or empty.

    `seed` is a decimal string, 0 to 2**64-1. `pace_seconds` is the least time that a
    step takes. The job fails on purpose at `fail_at_step`, counted from 1.
    """

    job: str
    kind: Literal["image", "video", "text"]
    prompt: str
    seed: str
    negative_prompt: str = ""
    width: int = 1024
    height: int = 1024
    steps: int = 20
    strength: float = 0.6
    n: int = 1
    max_words: int = 120
    pace_seconds: float = 0.0
    fail_at_step: int | None = None
    fail_message: str = "The brush slipped, as this model is meant to."
    metadata: bool = True


class Header(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What the worker tells; which fields are set depends on the type."""

    job: str
    type: Literal["progress", "preview", "text", "artifact", "done", "failed"]
    step: int | None = None
    steps: int | None = None
    message: str | None = None
    delta: str | None = None
    index: int | None = None
    kind: Literal["image", "video", "text"] | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    code: str | None = None


class OutOfStep(Exception):
    """The bytes are not messages; the other side has to be ended."""


_encoder = msgspec.json.Encoder()


def encode_message(header: Job | Header, body: bytes = b"") -> bytes:
    """A message as it goes through the pipe."""
    head = _encoder.encode(header)
    return len(head).to_bytes(4, "big") + head + len(body).to_bytes(4, "big") + body


class MessageReader:
    """Cuts a stream into raw messages, however its bytes arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Header, bytes]]:
        """The worker's messages that are complete now. Raises OutOfStep."""
        self._buffer += data
        found = []
        while (message := self._next()) is not None:
            head, body = message
            try:
                found.append((msgspec.json.decode(head, type=Header), body))
            except msgspec.MsgspecError as error:
                raise OutOfStep(str(error)) from None
        return found

    def _next(self) -> tuple[bytes, bytes] | None:
        head = self._part(0)
        body = None if head is None else self._part(4 + len(head))
        if head is None or body is None:
            return None
        del self._buffer[: 8 + len(head) + len(body)]
        return head, body

    def _part(self, start: int) -> bytes | None:
        if len(self._buffer) < start + 4:
            return None
        size = int.from_bytes(self._buffer[start : start + 4], "big")
        if size > MAX_PART:
            raise OutOfStep(f"a part of {size} bytes")
        end = start + 4 + size
        return bytes(self._buffer[start + 4 : end]) if len(self._buffer) >= end else None
