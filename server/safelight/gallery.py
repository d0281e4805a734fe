"""All tasks of one owner: pages of them, and what has changed since a position.

A position is the number of a change in the store, not a time and not a count. The
gallery tells states, not histories: several changes of one task between two looks
are one snapshot, the latest.
"""

from __future__ import annotations

import msgspec
from safelight_protocol.snapshot import Snapshot

from .log import Log
from .store import ArtifactRow, Store


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
        start = int(before) if before is not None and before.isdigit() else None
        tasks, following = await self._store.read.page(owner, start, limit)
        snapshots = await self._log.snapshots(tasks)
        return Page(snapshots, None if following is None else str(following), position)

    async def changes(self, owner: str, after: int, limit: int) -> list[Changed]:
        """Changes after a position in their order, at most `limit`."""
        rows = await self._store.read.changes(owner, after, limit)
        tasks = await self._store.read.tasks([row.uid for row in rows if row.uid is not None])
        snapshots = await self._log.snapshots(tasks.values())
        shown = dict(zip(tasks, snapshots, strict=True))
        return [
            Changed(row.id, shown.get(row.uid) if row.uid is not None else None, row.changed)
            for row in rows
            if row.uid is None or row.uid in shown
        ]

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
