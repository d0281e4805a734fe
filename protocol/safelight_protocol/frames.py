"""Phoenix frames: what one message of the wire says, and how V1 and V2 spell it.

Owns the five parts of a frame and the two serializers. Knows nothing of channels:
what a frame does is decided in `session.py` and `client.py`. A payload stays raw, and
one that goes out arrives as encoded JSON: a frame is made by joining bytes, compact
and without escapes, since one client cuts frames at their commas. See docs/wire.md.
"""

from __future__ import annotations

import re
from typing import ClassVar, Protocol

import msgspec

from . import binary
from .binary import BinaryFrame, Ref
from .frame_errors import FrameError, kind_of_json, unreadable

__all__ = [
    "V1",
    "V2",
    "BinaryFrame",
    "Frame",
    "FrameError",
    "Ref",
    "Serializer",
    "object_of",
    "payload_of",
    "serializer_for",
]


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A text frame. `payload` is the JSON of any value: see `object_of`.

    Refs are kept as they were received, so that they can be echoed exactly.
    """

    join_ref: Ref
    ref: Ref
    topic: str
    event: str
    payload: msgspec.Raw


class _ObjectFrame(msgspec.Struct, frozen=True):
    """A frame as V1 spells it. Only `join_ref` may be absent."""

    topic: str
    event: str
    payload: msgspec.Raw
    ref: Ref
    join_ref: Ref = None


class Serializer(Protocol):
    """What V1 and V2 both do. Text frames are `str`, binary ones `bytes`.

    `payload` and `response` are compact JSON, and of an object: clients drop, or
    die of, anything else. That is the caller's to keep; it is not looked into.
    """

    vsn: ClassVar[str]

    def decode_text(self, data: str) -> Frame:
        """Raises FrameError with code `bad_frame` when there is no frame in it."""

    def decode_binary(self, data: bytes) -> BinaryFrame:
        """A client's binary push. Raises FrameError (`bad_frame`)."""

    def encode(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: bytes) -> str:
        """Any text frame."""

    def encode_push(self, join_ref: Ref, topic: str, event: str, payload: bytes) -> str:
        """A push to one client, of the join that it names."""

    def encode_reply(
        self, join_ref: Ref, ref: Ref, topic: str, status: str, response: bytes
    ) -> str:
        """The answer to the frame that had this ref."""

    def encode_broadcast(self, topic: str, event: str, payload: bytes) -> str:
        """A push with a null join_ref: one frame serves every follower of a topic."""


_decode_array = msgspec.json.Decoder(Frame).decode
_decode_object = msgspec.json.Decoder(_ObjectFrame).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeEncodeError, RecursionError)


class V2:
    """`vsn=2.0.0`: an array of five; binary frames too."""

    vsn: ClassVar[str] = "2.0.0"

    def decode_text(self, data: str) -> Frame:
        """Elements after the fifth are ignored, as Phoenix does."""
        try:
            return _decode_array(data)
        except _UNREADABLE:
            raise unreadable(data, array=True) from None

    def decode_binary(self, data: bytes) -> BinaryFrame:
        """A client's push."""
        return binary.decode_client(data)

    def encode(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: bytes) -> str:
        """The five parts in their order."""
        parts = (_ref(join_ref), _ref(ref), _text(topic), _text(event), payload)
        return (b"[" + b",".join(parts) + b"]").decode()

    def encode_push(self, join_ref: Ref, topic: str, event: str, payload: bytes) -> str:
        """A null ref tells a push from a reply."""
        return self.encode(join_ref, None, topic, event, payload)

    def encode_reply(
        self, join_ref: Ref, ref: Ref, topic: str, status: str, response: bytes
    ) -> str:
        """`status` is free text; only `ok` and `error` settle a join."""
        return self.encode(join_ref, ref, topic, "phx_reply", _reply(status, response))

    def encode_broadcast(self, topic: str, event: str, payload: bytes) -> str:
        """Both refs are null."""
        return self.encode(None, None, topic, event, payload)


class V1:
    """`vsn=1.0.0`, or none: an object of four keys, text only.

    Nothing that goes out has a join_ref: V1 has no place for it.
    """

    vsn: ClassVar[str] = "1.0.0"

    def decode_text(self, data: str) -> Frame:
        """`ref` must be there, though it may be null; `join_ref` may be absent."""
        try:
            found = _decode_object(data)
        except _UNREADABLE:
            raise unreadable(data, array=False) from None
        return Frame(found.join_ref, found.ref, found.topic, found.event, found.payload)

    def decode_binary(self, data: bytes) -> BinaryFrame:
        """Always refused."""
        raise FrameError("bad_frame", "frame", found="a binary frame", expected="text on vsn 1")

    def encode(self, join_ref: Ref, ref: Ref, topic: str, event: str, payload: bytes) -> str:
        """Keys in the order in which Phoenix writes them."""
        keys = (b'{"event":', b',"payload":', b',"ref":', b',"topic":')
        values = (_text(event), payload, _ref(ref), _text(topic))
        return (b"".join(k + v for k, v in zip(keys, values, strict=True)) + b"}").decode()

    def encode_push(self, join_ref: Ref, topic: str, event: str, payload: bytes) -> str:
        """A null ref tells a push from a reply."""
        return self.encode(None, None, topic, event, payload)

    def encode_reply(
        self, join_ref: Ref, ref: Ref, topic: str, status: str, response: bytes
    ) -> str:
        """Found by its ref alone."""
        return self.encode(None, ref, topic, "phx_reply", _reply(status, response))

    def encode_broadcast(self, topic: str, event: str, payload: bytes) -> str:
        """The same as a push."""
        return self.encode(None, None, topic, event, payload)


_VERSION = re.compile(r"([12])\.0\.[0-9]+")


def serializer_for(vsn: str | None) -> Serializer:
    """The serializer of a `vsn` in the query: `~> 1.0.0`, `~> 2.0.0`, none is 1.0.0.

    Raises FrameError (`invalid`) for any other; refuse the connection then.
    """
    if vsn is None:
        return V1()
    version = _VERSION.fullmatch(vsn)
    if version is None:
        raise FrameError("invalid", "vsn", found=vsn, expected="1.0.x or 2.0.x")
    return V2() if version[1] == "2" else V1()


def object_of(frame: Frame | BinaryFrame) -> msgspec.Raw:
    """The payload, if it is a JSON object; else raises FrameError, code `invalid`.

    Kept apart from decoding so that the refusal can answer the frame's ref, and so
    that a heartbeat is answered whatever it carries.
    """
    if isinstance(frame, BinaryFrame):
        raise FrameError("invalid", "payload", found="binary data", expected="an object")
    found = kind_of_json(frame.payload)
    if found != "an object":
        raise FrameError("invalid", "payload", found=found, expected="an object")
    return frame.payload


def payload_of(frame: Frame | BinaryFrame) -> msgspec.Raw | bytes:
    """What a client's push carries: an object, or the bytes of a binary push.

    A broadcast of kind 3 is spelt as the text frame that V1 would send in its place.
    Raises FrameError (`invalid`) for JSON that is no object, and for such a broadcast
    of anything but JSON.
    """
    if isinstance(frame, Frame):
        return object_of(frame)
    if frame.user_event is None:
        return frame.payload
    if not frame.is_json or not _is_json(frame.payload):
        found = "text that is not JSON" if frame.is_json else "binary data"
        raise FrameError("invalid", "payload", found=found, expected="JSON")
    parts = (b'{"type":"broadcast","event":', _text(frame.user_event), b',"payload":')
    return msgspec.Raw(b"".join(parts) + frame.payload + b"}")


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _ref(ref: Ref) -> bytes:
    # Not by msgspec, which refuses integers above 64 bits.
    return _text(ref) if isinstance(ref, str) else b"null" if ref is None else b"%d" % ref


_text = msgspec.json.Encoder().encode


def _reply(status: str, response: bytes) -> bytes:
    return b'{"response":' + response + b',"status":' + _text(status) + b"}"
