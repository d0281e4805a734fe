"""How two mobile libraries read what a server sends, played in Python.

`Swift` is SwiftPhoenixClient 5.3.4 on URLSession, `Java` JavaPhoenixClient 1.3.1, both as
read in their sources: what they take, what they drop without a word, and what makes them
lose the socket. A frame that either would drop or misread raises `Dropped`. Unrealistic:
nothing reconnects, and time-outs do not pass.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

URLSESSION_MAXIMUM = 1024 * 1024
"""`URLSessionWebSocketTask.maximumMessageSize`, which the library leaves as it is."""

LIFECYCLE = ("phx_join", "phx_leave", "phx_reply", "phx_close", "phx_error")
"""The only events whose join_ref the library looks at."""


class Dropped(Exception):
    """The library loses this frame, or reads another thing than was meant."""


class Message(msgspec.Struct, frozen=True):
    """A frame as the app's closure gets it. `payload` is what `message.payload` answers."""

    join_ref: str | None
    ref: str
    topic: str
    event: str
    raw_payload: dict[str, Any]
    status: str | None

    @property
    def payload(self) -> dict[str, Any]:
        """The `response` inside the payload whenever that is an object, of any event."""
        response = self.raw_payload.get("response")
        return response if isinstance(response, dict) else self.raw_payload


class Swift:
    """One socket of SwiftPhoenixClient: `joins` are its channels' join refs by topic."""

    def __init__(self) -> None:
        self.joins: dict[str, str] = {}
        self.heard: list[Message] = []

    def receive(self, data: str | bytes) -> Message | None:
        """Take one message. Returns what an app would hear, None for what concerns an
        earlier join. Raises Dropped for what is lost."""
        message = self._decode(data)
        own = self.joins.get(message.topic)
        stale = message.join_ref is not None and message.join_ref != own
        if stale and message.event in LIFECYCLE:
            return None
        self.heard.append(message)
        return message

    def _decode(self, data: str | bytes) -> Message:
        if isinstance(data, bytes):
            raise Dropped("binary: the delegate prints it and goes on")
        if len(data.encode()) > URLSESSION_MAXIMUM:
            raise Dropped("receive fails with EMSGSIZE and the socket is closed")
        parts = json.loads(data)
        if not isinstance(parts, list) or len(parts) < 5:
            raise Dropped("not an array of five")
        join_ref, ref, topic, event, payload = parts[:5]
        if not (isinstance(topic, str) and isinstance(event, str) and isinstance(payload, dict)):
            raise Dropped("topic and event are strings, the payload is an object")
        for name in (join_ref, ref):
            if not isinstance(name, str | None):
                raise Dropped("a ref that is no string is read as none")
        status = payload.get("status")
        if event == "phx_reply" and not isinstance(status, str):
            raise Dropped("a reply without a status settles no push")
        return Message(join_ref, ref or "", topic, event, payload, status)


def java(data: str | bytes) -> tuple[str, str, str, str, Any]:
    """The five parts as JavaPhoenixClient cuts them: at commas, by hand, without unescaping
    topic and event. Raises Dropped where that is not what was meant."""
    if isinstance(data, bytes):
        raise Dropped("there is no handler for binary messages")
    parts = data.removeprefix("[").split(",", 4)
    if len(parts) < 5 or not data.startswith("[") or not data.endswith("]"):
        raise Dropped("not an array of five")
    join_ref, ref, topic, event = (_unquoted(part) for part in parts[:4])
    meant = json.loads(data)
    if [join_ref, ref, topic, event] != [part or "" for part in meant[:4]]:
        raise Dropped(f"misread as {[join_ref, ref, topic, event]}")
    payload = json.loads(parts[4].removesuffix("]"))
    if not isinstance(payload, dict) or payload != meant[4]:
        raise Dropped("the payload is cut in the wrong place")
    return join_ref, ref, topic, event, payload


def _unquoted(part: str) -> str:
    return "" if part == "null" else part.removeprefix('"').removesuffix('"')
