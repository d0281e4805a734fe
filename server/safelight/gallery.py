"""All tasks of one owner: pages of them, and what has changed since a position.

A position is the number of a change in the store, not a time and not a count. The
gallery tells states, not histories: several changes of one task between two looks
are one snapshot, the latest.
"""

from __future__ import annotations

import anyio.lowlevel
import msgspec

from safelight_protocol.snapshot import Snapshot, brief
from safelight_protocol.task import Task

from .log import Log
from .store import ArtifactRow, Store

TEXT_CHARACTERS = 2_000
"""Texts in a gallery are cut to this length; the whole is at the task's own address."""

STEP = 4
"""Snapshots that are read at once: a text of a megabyte takes some milliseconds."""

PAGE_BYTES = 384 * 1024
"""A page ends early at this size: iOS closes a socket at 1 MiB messages, and our own
bound for a frame is 512 KiB."""


class Page(msgspec.Struct, frozen=True):
    """Snapshots, newest first, the `before` of the next page, and the position they
    are good for: changes after it tell all that these do not."""

    tasks: list[Snapshot]
    next: str | None
    position: int


class Changed(msgspec.Struct, frozen=True):
    """One task at its latest change; `task` is None when it was deleted."""

    task_id: str
    task: Snapshot | None
    position: int


class Gallery:
    """Reads over one owner's tasks."""

    def __init__(self, store: Store, log: Log) -> None:
        self._store = store
        self._log = log

    @property
    def log(self) -> str:
        """The log that positions belong to."""
        return self._store.log

    async def page(self, owner: str, before: str | None, limit: int) -> Page:
        """A page of at most `limit` tasks. A `before` that is no number is the first page."""
        # Read first: what changes while the page is read is told again, not missed.
        position = self._store.position
        start = int(before) if before is not None and _is_number(before) else None
        rows = await self._store.read.page(owner, start, limit + 1)
        page = rows[:limit]
        shown = await self._shown([task for _, task in page])
        kept = _within(list(shown.values()))
        if len(kept) < len(shown):
            numbers = [number for number, task in page if task.uid in shown]
            return Page(kept, str(numbers[len(kept) - 1]), position)
        return Page(kept, str(page[-1][0]) if len(rows) > limit else None, position)

    async def changes(self, owner: str, after: int, limit: int) -> list[Changed]:
        """Changes after a position in their order, at most `limit`."""
        rows = await self._store.read.changes(owner, after, limit)
        tasks = await self._store.read.tasks([row.uid for row in rows if row.uid is not None])
        shown = await self._shown(list(tasks.values()))
        return [
            Changed(row.id, shown[row.uid] if row.uid is not None else None, row.changed)
            for row in rows
            if row.uid is None or row.uid in shown
        ]

    async def _shown(self, tasks: list[Task]) -> dict[str, Snapshot]:
        """Snapshots with their texts cut, a few at a time: long ones take long to read, and
        others want the event loop in between."""
        shown: dict[str, Snapshot] = {}
        for start in range(0, len(tasks), STEP):
            found = await self._log.committed(tasks[start : start + STEP])
            shown |= {uid: brief(one, TEXT_CHARACTERS) for uid, one in found.items()}
            await anyio.lowlevel.checkpoint()
        return shown

    async def artifact(self, id: str) -> ArtifactRow | None:
        """An artifact by its capability, which is all the right that it takes to see it."""
        found = await self._store.read.artifact(id)
        return None if found is None else found[0]

    async def check(self) -> None:
        """Raise Refused `unavailable` if the store cannot be read."""
        await self._store.read.check()

    async def covers(self, log: str | None, position: int) -> bool:
        """Whether a position of that log lies in this very history."""
        if log is None:
            return False
        if log == self._store.log:
            return position <= self._store.position
        end = await self._store.read.end_of_log(log)
        return end is not None and position <= end


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _within(snapshots: list[Snapshot]) -> list[Snapshot]:
    """The first of them that fit into PAGE_BYTES, and at least one."""
    size = 0
    for place, snapshot in enumerate(snapshots):
        size += len(msgspec.json.encode(snapshot))
        if size > PAGE_BYTES and place > 0:
            return snapshots[:place]
    return snapshots
