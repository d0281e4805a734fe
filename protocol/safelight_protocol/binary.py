"""The binary frames of V2: lengths of one byte, then the strings, then the payload.

Owns the three layouts of Phoenix in both directions, and kind 3, which is how supabase's
clients broadcast. Knows nothing of channels, nor of what a payload means. The layouts
stand in docs/wire.md; kind 4, which those clients would take, is never sent.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .frame_errors import FrameError

Ref = str | int | None
"""A ref as it was received. Clients send strings; numbers are echoed as numbers."""

Kind = Literal["push", "reply", "broadcast", "user_broadcast_push"]

_SERVER_KINDS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("push", ("join_ref", "topic", "event")),
    ("reply", ("join_ref", "ref", "topic", "status")),
    ("broadcast", ("topic", "event")),
)
_CLIENT_PUSH = ("join_ref", "ref", "topic", "event")
_USER = ("join_ref", "ref", "topic", "user_event", "meta")


class BinaryFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A binary frame taken apart. `status` is set for a reply only.

    An empty ref on the wire is None here. A `user_broadcast_push` is the broadcast of
    a supabase client: its event is `broadcast`, the client's own word is `user_event`,
    and the payload is JSON if `is_json`.
    """

    kind: Kind
    join_ref: Ref = None
    ref: Ref = None
    topic: str
    event: str
    payload: bytes
    status: str | None = None
    user_event: str | None = None
    is_json: bool = False


def encode_push(join_ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
    """A push of the server to one client. Raises FrameError past 255 bytes a string."""
    return _pack(0, {"join_ref": join_ref, "topic": topic, "event": event}, payload)


def encode_reply(join_ref: Ref, ref: Ref, topic: str, status: str, payload: bytes) -> bytes:
    """A reply. It has a status and bytes, and no room for a response beside them."""
    parts = {"join_ref": join_ref, "ref": ref, "topic": topic, "status": status}
    return _pack(1, parts, payload)


def encode_broadcast(topic: str, event: str, payload: bytes) -> bytes:
    """One frame for every follower of a topic."""
    return _pack(2, {"topic": topic, "event": event}, payload)


def encode_client_push(join_ref: Ref, ref: Ref, topic: str, event: str, payload: bytes) -> bytes:
    """A push of a client. It shares its kind byte with the server's, not its layout."""
    parts = {"join_ref": join_ref, "ref": ref, "topic": topic, "event": event}
    return _pack(0, parts, payload)


def decode_client(data: bytes) -> BinaryFrame:
    """What a client sent. Raises FrameError (`bad_frame`) for anything but a push, or a
    broadcast of kind 3."""
    if data[:1] == b"\x03":
        return _user_broadcast(data)
    if data[:1] != b"\x00":
        raise _unknown_kind(data)
    return _build("push", _CLIENT_PUSH, data)


def decode_server(data: bytes) -> BinaryFrame:
    """What a server sent. Raises FrameError (`bad_frame`) for an unknown kind."""
    if not data or data[0] >= len(_SERVER_KINDS):
        raise _unknown_kind(data)
    return _build(*_SERVER_KINDS[data[0]], data)


def _pack(kind: int, parts: dict[str, Ref], payload: bytes) -> bytes:
    strings = [_encoded(field, value) for field, value in parts.items()]
    return b"".join([bytes([kind, *map(len, strings)]), *strings, payload])


def _encoded(field: str, value: Ref) -> bytes:
    text = b"" if value is None else str(value).encode()
    if len(text) > 255:
        raise FrameError("invalid", field, found=f"{len(text)} bytes", expected="at most 255 bytes")
    return text


def _build(kind: Kind, fields: tuple[str, ...], data: bytes) -> BinaryFrame:
    found, payload = _unpack(fields, data)
    return BinaryFrame(
        kind=kind,
        join_ref=found.get("join_ref") or None,
        ref=found.get("ref") or None,
        topic=found["topic"],
        event=found.get("event", "phx_reply"),
        payload=payload,
        status=found.get("status"),
    )


def _user_broadcast(data: bytes) -> BinaryFrame:
    found, payload = _unpack(_USER, data, more=1)
    return BinaryFrame(
        kind="user_broadcast_push",
        join_ref=found["join_ref"] or None,
        ref=found["ref"] or None,
        topic=found["topic"],
        event="broadcast",
        payload=payload,
        user_event=found["user_event"],
        is_json=data[1 + len(_USER)] == 1,
    )


def _unpack(fields: tuple[str, ...], data: bytes, more: int = 0) -> tuple[dict[str, str], bytes]:
    """The strings and the payload. `more` bytes stand between lengths and strings."""
    lengths = data[1 : 1 + len(fields)]
    offset = 1 + len(fields) + more
    if len(data) < offset + sum(lengths):
        raise FrameError(
            "bad_frame", "frame", found=f"{len(data)} bytes", expected="a longer binary frame"
        )
    found = {}
    for field, length in zip(fields, lengths, strict=True):
        found[field] = _decoded(data[offset : offset + length])
        offset += length
    return found, data[offset:]


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        # phoenix.js up to 1.8.6 sends the low byte of each UTF-16 unit.
        return text.decode("latin-1")


def _unknown_kind(data: bytes) -> FrameError:
    found = f"kind {data[0]}" if data else "nothing"
    return FrameError("bad_frame", "frame", found=found, expected="a binary frame of a known kind")
