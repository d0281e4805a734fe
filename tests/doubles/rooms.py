"""The app behind the recorded exchanges: rooms that echo, push, stop and crash on demand.

It stands for the Phoenix app that the frames of phoenix-vectors.json were recorded
with, driven through our session. Only what that app decided is here; what the protocol
decided must come from the session.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec

from safelight_protocol import binary
from safelight_protocol.effects import Command, Data, Effect, Hangup, Join, Send
from safelight_protocol.frames import Serializer
from safelight_protocol.session import Session

Written = Data | int
"""A message, or the code with which the connection was closed."""


class Rooms:
    """One socket of that app."""

    def __init__(self, serializer: Serializer) -> None:
        self.serializer = serializer
        self.session = self._session()

    def _session(self) -> Session:
        def room(topic: str) -> object:
            return topic if topic.startswith("room:") else None

        return Session(self.serializer, now=0.0, has_route=room)

    def hear(self, data: Data) -> list[Written]:
        """What the server writes because of one message. A closed socket opens again."""
        written: list[Written] = []
        for effect in self.session.receive(data, 1.0):
            written += self._carry_out(effect)
        return written

    def _carry_out(self, effect: Effect) -> list[Written]:
        match effect:
            case Send(data=data):
                return [data]
            case Hangup(code=code):
                self.session = self._session()
                return [code]
            case Join():
                return [*self._join(effect)]
            case Command():
                return [*_EVENTS.get(effect.event, crash)(self, effect)]
            case _:
                return []

    def _join(self, join: Join) -> list[Data]:
        match join.topic:
            case "room:deny":
                return self.session.refuse(join, b'{"reason":"unauthorized"}')
            case "room:crashjoin":
                return self.session.refuse(join, b'{"reason":"join crashed"}')
            case "room:joinreply":
                params = msgspec.json.decode(join.payload)
                response = {"params": params, "you": "sent"}
                return self.session.accept(join, json.dumps(response).encode())
            case "room:afterjoin":
                reply = self.session.accept(join, b"{}")
                return [*reply, *self.session.push(join.topic, "hello", b'{"a":1}')]
            case _:
                return self.session.accept(join, b"{}")


def json_of(command: Command) -> bytes:
    """The payload as it came."""
    return bytes(memoryview(command.payload))


def answer(status: str, response: bytes | None = None) -> Callable[[Rooms, Command], list[Data]]:
    """An event that replies; with the payload itself where no response is given."""

    def act(rooms: Rooms, command: Command) -> list[Data]:
        body = json_of(command) if response is None else response
        return rooms.session.reply(command, status, body)

    return act


def binary_answer(status: str) -> Callable[[Rooms, Command], list[Data]]:
    """An event that replies with the bytes it got."""

    def act(rooms: Rooms, command: Command) -> list[Data]:
        body = json_of(command)
        return [binary.encode_reply(command.join_ref, command.ref, command.topic, status, body)]

    return act


def push(rooms: Rooms, command: Command) -> list[Data]:
    """Push the payload back."""
    return rooms.session.push(command.topic, "pushed", json_of(command))


def broadcast(rooms: Rooms, command: Command) -> list[Data]:
    """Broadcast the payload, then reply: a broadcast overtakes the reply."""
    told = rooms.serializer.encode_broadcast(command.topic, "bcasted", json_of(command))
    return [told, *rooms.session.reply(command, "ok", b"{}")]


def push_binary(rooms: Rooms, command: Command) -> list[Data]:
    """Push the bytes back."""
    return [binary.encode_push(command.join_ref, command.topic, "pushbin", json_of(command))]


def broadcast_binary(rooms: Rooms, command: Command) -> list[Data]:
    """Broadcast the bytes."""
    return [binary.encode_broadcast(command.topic, "bcastbin", json_of(command))]


def stop(rooms: Rooms, command: Command) -> list[Data]:
    """End the channel."""
    return rooms.session.close(command.topic)


def stop_with_reply(rooms: Rooms, command: Command) -> list[Data]:
    """Reply, then end the channel."""
    reply = rooms.session.reply(command, "ok", b'{"bye":true}')
    return [*reply, *rooms.session.close(command.topic)]


def crash(rooms: Rooms, command: Command) -> list[Data]:
    """What that app did with an event it did not know, too."""
    return rooms.session.crash(command.topic)


def nothing(_rooms: Rooms, _command: Command) -> list[Data]:
    """No reply."""
    return []


_EVENTS: dict[str, Callable[[Rooms, Command], list[Data]]] = {
    "echo": answer("ok"),
    "err": answer("error", b'{"reason":"bad"}'),
    "custom": answer("accepted", b'{"n":1}'),
    "bare": answer("ok", b"{}"),
    "list": answer("ok", b"[1,2]"),
    "noreply": nothing,
    "push": push,
    "bcast": broadcast,
    "binecho": binary_answer("ok"),
    "binerr": binary_answer("error"),
    "binpush": push_binary,
    "binbcast": broadcast_binary,
    "stop": stop,
    "stopreply": stop_with_reply,
}
