"""Reads, on a connection that cannot write. WAL lets them run beside the writer.

A read sees a commit as soon as the writer's `put` has returned. Nothing is cached
here; the log keeps the tails of live tasks in memory, above.
"""

from __future__ import annotations

import sqlite3
from operator import itemgetter
from typing import Any

import msgspec

from safelight_protocol.task import State, Task

from . import preferences
from . import statements as sql
from .database import Link, is_ill
from .deliveries import Deliveries
from .filing import Files
from .ledger import Ledger
from .records import ArtifactRow, StoreTrouble, artifact_of, task_of


class EventRow(msgspec.Struct, frozen=True):
    """One stored event; `body` is the JSON that was and will be told."""

    seq: int
    run: int
    body: bytes


class LiveRow(msgspec.Struct, frozen=True):
    """What a start needs of a task that has not ended, to have it in care."""

    uid: str
    state: State
    created_at: int
    not_before: int | None
    provider: str
    backend: str | None = None
    place: str | None = None
    owner: str = ""
    model: str = ""


class RunTime(msgspec.Struct, frozen=True):
    """How many milliseconds a completed attempt took, and where it ran."""

    provider: str
    backend: str | None
    model: str
    took: int


class ChangeRow(msgspec.Struct, frozen=True):
    """One change of an owner's tasks; `uid` is None for a deletion."""

    uid: str | None
    id: str
    changed: int


class Reader:
    """Queries over one read-only connection. Every method raises StoreTrouble.

    After trouble with the disk the connection is opened anew and asked once more.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self.files = Files(self._all)
        self.ledger = Ledger(self._all)
        self.deliveries = Deliveries(self._all)

    async def renew(self) -> None:
        """Read with a fresh handle from now on; the disk was in trouble."""
        await self._link.renew(await self._link.get())

    async def live(self) -> list[LiveRow]:
        """Every task that has not ended, oldest first."""
        rows = sorted(await self._all(sql.LIVE), key=itemgetter(0))
        return [LiveRow(row[1], _STATES[row[2]], *row[3:]) for row in rows]

    async def run_times(self, limit: int) -> list[RunTime]:
        """Those of the last tasks that ended, as far as they completed, the newest first."""
        return [RunTime(*row) for row in await self._all(sql.RUN_TIMES, limit)]

    async def task(self, owner: str, id: str) -> Task | None:
        """One task by the name its owner knows."""
        rows = await self._all(sql.BY_ID, owner, id)
        return task_of(rows[0]) if rows else None

    async def tasks(self, uids: list[str]) -> dict[str, Task]:
        """Tasks by uid; those that are gone are left out."""
        rows = await self._all(sql.BY_UID, msgspec.json.encode(uids).decode())
        return {row["uid"]: task_of(row) for row in rows}

    async def is_gone(self, owner: str, id: str) -> bool:
        """Whether the id has a tombstone."""
        return bool(await self._all(sql.TOMBSTONE, owner, id))

    async def has_due_log(self, before: int) -> bool:
        """Whether a task that ended by then still has more of its log than its last event."""
        return bool(await self._all(sql.DUE_LOGS, before, 1))

    async def has_leftovers(self) -> bool:
        """Whether there are still events of a task that was removed."""
        return bool(await self._all(sql.LEFTOVERS, 1))

    async def expired(self, before: int, limit: int) -> list[Task]:
        """Tasks that ended at that time or earlier, the first to end first."""
        return [task_of(row) for row in await self._all(sql.EXPIRED, before, limit)]

    async def used(self, hashes: list[str]) -> set[str]:
        """Those of the hashes that an artifact has."""
        rows = await self._all(sql.USED_HASHES, msgspec.json.encode(hashes).decode())
        return {row["value"] for row in rows}

    async def page(self, owner: str, before: int | None, limit: int) -> list[tuple[int, Task]]:
        """An owner's tasks, newest first, each with its number; a page goes on `before`
        the number of its last."""
        rows = await self._all(sql.PAGE, owner, 2**62 if before is None else before, limit)
        return [(row["n"], task_of(row)) for row in rows]

    async def changes(self, owner: str, after: int, limit: int) -> list[ChangeRow]:
        """What became of an owner's tasks after a position, each at its last change."""
        rows = await self._all(sql.CHANGES, owner, after, limit)
        return [ChangeRow(row["uid"], row["id"], row["changed"]) for row in rows]

    async def events(self, uid: str, after: int, limit: int) -> list[EventRow]:
        """Events after a seq, in order; fewer than `limit` only at the end."""
        rows = await self._all(sql.EVENTS, uid, after, limit)
        return [EventRow(row["seq"], row["run"], row["body"].encode()) for row in rows]

    async def run_of_event(self, uid: str, seq: int) -> int | None:
        """The run that wrote an event, or None where there is no such event."""
        rows = await self._all(sql.EVENT_RUN, uid, seq)
        return int(rows[0]["run"]) if rows else None

    async def horizon(self, uid: str) -> int | None:
        """The first seq that is kept, or None when the log was swept."""
        rows = await self._all(sql.HORIZON, uid)
        return None if rows[0][0] is None else int(rows[0][0])

    async def run_of_log(self, log: str) -> int | None:
        """The run in which a log was opened, or None for a log that is not ours."""
        rows = await self._all(sql.LOG_RUN, log)
        return int(rows[0]["run"]) if rows else None

    async def end_of_log(self, log: str) -> int | None:
        """The position at which an earlier run's log ended, or None for any other log."""
        rows = await self._all(sql.LOG_END, log)
        return int(rows[0]["position"]) if rows and rows[0]["position"] is not None else None

    async def snapshots(self, uids: list[str]) -> dict[str, bytes]:
        """The final snapshots of ended tasks, by uid."""
        rows = await self._all(sql.SNAPSHOTS, msgspec.json.encode(uids).decode())
        return {row["uid"]: row["body"].encode() for row in rows}

    async def artifact(self, id: str) -> tuple[ArtifactRow, str] | None:
        """An artifact by its capability, with its owner."""
        rows = await self._all(sql.ARTIFACT, id)
        return (artifact_of(rows[0]), str(rows[0]["task_owner"])) if rows else None

    async def artifacts_of(self, uid: str) -> list[ArtifactRow]:
        """The artifacts of a task, oldest first."""
        return [artifact_of(row) for row in await self._all(sql.ARTIFACTS_OF, uid)]

    async def preferences(self) -> dict[str, str]:
        """The backend that each owner has chosen; those who have not are left out."""
        return {row["owner"]: row["backend"] for row in await self._all(preferences.ALL)}

    async def check(self) -> None:
        """Raise StoreTrouble if the database cannot be read."""
        await self._all("SELECT 1 FROM logs LIMIT 1")

    async def _all(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Asked once more when the handle was ill, or was closed while we waited for it."""
        try:
            connection = await self._link.get()
            try:
                return list(await connection.execute_fetchall(statement, values))
            except TROUBLE as error:
                if not is_ill(error) and not isinstance(error, CLOSED):
                    raise
                await self._link.renew(connection)
            connection = await self._link.get()
            return list(await connection.execute_fetchall(statement, values))
        except TROUBLE as error:
            raise StoreTrouble(f"the database cannot be read: {error}") from error


_STATES = {state.value: state for state in State}

CLOSED = (ValueError, sqlite3.ProgrammingError)
"""Another reader met trouble on the same handle, and it was closed under this one."""

TROUBLE = (sqlite3.DatabaseError, ValueError, OSError)
