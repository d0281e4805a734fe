"""A server that writes its frames by hand, against one client.

Refs and join_refs are whatever a test says. The client's refs begin at 1 and its
join_refs at 501, so that neither can be taken for the other.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from safelight_protocol.client import Client, Output
from safelight_protocol.effects import Send
from safelight_protocol.happenings import Told

T, ROOM = "task:a", "tasks:mine"
OK = {"status": "ok", "response": {}}


def client() -> Client:
    """A client whose refs begin at 1 and whose join_refs begin at 501."""
    return Client(first_ref=1, first_join_ref=501)


def asks(cursor: str | None) -> bytes:
    """The payload of a join: the cursor as `after`."""
    return msgspec.json.encode({"after": cursor})


def frames(outputs: list[Output]) -> list[Any]:
    """Outputs with what is sent as a list."""
    return [json.loads(o.data) if isinstance(o, Send) else o for o in outputs]


def hear(to: Client, *frame: Any, now: float = 1.0) -> list[Any]:
    """What one frame of the server does."""
    return frames(to.receive(json.dumps(frame), now))


def body(told: Any) -> Any:
    """The payload or response of a happening."""
    raw = told.payload if isinstance(told, Told) else told.response
    return msgspec.json.decode(raw)


def up(topic: str = T) -> Client:
    """A connected client whose join (501, ref 1) is on its way."""
    to = client()
    to.join(topic, asks, 0.0)
    to.connected(0.0)
    return to


def joined(topic: str = T, response: dict[str, Any] | None = None) -> Client:
    """A client that has joined a topic."""
    to = up(topic)
    hear(to, "501", "1", topic, "phx_reply", {"status": "ok", "response": response or {}})
    return to


def following(seq: int = 2) -> Client:
    """A client that follows a task from a cursor."""
    return joined(T, {"log": "L", "cursor": f"L-{seq}", "seq": seq, "gap": False})


def event(to: Client, seq: int, **more: Any) -> list[Any]:
    """A task event, broadcast."""
    return hear(to, None, None, T, "progress", {"seq": seq, **more})


def seqs(outputs: list[Any]) -> list[int]:
    """The seqs that were told."""
    return [body(told)["seq"] for told in outputs]
