"""Who watches a simulated server: four kinds of followers, each with a witness.

The bare pattern of `subscriptions` and `log`, server-sent events, long-poll, and the
socket with the protocol's own client end. All come and go at drawn moments, break off
with the server, come back with their cursor, and stay at last until the end. Only that
last visit shows a lost wake-up: nobody comes back from it.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from random import Random
from typing import Any

import anyio
import msgspec

from safelight_protocol.client import Client, Output
from safelight_protocol.codes import Refused
from safelight_protocol.effects import Hangup, Send
from safelight_protocol.events import TERMINAL
from safelight_protocol.happenings import Closed, Hole, Joined, NotJoined, Told
from tests.simulation.clients import Wish, World
from tests.simulation.doors import Exchange, dial, request, stream
from tests.simulation.ledger import Witness
from tests.simulation.server import Crashed, Life

BATCH = 3
"""Smaller than the doors', so that readers are often in the middle of a log."""


class Follower(ABC):
    """One witness's way of looking. `cursor` is what its client keeps."""

    def __init__(self, world: World, wish: Wish, dice: Random, name: str) -> None:
        assert wish.found is not None
        self.world = world
        self.dice = dice
        self.id = wish.found
        self.wish = wish
        self.cursor: str | None = dice.choice([None, "0"])
        self.witness = Witness(world.ledger, name, self.id)
        wish.witnesses.append(self.witness)
        self.slow = dice.choice([1.0, 1.0, 1.0, 20.0])

    async def follow(self) -> None:
        """Visit after visit, the last without leaving."""
        visits = self.dice.choice([0, 0, 1, 3])
        while not self.witness.done:
            patience = self.dice.random() * 4 if visits > 0 else None
            visits -= 1
            life = await self.world.alive()
            try:
                with anyio.move_on_after(patience):
                    await self.visit(life)
            except Crashed:
                self.world.ledger.counts["visits cut"] += 1
            if self.witness.ended:
                self.wish.ended.set()
            await anyio.sleep(self.dice.random() * self.dice.choice([0.01, 1.0]))

    @abstractmethod
    async def visit(self, life: Life) -> None:
        """Read until the end, or until something breaks."""

    def begin(self, snapshot: dict[str, Any]) -> None:
        """The snapshot of an attach."""
        self.witness.begin(snapshot["seq"], snapshot["status"])

    def refused(self, status: int) -> None:
        """A task that was accepted is refused only when it was deleted, or for trouble."""
        if status == 410 and self.wish.deletes:
            self.witness.gone = True
        elif status not in (503, 507):
            self.world.ledger.breach("an accepted task can be read", f"{self.id}: {status}")
            self.witness.gone = True


class Bare(Follower):
    """The pattern itself: register the wake first, read from the cursor second."""

    async def visit(self, life: Life) -> None:
        try:
            await life.call(self.read(life), "bare follower")
        except Refused as refused:
            self.refused(refused.code.http or 500)

    async def read(self, life: Life) -> None:
        """Runs inside of the server."""
        context, changed = life.context, asyncio.Event()
        task = await context.orchestrator.find("local", self.id)
        place = await context.log.place(task, self.cursor, None)
        snapshot = await context.log.snapshot(task)
        if place is not None and place.gap:
            self.witness.gap()
        seq = snapshot.seq if place is None else place.seq
        if place is None:
            self.witness.begin(snapshot.seq, snapshot.status)
            if snapshot.status in TERMINAL:
                seq = snapshot.seq - 1
            self.cursor = context.log.cursor(seq)
        since = life.loop.time()
        subscription = context.subscriptions.follow(task.uid, changed.set)
        try:
            await self.pull(context, task.uid, seq, changed, since)
        finally:
            subscription.close()

    async def pull(
        self, context: Any, uid: str, seq: int, changed: asyncio.Event, since: float
    ) -> None:
        """Read, and wait for a wake when there is nothing."""
        while not self.witness.done:
            changed.clear()
            entries = await context.log.read(uid, seq, BATCH)
            for entry in entries:
                self.witness.take(entry.body, since)
                seq = entry.seq
                self.cursor = context.log.cursor(seq)
            if not entries:
                if context.draining():
                    await asyncio.Event().wait()  # sent away; the life is about to end
                if await self.is_gone(context):
                    return
                await changed.wait()

    async def is_gone(self, context: Any) -> bool:
        """Whether the task was deleted meanwhile."""
        try:
            await context.orchestrator.find("local", self.id)
        except Refused as refused:
            self.refused(refused.code.http or 500)
            return True
        return False


class Stream(Follower):
    """GET /api/tasks/{id}/events as EventSource reads it."""

    async def visit(self, life: Life) -> None:
        headers = {"accept": "text/event-stream"}
        if self.cursor is not None:
            headers["last-event-id"] = self.cursor
        chunks = stream(life, self.dice, f"/api/tasks/{self.id}/events", headers, self.slow)
        try:
            async for chunk in chunks:
                if isinstance(chunk, bytes):
                    self.read(chunk)
                elif chunk == 204:
                    self.world.ledger.breach("204 is for who has seen the end", self.id)
                    self.witness.gone = True
                elif chunk != 200:
                    return self.refused(chunk)
        finally:
            await chunks.aclose()

    def read(self, chunk: bytes) -> None:
        """The events of one chunk; the server never splits one."""
        for block in chunk.decode().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if lines.get("event") == "gap":
                self.witness.gap(lines["data"])
            elif lines.get("event") == "progress":
                self.witness.take(lines["data"].encode())
                self.cursor = lines["id"]


class Poll(Follower):
    """The same by long-poll."""

    async def visit(self, life: Life) -> None:
        while not self.witness.done:
            wait = self.dice.choice([0, 5, 30])
            path = f"/api/tasks/{self.id}/events?after={self.cursor or '0'}&wait={wait}"
            status, answer = await request(life, self.dice, "GET", path)
            if status != 200:
                return self.refused(status)
            self.read(answer["data"])
            await anyio.sleep(0.05 + self.dice.random() * 0.5 * (wait == 0))

    def read(self, data: dict[str, Any]) -> None:
        """One answer."""
        if data["gap"]:
            self.witness.gap()
        for event in data["events"]:
            # The body was parsed on its way; compact JSON in the same order is the same bytes.
            self.witness.take(msgspec.json.encode(event))
        self.cursor = data["cursor"]
        if data["ended"] and not self.witness.ended:
            self.world.ledger.breach("ended is said with the end", self.id)


class Socket(Follower):
    """The Phoenix socket, with the client end of the protocol package."""

    def __init__(self, world: World, wish: Wish, dice: Random, name: str) -> None:
        super().__init__(world, wish, dice, name)
        self.topic = f"task:{self.id}"
        self.client = Client(first_ref=1, first_join_ref=501)
        self.asked: str | None = None
        self.told = 0
        self.client.join(self.topic, self.asks, 0.0, after=self.cursor)
        self.exchange: Exchange | None = None

    async def visit(self, life: Life) -> None:
        loop = life.loop
        await anyio.sleep(min(3.0, max(0.0, self._due() - loop.time())))
        self.client.tick(loop.time())
        exchange = dial(life, self.dice, "2.0.0", self.slow)
        code: int | None = None
        try:
            first = await exchange.ear.get()
            if first["type"] != "websocket.accept":
                return
            self.exchange = exchange
            self.hear(self.client.connected(loop.time()), loop.time())
            while not self.witness.done and self.exchange is not None:
                with anyio.move_on_after(max(0.0, self.client.deadline - loop.time())):
                    message = await exchange.ear.get()
                    if message["type"] == "websocket.close":
                        code = message.get("code")
                        self.closed(code)
                        return
                    if message["type"] != "websocket.send":
                        return
                    data = message.get("text") or message.get("bytes") or b""
                    self.count(life, exchange)
                    self.check(data)
                    self.hear(self.client.receive(data, loop.time()), loop.time())
                    continue
                self.hear(self.client.tick(loop.time()), loop.time())
        finally:
            self.exchange = None
            pauses = exchange.line.pauses if exchange.line is not None else 0
            self.world.ledger.counts["lines full"] += pauses
            exchange.leave({"type": "websocket.disconnect", "code": 1006})
            self.hear(self.client.disconnected(loop.time(), code, jitter=0.5), loop.time())

    def count(self, life: Life, exchange: Exchange) -> None:
        """Something came: by a line, perhaps while its server has lanes."""
        counts = self.world.ledger.counts
        counts["heard by lines"] += exchange.line is not None
        laned = exchange.line is not None and not life.crashed
        counts["heard with lanes"] += laned and len(life.context.lanes.all()) > 0

    def check(self, data: str | bytes) -> None:
        """After the reply of a join each event comes once: the client end would forgive."""
        if isinstance(data, bytes):
            return
        _, _, _, event, payload = json.loads(data)
        if event == "phx_reply" and "cursor" in payload["response"]:
            self.told = 0
        elif event == "progress":
            first = payload.get("from_seq", payload["seq"])
            if first <= self.told:
                told = f"{self.id}: {first} after {self.told}"
                self.world.ledger.breach("no follower is told twice", told)
            self.told = payload["seq"]

    def closed(self, code: int | None) -> None:
        """Every close says why; 1011 would be a bug of the server's."""
        self.world.ledger.counts[f"closed {code}"] += 1
        if code not in (1001, 1012, 1013):
            self.world.ledger.breach("no socket is closed for a bug", f"{self.id}: {code}")

    def hear(self, outputs: list[Output], now: float) -> None:
        """Carry out what the client end wants, and note what it tells."""
        for output in outputs:
            match output:
                case Send(data=data) if self.exchange is not None:
                    kind = "text" if isinstance(data, str) else "bytes"
                    self.exchange.up.put({"type": "websocket.receive", kind: data})
                case Joined(response=response):
                    self.joined(json.loads(bytes(response)))
                case NotJoined(response=response, retry_at=None):
                    self.not_joined(json.loads(bytes(response)))
                case Told(event="progress", payload=payload):
                    self.witness.take(bytes(payload))
                case Hole():
                    self.world.ledger.breach("no hole on a socket", f"{self.id}: {output}")
                case Hangup(code=1001) if self.slow > 1.0:
                    self.exchange = None  # answers to its heartbeats take it too long
                case Closed() if self.wish.deletes:
                    self.witness.gone = True
                case Closed() | Hangup():
                    self.world.ledger.breach("no channel is closed", f"{self.id}: {output}")
                case _:
                    pass

    def asks(self, cursor: str | None) -> bytes:
        """The payload of a join."""
        self.asked = cursor
        return msgspec.json.encode({} if cursor is None else {"after": cursor})

    def joined(self, reply: dict[str, Any]) -> None:
        """The reply of a join."""
        if reply["gap"]:
            self.witness.gap(reply["cursor"])
        asked = None if self.asked is None else int(self.asked.rpartition("-")[2])
        if asked == reply["task"]["seq"] and reply["task"]["status"] in TERMINAL:
            # It has had the snapshot of the end, and the connection broke before the event.
            self.witness.ended = True
        if self.witness.last is None and self.cursor is None:
            self.begin(reply["task"])

    def not_joined(self, reply: dict[str, Any]) -> None:
        """A refusal for good."""
        self.refused({"gone": 410}.get(reply.get("code", ""), 404))

    def _due(self) -> float:
        due = self.client.deadline
        return 0.0 if due == float("inf") else due


KINDS: tuple[type[Follower], ...] = (Bare, Bare, Stream, Poll, Socket, Socket)
