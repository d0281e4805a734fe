"""The witnesses at the Phoenix socket: V2, V1, the gallery, and whoever creates by joining."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

from .history import Answered, Asked, Door, Said
from .mailbox import Wire, dial_long_poll, dial_socket
from .reading import TERMINAL, Frame, read_frame, write_frame
from .witnesses import STRANGE, Dropped, Stage, Witness

HEARTBEAT_SECONDS = 2.0
SILENCES = 3
"""Heartbeats without any answer after which the connection counts as dead."""


FROM_THE_BEGINNING = 0.4
"""How many of those who come without a cursor want the whole log."""


class SocketWitness(Witness):
    """A Phoenix socket that follows several tasks: V2, V1, or V2 over long-poll."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        tasks: list[str],
        *,
        door: Door = "v2",
        create: dict[str, Any] | None = None,
        **more: int,
    ) -> None:
        """`create` is a body with which the first task is created by joining it."""
        super().__init__(stage, name, **more)
        self.door = door
        self.accepted = asyncio.Event()
        self._create = create
        self._cursors: dict[str, str | None] = dict.fromkeys(tasks)
        self._logs: dict[str, str] = {}
        self._joins: dict[str, tuple[str, bool, int]] = {}
        self._ref = 0

    def give_up(self) -> None:
        """Follow none of its tasks any more."""
        for task in self._cursors:
            self.gave_up(task)

    def pretend(self) -> None:
        """Begin with cursors of another history."""
        self._cursors = dict.fromkeys(self._cursors, STRANGE)

    async def connect(self) -> None:
        """Join everything that has not ended and read."""
        self._joins.clear()
        try:
            async with self.dial() as wire:
                self.opened()
                await self._follow(wire)
        finally:
            self._unknown()

    def dial(self) -> AbstractAsyncContextManager[Wire]:
        """The wire of its door."""
        if self.door == "longpoll":
            return dial_long_poll(self.stage.address)
        return dial_socket(self.stage.address, "1.0.0" if self.door == "v1" else "2.0.0")

    async def _follow(self, wire: Wire) -> None:
        for topic in self.topics():
            await self._join(wire, topic)
        silent = 0
        while not self.done and not self.stage.over:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    raw = await wire.recv()
            except TimeoutError:
                silent += 1
                if silent > SILENCES:
                    raise
                await self._say(wire, None, "phoenix", "heartbeat", {})
                continue
            silent = 0
            self.heard(raw)
            frame = read_frame(raw, "v1" if self.door == "v1" else "v2")
            if frame is not None:
                self.take(frame)
            if self.tempted() and not self.done:
                await self._misbehave(wire)

    def topics(self) -> list[str]:
        """What is joined on a new connection."""
        return [f"task:{id}" for id in self._cursors]

    def payload(self, topic: str) -> dict[str, Any]:
        """What a join says: where to go on, and what to create."""
        id = topic.removeprefix("task:")
        asked: dict[str, Any] = {}
        if self._cursors[id] is not None:
            asked["after"] = self._cursors[id]
        elif self.die.random() < FROM_THE_BEGINNING:
            asked["after"] = 0
        if self._create is not None and not self.accepted.is_set():
            asked |= {"create": self._create, "after": 0}
        return asked

    def forget(self, topic: str) -> None:
        """Begin anew, as after a reload of the page."""
        self._cursors[topic.removeprefix("task:")] = None

    async def _join(self, wire: Wire, topic: str, *, anew: bool = False) -> None:
        if anew:
            self.forget(topic)
        asked = self.payload(topic)
        number = 0
        if "create" in asked:
            number = self._asked(topic, asked["create"])
        await self._say(wire, "join", topic, "phx_join", asked, number, "after" in asked)

    def _asked(self, topic: str, body: dict[str, Any]) -> int:
        recorder = self.stage.recorder
        number = recorder.number()
        asked = Asked(
            at=recorder.now,
            number=number,
            door=f"join {self.door}",
            id=topic.removeprefix("task:"),
            key=body.get("request_id"),
            body=body["prompt"],
        )
        recorder.write(asked)
        return number

    def _answer(self, number: int, verdict: Any, **more: Any) -> None:
        recorder = self.stage.recorder
        recorder.write(Answered(at=recorder.now, number=number, verdict=verdict, **more))

    def _unknown(self) -> None:
        for _, _, number in self._joins.values():
            if number:
                self._answer(number, "unknown")
        self._joins.clear()

    async def _say(
        self,
        wire: Wire,
        join_ref: str | None,
        topic: str,
        event: str,
        payload: dict[str, Any],
        number: int = 0,
        with_cursor: bool = False,
    ) -> None:
        self._ref += 1
        ref = str(self._ref)
        if event == "phx_join":
            self._joins[ref] = (topic, with_cursor, number)
        frame = Frame(ref if join_ref == "join" else join_ref, ref, topic, event, payload)
        data = write_frame(frame, self.door)
        recorder = self.stage.recorder
        recorder.write(Said(at=recorder.now, connection=self.connection, data=data))
        await wire.send(data)

    def take(self, frame: Frame) -> None:
        """Move the cursor; note the end."""
        if frame.event == "phx_reply" and frame.ref in self._joins:
            topic, with_cursor, number = self._joins.pop(frame.ref)
            self.joined(topic, with_cursor, number, frame.payload)
        elif frame.told is not None and frame.id in self._cursors:
            self._cursors[frame.id] = f"{self._logs.get(frame.id, '')}-{frame.told['seq']}"
            if frame.told["status"] in TERMINAL:
                self._end(frame.id)

    def joined(self, topic: str, with_cursor: bool, number: int, payload: dict[str, Any]) -> None:
        """The reply to a join: where its events begin."""
        id, reply = topic.removeprefix("task:"), payload["response"]
        if payload["status"] != "ok":
            return self._refused(id, number, reply)
        if number:
            made = {"task": reply["task"]["task_id"], "created": reply["created"]}
            self._answer(number, "ok", **made)
        self.accepted.set()
        if id not in self._cursors:
            return
        self._logs[id] = reply["log"]
        self._cursors[id] = reply["cursor"]
        at_end = reply["task"]["status"] in TERMINAL and reply["seq"] == reply["task"]["seq"]
        if at_end and with_cursor and not reply["gap"]:
            self._end(id)

    def _refused(self, id: str, number: int, reply: dict[str, Any]) -> None:
        if number:
            self._answer(number, "refused", code=reply.get("code", ""))
        self.gave_up(id)
        self._end(id)

    def _end(self, id: str) -> None:
        self._cursors.pop(id, None)
        self.done = not self._cursors

    async def _misbehave(self, wire: Wire) -> None:
        topic = self.die.choice(self.topics())
        match self.die.randrange(7):
            case 0:
                wire.abort()
                raise Dropped
            case 1:
                raise Dropped
            case 2:
                await self._say(wire, None, topic, "phx_leave", {})
                await self._join(wire, topic)
            case 3:
                await self._join(wire, topic)
            case 4:
                await self._join(wire, topic, anew=True)
            case 5:
                await self._say(wire, None, topic, "ping", {"at": self._ref})
            case _:
                await asyncio.sleep(self.die.uniform(0.05, 0.6))


class GalleryWitness(SocketWitness):
    """The gallery's topic, from page to page of changes; it is never done by itself."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(stage, name, [])
        self.door = "gallery"
        self.moved = asyncio.Event()
        self._place: dict[str, Any] = {}

    @property
    def position(self) -> int:
        """The last change that it was told of."""
        return int(self._place.get("after", 0))

    def topics(self) -> list[str]:
        """The gallery."""
        return ["tasks:mine"]

    def payload(self, topic: str) -> dict[str, Any]:
        """Where to go on."""
        return {"limit": 20} | self._place

    def forget(self, topic: str) -> None:
        """Begin anew, with a page."""
        self._place = {}

    def give_up(self) -> None:
        """Look no more."""
        self.gave_up("mine")

    def joined(self, topic: str, with_cursor: bool, number: int, payload: dict[str, Any]) -> None:
        """The reply: a page, and a position."""
        if payload["status"] == "ok":
            reply = payload["response"]
            self._place = {"after": reply["position"], "log": reply["log"]}
            self.moved.set()

    def take(self, frame: Frame) -> None:
        """Move the position."""
        super().take(frame)
        if frame.event == "task" and self._place:
            self._place["after"] = frame.payload["position"]
            self.moved.set()

    async def wait_at(self, position: int) -> None:
        """Until it was told of that change."""
        while self.position < position:
            self.moved.clear()
            await self.moved.wait()
