"""Real clients that watch tasks, write down every byte, and behave as badly as people do.

Each comes back by itself with its cursor, whatever happened to its connection, until it
was told the end. On the way it drops connections, leaves, joins twice, reads slowly or
begins anew; how often is drawn from its own seed. While `calm` it only reads.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod

import websockets

from .history import Closed, Door, GaveUp, Heard, Opened, Recorder
from .reading import TERMINAL, Unreadable, read_json, read_message
from .wires import Broken, request

MISCHIEF = 0.08
"""How likely a witness does something but reading, at each message."""

STRANGE = "nosuchlog-3"
"""A cursor of a history that no server of the campaign has: it must be told of a gap."""

GONE = (OSError, TimeoutError, Broken, websockets.WebSocketException, Unreadable)


class Stage:
    """What all witnesses share: the address, the record, and which act it is."""

    def __init__(self, address: tuple[str, int], recorder: Recorder, seed: str) -> None:
        self.address = address
        self.recorder = recorder
        self.calm = False
        self.over = False
        self._seed = seed

    def die(self, name: str) -> random.Random:
        """Chance of one's own, the same for the same seed and name."""
        return random.Random(f"{self._seed}/{name}")


class Dropped(Exception):
    """The witness itself has ended the connection."""


class Witness(ABC):
    """One client at one door. `done` once it was told all that it waits for."""

    door: Door

    def __init__(self, stage: Stage, name: str, *, patience: int = 10**9) -> None:
        """`patience` is the number of connections after which it gives up."""
        self.name = name
        self.done = False
        self.stage = stage
        self.die = stage.die(name)
        self.connection = 0
        self._patience = patience

    async def run(self) -> None:
        """Watch to the end; returns when done, out of patience, or all is over."""
        while not self.done and not self.stage.over:
            own_will = False
            try:
                await self.connect()
            except Dropped:
                own_will = True
            except GONE:
                pass
            finally:
                self._closed(own_will)
            self._patience -= not self.stage.calm
            if self._patience <= 0 and not self.done:
                return self.give_up()
            if not self.done:
                await asyncio.sleep(self.die.uniform(0.02, 0.3))

    @abstractmethod
    async def connect(self) -> None:
        """One connection, from its beginning to its end."""

    @abstractmethod
    def give_up(self) -> None:
        """Follow no more; the checker must not wait for it."""

    @abstractmethod
    def pretend(self) -> None:
        """Begin with a cursor of another history, which a gap must answer."""

    def opened(self, task: str | None = None, after: str | None = None) -> None:
        """Note a connection."""
        self.connection = self.stage.recorder.number()
        self.stage.recorder.write(
            Opened(
                at=self.stage.recorder.now,
                witness=self.name,
                connection=self.connection,
                door=self.door,
                task=task,
                after=after,
            )
        )

    def heard(self, data: bytes) -> None:
        """Note what came."""
        recorder = self.stage.recorder
        recorder.write(Heard(at=recorder.now, connection=self.connection, data=data))

    def gave_up(self, task: str) -> None:
        """Note that the end of this task is not waited for."""
        recorder = self.stage.recorder
        recorder.write(GaveUp(at=recorder.now, witness=self.name, task=task))

    def _closed(self, own_will: bool) -> None:
        if self.connection:
            recorder = self.stage.recorder
            closed = Closed(at=recorder.now, connection=self.connection, own_will=own_will)
            recorder.write(closed)
            self.connection = 0

    def tempted(self) -> bool:
        """Whether to misbehave now."""
        return not self.stage.calm and self.die.random() < MISCHIEF


class StreamWitness(Witness):
    """Server-sent events, with Last-Event-ID."""

    door: Door = "sse"

    def __init__(self, stage: Stage, name: str, task: str, **more: int) -> None:
        super().__init__(stage, name, **more)
        self.task = task
        self.cursor: str | None = None

    def pretend(self) -> None:
        """Begin with a cursor of another history."""
        self.cursor = STRANGE

    def give_up(self) -> None:
        """Follow no more."""
        self.gave_up(self.task)

    async def connect(self) -> None:
        """Read the stream to its end."""
        target = f"/api/tasks/{self.task}/events"
        accept = "text/event-stream"
        async with request(
            self.stage.address, "GET", target, accept=accept, last_event_id=self.cursor
        ) as answer:
            if answer.status == 204:
                self.opened(self.task, self.cursor)
                self.done = True
            elif answer.status == 200:
                self.opened(self.task, self.cursor)
                await self._read(answer.pieces())

    async def _read(self, pieces) -> None:
        waiting = b""
        async for piece in pieces:
            *records, waiting = (waiting + piece).split(b"\n\n")
            for record in records:
                self.heard(record)
                self._take(record)
            await self._misbehave()
            if self.stage.over:
                raise Dropped

    def _take(self, record: bytes) -> None:
        message = read_message(record)
        if message.data is None:
            return
        self.cursor = message.id
        told = message.data["task"] if message.event == "gap" else message.data
        self.done = self.done or told["status"] in TERMINAL

    async def _misbehave(self) -> None:
        if not self.tempted():
            return
        match self.die.randrange(3):
            case 0:
                raise Dropped
            case 1:
                await asyncio.sleep(self.die.uniform(0.05, 0.5))
            case _:
                self.cursor = None  # as after a reload of the page
                raise Dropped


class PollWitness(StreamWitness):
    """JSON long-poll."""

    door: Door = "poll"

    async def connect(self) -> None:
        """Ask once for what comes after the cursor."""
        target = f"/api/tasks/{self.task}/events?wait=2&after={self.cursor or 0}"
        async with request(self.stage.address, "GET", target) as answer:
            if answer.status != 200:
                return
            data = await answer.body()
        self.opened(self.task, self.cursor)
        self.heard(data)
        told = read_json(data)["data"]
        self.cursor = told["cursor"]
        self.done = told["ended"]
        if self.tempted():
            self.cursor = None if self.die.random() < 0.3 else self.cursor
            await asyncio.sleep(self.die.uniform(0.05, 0.5))
