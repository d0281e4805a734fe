"""A store with its log and files, a clock that stands, and sweepers over them.

Stands for the server around retention. `between` is called in each pause, so that a test
looks at what one step has left. Unrealistic: nobody else writes meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.artifacts import ArtifactStore
from safelight.log import Log
from safelight.retention import Retention, Rules
from safelight.store import Removal, Store, open_store
from safelight_protocol import inputs as happened
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, example
from tests.doubles.writes import written

CLAIMED = happened.Claimed(NOW + 60_000)
FINISHED = example(happened.Finished)
WEEK = 7 * 86_400.0


class Desk:
    """A store with its log and files, a clock that stands, and a sweeper over them."""

    def __init__(self, store: Store, artifacts: ArtifactStore) -> None:
        self.store = store
        self.log = Log(store)
        self.artifacts = artifacts
        self.now = NOW
        self.pauses = 0
        self.between: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, seconds: float) -> None:
        """A step is over: count it, and let the test look."""
        self.pauses += 1
        if self.between is not None:
            await self.between()

    async def expire(self, task: Task) -> None:
        await self.store.put(Removal(task))

    def retention(
        self,
        log: float | None = WEEK,
        task: float | None = None,
        delivery: float | None = None,
    ) -> Retention:
        """A sweeper by these rules."""
        return Retention(
            store=self.store,
            log=self.log,
            artifacts=self.artifacts,
            expire=self.expire,
            rules=Rules(log_seconds=log, task_seconds=task, delivery_seconds=delivery),
            clock=lambda: self.now,
            sleep=self.sleep,
            monotonic=lambda: 0.0,
        )

    async def seqs(self, uid: str) -> list[int]:
        """What is kept of a task's log."""
        return [row.seq for row in await self.store.read.events(uid, 0, 10_000)]

    def after(self, seconds: float) -> None:
        """The time that long after NOW; ends are a few milliseconds after it."""
        self.now = NOW + round(seconds * 1000) + 60_000


@asynccontextmanager
async def desk_in(folder: Path) -> AsyncIterator[Desk]:
    artifacts = ArtifactStore(folder / "artifacts", 1_000_000)
    async with open_store(folder, NOW) as store:
        await artifacts.open()
        yield Desk(store, artifacts)


async def ended(store: Store, uid: str = "u1", words: int = 3, **options: Any) -> Task:
    """A task that wrote so many words and has its end."""
    writing = await written(store, uid, CLAIMED, **options)
    await writing.move(*[happened.Wrote("a")] * words, FINISHED)
    return writing.task
