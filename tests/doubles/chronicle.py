"""A store, its log, and tasks that live in them: what readers need, without an orchestrator.

`Chronicle.tell` commits and then appends, in the orchestrator's order. Opening one anew
over the same folder is a restart: live tails are built from the store again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from safelight.gallery import Gallery
from safelight.log import Log
from safelight.store import Change, Removal, Store, open_store
from safelight_protocol import lifecycle
from safelight_protocol.events import TaskEvent, decode_event, encode_event
from safelight_protocol.inputs import Happening
from safelight_protocol.snapshot import fold
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, fresh
from tests.doubles.writes import artifact_row, create, living


class Chronicle:
    """An open store with a log and a gallery; `now` moves a millisecond at each event."""

    def __init__(self, store: Store, log: Log) -> None:
        self.store = store
        self.log = log
        self.gallery = Gallery(store, log)
        self.now = NOW

    async def begin(self, task: Task | None = None) -> Task:
        """Make a task; its first event is told."""
        made = await create(self.store, task or fresh())
        (row,) = await self.store.read.events(made.uid, 0, 9)
        self.log.append(made, decode_event(row.body), row.body)
        return made

    async def tell(self, task: Task, *happenings: Happening) -> Task:
        """Move a task by these inputs, commit each, and tell it."""
        for happening in happenings:
            task, event = await self.commit(task, happening)
            if event is not None:
                self.log.append(task, event, encode_event(event))
        return task

    async def commit(self, task: Task, happening: Happening) -> tuple[Task, TaskEvent | None]:
        """Move a task and commit it; what was told of it is still behind."""
        self.now += 1
        step = lifecycle.step(task, happening, self.now)
        body = None if step.event is None else encode_event(step.event)
        snapshot = await self.log.snapshot(task)
        final = None
        if step.event is not None and step.task.ended:
            final = msgspec.json.encode(fold(snapshot, step.event))
        row = artifact_row(step.task, happening)
        await self.store.put(
            Change(before=task, after=step.task, event=body, artifact=row, snapshot=final)
        )
        return step.task, step.event

    async def delete(self, task: Task) -> None:
        """Remove an ended task."""
        await self.store.put(Removal(task))
        self.log.forget(task.uid)


@asynccontextmanager
async def chronicle(folder: Path, tail_events: int = 1024) -> AsyncIterator[Chronicle]:
    """Open the store in `folder`; every live task has its tail back."""
    async with open_store(folder, NOW) as store:
        log = Log(store, tail_events)
        for task in await living(store):
            await log.restore(task)
        yield Chronicle(store, log)
