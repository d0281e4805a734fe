"""One life of a simulated server: the real one, by its own composition root.

What the root takes from the machine (clocks, chance, the disk) comes from the world here,
and that is all that differs: store, orchestrator, runner, recovery, log, subscriptions
and every door are the product's. Bytes of artifacts are the exception: they need
threads, so they are counted instead of kept. A life ends by `crash`, with nothing said
to anybody, or by `stop`.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import inspect
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Protocol, TypeVar

import anyio
import msgspec
from starlette.applications import Starlette

from safelight.app import ROUTES, running
from safelight.artifacts import Kept
from safelight.edges.context import Context
from safelight.edges.lanes import Lanes
from safelight.edges.problems import HANDLERS
from safelight.log import Log
from safelight.machine import Machine
from safelight.providers.base import Provider
from safelight.settings import Settings
from safelight.store import open_store
from safelight.subscriptions import Subscriptions
from tests.simulation.disk import Disk
from tests.simulation.ledger import EPOCH_SECONDS
from tests.simulation.loop import VirtualLoop

T = TypeVar("T")

LIFE: contextvars.ContextVar[int] = contextvars.ContextVar("life", default=0)


class Crashed(Exception):
    """The server is gone; whatever was asked may have been done or not."""


class Counted:
    """Artifacts by their hashes, without bytes on a disk."""

    def __init__(self) -> None:
        self.pins = 0

    async def open(self) -> None:
        """There are no folders."""

    async def folders(self) -> list[str]:
        """None to sweep."""
        return []

    async def keep(
        self, data: bytes, *, kind: Any, media_type: str | None = None, text: bytes | None = None
    ) -> Kept:
        """Take some time, and pin."""
        await anyio.sleep(0.01)
        self.pins += 1
        return Kept(
            sha256=hashlib.sha256(data).hexdigest(),
            name="nowhere",
            bytes=len(data),
            media_type=media_type or "image/png",
            width=1,
            height=1,
        )

    def release(self, kept: Kept) -> None:
        """Undo one pin."""
        self.pins -= 1

    def draws(self, media_type: str, width: int | None, height: int | None) -> bool:
        """No thumbnails."""
        return False

    def mark(self) -> int:
        """Every moment is the same where nothing is removed."""
        return 0

    async def remove(self, sha256: str, media_type: str, since: int) -> bool:
        """There is nothing to remove."""
        await anyio.sleep(0.01)
        return True

    def statistics(self) -> dict[str, int]:
        """The pins."""
        return {"artifacts_pinned": self.pins}


class Pipe(Protocol):
    """A line to a client, cut when the life ends."""

    def end(self) -> None: ...


class Life:
    """One run of the server. Tasks made in `start` or `here` are its own, and die with it."""

    def __init__(
        self,
        number: int,
        disk: Disk,
        provider: Provider,
        dice: Random,
        subscriptions: Callable[[], Subscriptions] = Subscriptions,
        lanes: Callable[[Log, Subscriptions], Lanes] | None = None,
        patience: float = 30.0,
    ) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.number = number
        self.up = asyncio.Event()
        self.over = asyncio.Event()
        self.crashed = False
        self.context: Context
        self.app: Starlette
        self._disk = disk
        self._provider = provider
        self._dice = dice
        self._subscriptions = subscriptions
        self._lanes = lanes
        self._settings = Settings(
            data_dir=str(disk.path.parent),
            scripted=True,
            tail_events=dice.choice([2, 8, 1024]),
            attempt_timeout_seconds=20.0,
            cancel_timeout_seconds=5.0,
            slow_reader_seconds=patience,
        )
        self._stopping = asyncio.Event()
        self._variables = contextvars.copy_context()
        self._variables.run(LIFE.set, number)
        self.pipes: list[Pipe] = []

    def here(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run something inside of this server."""
        task = self.loop.create_task(work, context=self._variables)
        task.set_name(f"life {self.number}: {name}")
        return task

    async def call(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Run something inside of this server and await it. Raises Crashed."""
        task = self.here(work, name)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() or self.crashed:
                raise Crashed from None
            task.cancel()  # the one who asked has gone
            raise

    def start(self) -> asyncio.Task[None]:
        """Begin to live."""
        return self.here(self._live(), "main")

    async def stop(self) -> None:
        """Go down in order, as `serve` does: say so, see the guests out, then leave."""
        self.context.drain()
        await self.context.guests.see_out(2.0, anyio.sleep)
        await anyio.sleep(3.0)
        self._stopping.set()
        await self.over.wait()
        self._end()

    def crash(self) -> None:
        """SIGKILL: nothing more is written, and nobody is told."""
        self._disk.calm = True
        self._disk.crash()
        self._end()

    def _files(self, *_: Any) -> Any:
        return Counted()

    def left(self) -> list[str]:
        """Tasks of this life that are still there."""
        return [task.get_name() for task in self._tasks()]

    def _end(self) -> None:
        self.crashed = True
        self.over.set()
        for pipe in self.pipes:
            pipe.end()
        for task in self._tasks():
            _leave(task)
            task.cancel()

    def _tasks(self) -> list[asyncio.Task[Any]]:
        return [
            task
            for task in self.loop.tasks
            if not task.done() and self.loop.contexts[task].get(LIFE, 0) == self.number
        ]

    async def _live(self) -> None:
        self._disk.calm = True
        async with running(
            self._settings,
            {"scripted": self._provider},
            lambda directory, now: open_store(directory, now, connect=self._disk.connect),
            self._subscriptions,
            self._machine(),
            self._files,
        ) as context:
            if self._lanes is not None:
                lanes = self._lanes(context.log, context.subscriptions)
                context = msgspec.structs.replace(context, lanes=lanes)
            self.context = context
            self.app = Starlette(routes=ROUTES, exception_handlers=HANDLERS)
            self.app.state.context = context
            self._disk.calm = False
            self.up.set()
            await self._stopping.wait()
        self._disk.calm = True
        self.over.set()

    def _machine(self) -> Machine:
        return Machine(
            clock=lambda: round((EPOCH_SECONDS + self.loop.time()) * 1000),
            monotonic=self.loop.time,
            sleep=_never,
            share=self._dice.random,
            bits=self._dice.getrandbits,
            token=self._dice.randbytes,
        )


async def _never(_: float) -> None:
    """What goes round for ever (the pulse, the sweeps) is done once a life."""
    await anyio.sleep_forever()


def _leave(task: asyncio.Task[Any]) -> None:
    """A task that is cancelled before its first step never awaits what anyio holds in it: a
    crash does that, and Python would complain of it as of a mistake in the code."""
    work = task.get_coro()
    if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
        held = getattr(work.cr_frame.f_locals.get("self"), "_coro", None)
        if held is not None:
            held.close()
