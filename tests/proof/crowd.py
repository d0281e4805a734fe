"""Creators and witnesses of one round: who comes, when, and to which door."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from .creators import Creators, draw_wish
from .history import Struck
from .sockets import GalleryWitness, SocketWitness
from .witnesses import PollWitness, Stage, StreamWitness, Witness

FOR_EVER = 10**9

STRANGERS = 5
"""The first witnesses of a round, one at each door, come with a cursor of another history."""


class Crowd:
    """Creators and witnesses of one round."""

    def __init__(self, stage: Stage, per_second: float) -> None:
        self.enough = False
        self._stage = stage
        self._per_second = per_second
        self._die = stage.die("crowd")
        self._born: asyncio.Queue[str] = asyncio.Queue()
        self._creators = Creators(stage, self._born, lambda work: self._start(work, self._watching))
        self._asking: set[asyncio.Task[None]] = set()
        self._watching: set[asyncio.Task[None]] = set()
        self._galleries: set[asyncio.Task[None]] = set()
        self._walls = [GalleryWitness(stage, f"gallery {n}") for n in range(2)]
        self._count = 0

    async def come(self, prefix: str) -> None:
        """Want things at some pace until it is enough; returns when all are answered."""
        for gallery in self._walls:
            self._start(gallery.run(), self._galleries)
        self._start(self._gather(), self._galleries)
        number = 0
        while not self.enough:
            number += 1
            wish = draw_wish(self._die, number, prefix)
            die = self._stage.die(f"wish {number}")
            self._start(self._creators.want(wish, die), self._asking)
            await asyncio.sleep(self._die.expovariate(self._per_second))
        while self._asking:
            await asyncio.wait(self._asking)

    async def wait_until_told(self, seconds: float, position: int) -> None:
        """Until every witness is done and every gallery has come to `position`, the last
        change that there is; but not for ever."""
        await self._born.join()
        if self._watching:
            await asyncio.wait(self._watching, timeout=seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for gallery in self._walls:
                    await gallery.wait_at(position)

    async def leave(self) -> None:
        """All go, done or not. One that broke over what it was told is noted as such."""
        left = [*self._asking, *self._watching, *self._galleries]
        for task in left:
            task.cancel()
        found = await asyncio.gather(*left, return_exceptions=True)
        for problem in found:
            if isinstance(problem, Exception):
                recorder, detail = self._stage.recorder, f"what broke a client: {problem!r}"
                recorder.write(Struck(at=recorder.now, what="said", detail=detail))

    async def _gather(self) -> None:
        """Witnesses for whatever is born."""
        while True:
            ids = [await self._born.get()]
            while self._born.qsize() and len(ids) < 4:
                ids.append(self._born.get_nowait())
            for _ in range(self._die.choice((1, 2, 3))):
                self._start(self._watch(ids), self._watching)
            for _ in ids:
                self._born.task_done()

    async def _watch(self, ids: list[str]) -> None:
        self._count += 1
        is_stranger = self._count <= STRANGERS
        name, die = f"witness {self._count}", self._stage.die(f"watch {self._count}")
        await asyncio.sleep(die.choice((0.0, 0.0, 0.0, 0.3, 2.0)))
        patience = die.choice((2, FOR_EVER, FOR_EVER, FOR_EVER, FOR_EVER))
        witness: Witness
        drawn = die.randrange(6)
        match self._count - 1 if is_stranger else drawn:
            case 0:
                witness = StreamWitness(self._stage, name, die.choice(ids), patience=patience)
            case 1:
                witness = PollWitness(self._stage, name, die.choice(ids), patience=4 * patience)
            case 2:
                witness = SocketWitness(self._stage, name, ids, door="v1", patience=patience)
            case 3:
                witness = SocketWitness(self._stage, name, ids, door="longpoll", patience=patience)
            case _:
                witness = SocketWitness(self._stage, name, ids, door="v2", patience=patience)
        if is_stranger:
            witness.pretend()
        await witness.run()

    def _start(
        self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        among.add(task)
        task.add_done_callback(lambda done: _settle(done, among))
        return task


def _settle(task: asyncio.Task[None], among: set[asyncio.Task[None]]) -> None:
    """A task that went well is forgotten; one that broke stays, to be told at the end."""
    if task.cancelled() or task.exception() is None:
        among.discard(task)
