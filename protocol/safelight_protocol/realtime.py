"""The dialect of `@supabase/realtime-js`, spoken on `realtime:task:<id>`.

Owns how an event of ours is wrapped for such a client, and how what it broadcasts is
read as a command. That library hears only the channel event `broadcast`, and says
everything by it. It sends no cursor. Knows no task; frames are `frames.py`'s.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .codes import Refused
from .identity import shown

PREFIX = "realtime:"
"""How every topic of that library begins."""

BROADCAST = "broadcast"
"""The one channel event by which it hears and speaks."""


class Said(msgspec.Struct, frozen=True):
    """What a client broadcast: a command of ours, by its event."""

    event: str
    payload: msgspec.Raw


class _Broadcast(msgspec.Struct, frozen=True):
    event: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Wants(msgspec.Struct, frozen=True):
    ack: bool = False


class _Config(msgspec.Struct, frozen=True):
    broadcast: _Wants = _Wants()


class _Join(msgspec.Struct, frozen=True):
    config: _Config = _Config()


def is_realtime(topic: str) -> bool:
    """Whether a topic is spoken to in this dialect."""
    return topic.startswith(PREFIX)


def spoken(topic: str, event: str, payload: bytes) -> tuple[str, bytes]:
    """Event and payload as the topic's followers take them: wrapped, or as they are."""
    if not is_realtime(topic):
        return event, payload
    name = msgspec.json.encode(event)
    return BROADCAST, b'{"type":"broadcast","event":' + name + b',"payload":' + payload + b"}"


def read_said(payload: msgspec.Raw | bytes) -> Said:
    """A client's `broadcast`. Raises Refused `invalid` when it is none."""
    try:
        said = msgspec.json.decode(payload, type=_Broadcast)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = shown(bytes(memoryview(payload)[:80]).decode(errors="replace"))
        expected = 'an object {"type": "broadcast", "event": string, "payload": object}'
        wrong: dict[str, object] = {"field": "payload", "found": found, "expected": expected}
        raise Refused("invalid", "That is no broadcast.", [wrong]) from None
    return Said(said.event, said.payload)


def wants_answers(join: Any) -> bool:
    """Whether a join asked for an answer to what it broadcasts (`config.broadcast.ack`)."""
    try:
        return msgspec.convert(join, _Join).config.broadcast.ack
    except msgspec.ValidationError:
        return False
