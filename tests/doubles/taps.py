"""Sockets in memory: real connections over lines that a test holds, and a task to follow.

A `Tap` is what our server's line is to a connection, without a network: it keeps what is
written, and takes as much as the test says. A `Teller` moves a task through the lifecycle
and tells its events as the orchestrator does after a commit. Unrealistic: nothing that a
teller tells is on disk.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from safelight.edges.connection import Connection
from safelight.edges.context import Context
from safelight.edges.line import Receiver
from safelight.edges.socket import LineCarrier
from safelight_protocol import lifecycle
from safelight_protocol.events import encode_event
from safelight_protocol.frames import V2, Serializer
from safelight_protocol.inputs import Happening
from safelight_protocol.task import Task
from tests.doubles.lives import NOW

PATIENCE = 10.0


class Tap:
    """One client's line. `taking` says whether it takes what is written."""

    def __init__(self, context: Context, serializer: Serializer | None = None) -> None:
        self.written: list[bytes] = []
        self.taking = True
        self.untaken = 0
        self.reading = True
        self.closes: list[tuple[int, str]] = []
        self.receiver: Receiver | None = None
        serializer = serializer or V2()
        self._vsn = serializer.vsn
        carrier = LineCarrier(self, context.start, takes_binary=self._vsn == "2.0.0")
        self.connection = Connection(carrier, context, "local", serializer)
        self.attach(self.connection)
        self.connection.begin()

    def attach(self, receiver: Receiver) -> None:
        """Call it back."""
        self.receiver = receiver

    def write(self, frames: bytes) -> None:
        """Keep it; who takes nothing says so at once, as a small buffer would."""
        self.written.append(frames)
        if not self.taking:
            self.untaken += len(frames)
            assert self.receiver is not None
            self.receiver.pause_writing()

    def take(self) -> None:
        """Take all there is, and go on taking."""
        self.taking, self.untaken = True, 0
        if self.receiver is not None:
            self.receiver.resume_writing()

    def pause_reading(self) -> None:
        """Noted."""
        self.reading = False

    def resume_reading(self) -> None:
        """Noted."""
        self.reading = True

    def close(self, code: int, reason: str) -> None:
        """Noted; the line is lost soon after."""
        self.closes.append((code, reason))
        asyncio.get_running_loop().call_soon(self.lose)

    def lose(self) -> None:
        """The client has gone."""
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            receiver.lost()

    def say(self, *frame: Any) -> None:
        """A frame of the client: join_ref, ref, topic, event, payload."""
        assert self.receiver is not None
        told: Any = list(frame)
        if self._vsn == "1.0.0":
            told = dict(zip(("ref", "topic", "event", "payload"), frame[1:], strict=True))
        self.receiver.received(json.dumps(told))

    def join(self, topic: str, payload: dict[str, Any] | None = None, ref: str = "1") -> None:
        """Ask for a topic."""
        self.say(ref, ref, topic, "phx_join", payload or {})

    def frames(self) -> list[Any]:
        """Every text frame that was written, as a list of five, decoded without the help of
        what is tested."""
        told = [json.loads(data) for data in unframed(b"".join(self.written))]
        if self._vsn == "2.0.0":
            return told
        return [[None, f["ref"], f["topic"], f["event"], f["payload"]] for f in told]

    def seqs(self, topic: str) -> list[int]:
        """The seqs of the events that were told on a topic, folded ones included."""
        told = [f[4] for f in self.frames() if f[2] == topic and f[3] == "progress"]
        return [n for e in told for n in range(e.get("from_seq", e["seq"]), e["seq"] + 1)]


def unframed(wire: bytes) -> list[bytes]:
    """The payloads of unmasked, unfragmented WebSocket frames."""
    found, at = [], 0
    while at < len(wire):
        size, head = wire[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(wire[at + 2 : at + 4], "big"), 4
        elif size == 127:
            size, head = int.from_bytes(wire[at + 2 : at + 10], "big"), 10
        found.append(wire[at + head : at + head + size])
        at += head + size
    assert at == len(wire)
    return found


class Teller:
    """Tells of a task what the orchestrator would; nothing else may move it."""

    def __init__(self, context: Context, task: Task) -> None:
        self.task = task
        self.context: Context = msgspec.structs.replace(context, orchestrator=self)
        self._now = NOW

    async def find(self, owner: str, id: str) -> Task:
        """The task as it was told last: sockets of `context` are to join that."""
        return self.task

    def tell(self, *happenings: Happening) -> None:
        """Step, append, wake."""
        for happening in happenings:
            self._now += 1
            step = lifecycle.step(self.task, happening, self._now)
            self.task = step.task
            if step.event is not None:
                self.context.log.append(step.task, step.event, encode_event(step.event))
                self.context.subscriptions.wake(step.task.uid)


async def settled(context: Context, followers: int) -> None:
    """Wait until so many followers have all there is and are in a lane."""
    async with asyncio.timeout(PATIENCE):
        while context.lanes.statistics()["laned"] != followers:  # noqa: ASYNC110
            await asyncio.sleep(0)
