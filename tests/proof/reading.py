"""Raw bytes of every door as what they say, for witnesses and for the checker.

Written for the proof and from docs/wire.md alone: nothing of the product's own codecs
is used, so that a mistake in those cannot hide itself.
"""

from __future__ import annotations

from typing import Any

import msgspec

_json = msgspec.json.Decoder().decode
_dump = msgspec.json.Encoder().encode

TERMINAL = ("completed", "failed", "canceled")
TYPES = (
    "queued",
    "started",
    "progress",
    "text",
    "artifact",
    "retrying",
    "canceling",
    *TERMINAL,
)


class Unreadable(Exception):
    """Bytes that are none of what docs/wire.md describes."""


class Frame(msgspec.Struct, frozen=True):
    """A frame of a socket. V1 has no `join_ref`."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: dict[str, Any]

    @property
    def id(self) -> str:
        """What stands after the colon of its topic."""
        return self.topic.partition(":")[2]

    @property
    def told(self) -> dict[str, Any] | None:
        """The task event that it carries."""
        is_event = self.event == "progress" and self.payload.get("type") in TYPES
        return self.payload if is_event else None


def read_json(data: bytes) -> Any:
    """JSON, or Unreadable."""
    try:
        return _json(data)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from None


def read_frame(data: bytes, door: str) -> Frame | None:
    """A frame of a socket; None for a binary one, which is a preview."""
    if data[:1] not in (b"[", b"{"):
        return None
    found = read_json(data)
    if door == "v1":
        if not isinstance(found, dict):
            raise Unreadable("a V1 frame is an object")
        return Frame(None, found["ref"], found["topic"], found["event"], found["payload"])
    if not isinstance(found, list) or len(found) != 5:
        raise Unreadable("a V2 frame is an array of five")
    return Frame(*found)


def write_frame(frame: Frame, door: str) -> bytes:
    """A frame as a client of that version sends it."""
    if door == "v1":
        told = {"topic": frame.topic, "event": frame.event, "payload": frame.payload}
        return _dump(told | {"ref": frame.ref})
    return _dump([frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload])


class Message(msgspec.Struct, frozen=True):
    """A record of an event stream; a comment has neither event nor data."""

    id: str | None
    event: str | None
    data: dict[str, Any] | None


def read_message(data: bytes) -> Message:
    """One record of an event stream, without the blank line that ends it."""
    fields: dict[bytes, bytes] = {}
    for line in data.split(b"\n"):
        name, _, value = line.partition(b": ")
        fields[name] = value
    body = fields.get(b"data")
    id, event = fields.get(b"id"), fields.get(b"event")
    return Message(
        None if id is None else id.decode(),
        None if event is None else event.decode(),
        None if body is None else read_json(body),
    )


def read_place(cursor: str | int | None) -> tuple[str | None, int] | None:
    """Log and seq of a cursor."""
    if cursor is None:
        return None
    log, _, seq = str(cursor).rpartition("-")
    if not seq.isdigit():
        raise Unreadable(f"{cursor!r} is no cursor")
    return log or None, int(seq)
