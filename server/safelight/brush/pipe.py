"""The pipe between the server and a brush worker: framing and message types, both ends.

A message is u32 big-endian header length, JSON header, u32 big-endian body length,
body. Jobs go down, replies come up, one job at a time. The functions are pure or
read a blocking stream; who starts and ends the process is not known here, and
NumPy is not needed to import this.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Literal

import msgspec

MAX_HEADER = 1024 * 1024
MAX_BODY = 256 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class BrokenMessage(Exception):
    """The stream holds no message here, or ends inside one; nothing after it can be read."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job. The body that travels with it is the input image, or empty.

    `seed` is decimal, 0 to 2**64-1; image i of `n` is made with seed + i. A step
    takes at least `pace_seconds`. `fail_at_step` (counted from 1 over all images)
    makes the job fail on reaching that step, honestly, with `fail_message`.
    """

    job: str
    kind: Literal["image", "video", "text"]
    prompt: str
    seed: str
    width: int = 1024
    height: int = 1024
    steps: int = 20
    n: int = 1
    pace_seconds: float = 0.0
    fail_at_step: int | None = None
    fail_message: str = "the demonstration model fails here on purpose"
    negative: str = ""
    max_words: int = 200
    metadata: bool = True
    strength: float = 0.55


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reply; which fields are there depends on `type`.

    progress: step, steps, message. preview: step, media_type, and the bytes as body.
    text: delta. artifact: index, kind, media_type, width, height, and the bytes as
    body. done: nothing. failed: code, message. `done` or `failed` ends a job, once.
    """

    job: str
    type: Literal["progress", "preview", "text", "artifact", "done", "failed"]
    step: int | None = None
    steps: int | None = None
    message: str | None = None
    media_type: str | None = None
    delta: str | None = None
    index: int | None = None
    kind: Literal["image", "video"] | None = None
    width: int | None = None
    height: int | None = None
    code: str | None = None


def encode_message(header: Job | Header, body: bytes = b"") -> bytes:
    """One message as bytes."""
    head = msgspec.json.encode(header)
    return b"".join((_LENGTH.pack(len(head)), head, _LENGTH.pack(len(body)), body))


class MessageReader:
    """Takes bytes as they come and gives whole replies; keeps at most one unfinished."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._decoder = msgspec.json.Decoder(Header)

    def feed(self, data: bytes) -> list[tuple[Header, bytes]]:
        """The replies that `data` completes, in order. Raises `BrokenMessage`, for good."""
        self._buffer += data
        found = []
        while (parts := _split(self._buffer)) is not None:
            head, body, end = parts
            found.append((_decoded(self._decoder, head), body))
            del self._buffer[:end]
        return found


def _split(buffer: bytearray) -> tuple[bytes, bytes, int] | None:
    """Header, body and end of the first whole message, or None."""
    head_end = _end(buffer, 0, MAX_HEADER)
    if head_end is None:
        return None
    body_end = _end(buffer, head_end, MAX_BODY)
    if body_end is None:
        return None
    return bytes(buffer[4:head_end]), bytes(buffer[head_end + 4 : body_end]), body_end


def _end(buffer: bytearray, start: int, most: int) -> int | None:
    """Where the part that begins with its length at `start` ends, once it is all there."""
    if len(buffer) < start + 4:
        return None
    end = start + 4 + _bounded(_LENGTH.unpack_from(buffer, start)[0], most)
    return end if len(buffer) >= end else None


def _bounded(length: int, most: int) -> int:
    if length > most:
        raise BrokenMessage(f"length: found {length}, expected at most {most}")
    return length


def _decoded(decoder: msgspec.json.Decoder[Header], head: bytes) -> Header:
    try:
        return decoder.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
        raise BrokenMessage(f"header: {trouble}") from None


def read_message(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next header and body of a blocking stream, or None at its end between messages.

    Raises `BrokenMessage`.
    """
    first = stream.read(4)
    if not first:
        return None
    head = _exactly(stream, _bounded(_length(first), MAX_HEADER))
    body = _exactly(stream, _bounded(_length(_exactly(stream, 4)), MAX_BODY))
    return head, body


def _length(four: bytes) -> int:
    if len(four) < 4:
        raise BrokenMessage("the stream ended inside a length")
    length: int = _LENGTH.unpack(four)[0]
    return length


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise BrokenMessage(f"the stream ended {count - len(data)} bytes too early")
    return data
