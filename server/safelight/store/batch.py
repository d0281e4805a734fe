"""One transaction's work: fences, creations, removals, then one statement a table.

Lives for one batch. The caller has begun the transaction and will commit it. What
each item comes to is returned in the items' order; an exception stands for an item
that was refused, and leaves the others alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import aiosqlite
import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.identity import Found
from safelight_protocol.task import Task

from . import statements as sql
from .records import (
    Birth,
    Change,
    Created,
    Creation,
    Fenced,
    Item,
    Removal,
    Sweep,
    Swept,
    mutable,
    task_of,
)


class Batch:
    """The rows that a batch will write, gathered while its items are decided."""

    def __init__(self, connection: aiosqlite.Connection, run: int, last_change: int) -> None:
        self._connection = connection
        self._run = run
        self.last_change = last_change
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._born: dict[tuple[str, str, str], Task] = {}

    async def write(self, items: Sequence[Item]) -> list[Any]:
        """Decide and write every item; changes come before creations, these before removals,
        and a sweep is last."""
        outcomes: dict[int, Any] = {}
        places = list(enumerate(items))
        changes = [(i, item) for i, item in places if isinstance(item, Change)]
        creations = [(i, item) for i, item in places if isinstance(item, Creation)]
        removals = [(i, item) for i, item in places if isinstance(item, Removal)]
        if changes:
            outcomes |= await self._change(changes)
            await self._flush()
        if creations:
            outcomes |= await self._create(creations)
            await self._flush()
        if removals:
            outcomes |= await self._remove(removals)
            await self._flush()
        for i, item in places:
            if isinstance(item, Sweep):
                outcomes[i] = await self._sweep(item)
        return [outcomes[i] for i in range(len(items))]

    async def _change(self, changes: list[tuple[int, Change]]) -> dict[int, Any]:
        members = [
            {
                "uid": c.before.uid,
                "claim": c.before.claim,
                "seq": c.before.seq,
                "state": c.before.state,
            }
            for _, c in changes
        ]
        owned = {row["place"] for row in await self._all(sql.OWNED, members)}
        outcomes: dict[int, Any] = {}
        moved: set[str] = set()
        for index, (place, change) in enumerate(changes):
            uid = change.before.uid
            if index not in owned or uid in moved:  # a second change of one batch is stale
                outcomes[place] = Fenced(f"task {uid} has moved")
                continue
            moved.add(uid)
            self._gather(change)
            outcomes[place] = change.after
        return outcomes

    def _gather(self, change: Change) -> None:
        after = change.after
        row = {"uid": after.uid, "changed": self._next_change(), **mutable(after)}
        self._row(sql.UPDATE_TASKS, row)
        if change.event is not None:
            event = {"uid": after.uid, "seq": after.seq, "body": change.event.decode()}
            self._row(sql.INSERT_EVENTS, event)
        if change.artifact is not None:
            self._row(sql.INSERT_ARTIFACTS, msgspec.structs.asdict(change.artifact))
        if change.snapshot is not None:
            self._row(sql.INSERT_SNAPSHOTS, {"uid": after.uid, "body": change.snapshot.decode()})

    async def _create(self, creations: list[tuple[int, Creation]]) -> dict[int, Any]:
        asked = [
            {
                "owner": c.owner,
                "id": c.id,
                "key": c.key,
                "fingerprint": c.fingerprint,
                "reuse": c.reuse,
            }
            for _, c in creations
        ]
        meets = {row["place"]: row for row in await self._all(sql.MEETS, asked)}
        named = {
            row[name]
            for row in meets.values()
            for name in ("by_id", "by_key", "inflight", "completed")
            if row[name] is not None
        }
        rows = await self._all(sql.BY_UID, list(named)) if named else []
        tasks = {row["uid"]: task_of(row) for row in rows}
        outcomes: dict[int, Any] = {}
        for index, (place, creation) in enumerate(creations):
            try:
                outcomes[place] = self._decide(creation, meets[index], tasks)
            except Refused as refused:
                outcomes[place] = refused
        return outcomes

    def _decide(self, creation: Creation, row: sqlite3.Row, tasks: dict[str, Task]) -> Created:
        found = self._found(creation, row, tasks)
        task = creation.decide(found)
        fresh = task is None
        if task is None:
            birth = creation.bear()
            task = birth.task
            self._bear(birth)
        if creation.key is not None:
            self._born.setdefault(("key", creation.owner, creation.key), task)
            bound = {"owner": creation.owner, "key": creation.key, "uid": task.uid}
            self._row(sql.INSERT_KEYS, bound)
        return Created(task, fresh)

    def _found(self, creation: Creation, row: sqlite3.Row, tasks: dict[str, Task]) -> Found:
        """What is stored, and what earlier creations of this very batch have made."""
        owner = creation.owner
        by_id = tasks.get(row["by_id"]) or self._born.get(("id", owner, creation.id or ""))
        by_key = tasks.get(row["by_key"]) or self._born.get(("key", owner, creation.key or ""))
        alike = tasks.get(row["inflight"])
        if creation.reuse != "never":
            alike = alike or self._born.get(("alike", owner, creation.fingerprint))
            alike = alike or tasks.get(row["completed"])
        return Found(
            by_id=by_id,
            by_key=by_key,
            alike=alike,
            id_gone=bool(row["id_gone"]),
            key_gone=row["by_key"] is not None and by_key is None,
        )

    def _bear(self, birth: Birth) -> None:
        task = birth.task
        self._born["id", task.owner, task.id] = task
        self._born.setdefault(("alike", task.owner, birth.fingerprint), task)
        self._row(
            sql.INSERT_TASKS,
            {
                "uid": task.uid,
                "owner": task.owner,
                "id": task.id,
                "fingerprint": birth.fingerprint,
                "created_at": task.created_at,
                "changed": self._next_change(),
                **mutable(task),
            },
        )
        request = {
            "uid": task.uid,
            "asked": msgspec.json.encode(task.asked).decode(),
            "resolved": msgspec.json.encode(task.resolved).decode(),
        }
        self._row(sql.INSERT_REQUESTS, request)
        event = {"uid": task.uid, "seq": task.seq, "body": birth.event.decode()}
        self._row(sql.INSERT_EVENTS, event)

    async def _remove(self, removals: list[tuple[int, Removal]]) -> dict[int, Any]:
        uids = [removal.task.uid for _, removal in removals]
        rows = await self._all(sql.BY_UID, uids)
        ended = {row["uid"] for row in rows if task_of(row).ended}
        outcomes: dict[int, Any] = {}
        for place, removal in removals:
            task = removal.task
            if task.uid not in ended:
                outcomes[place] = Fenced(f"task {task.uid} is not there or has not ended")
                continue
            ended.discard(task.uid)
            rows = await self._rows(sql.ARTIFACTS_OF, task.uid)
            for statement in sql.REMOVE:
                await self._all(statement, [task.uid])
            hashes = await self._all(sql.UNUSED_HASHES, [row["sha256"] for row in rows])
            stone = {"owner": task.owner, "id": task.id, "changed": self._next_change()}
            self._row(sql.INSERT_TOMBSTONES, stone)
            outcomes[place] = sorted({row["value"] for row in hashes})
        return outcomes

    async def _sweep(self, sweep: Sweep) -> Swept:
        rows = await self._rows(sql.DUE_LOGS, sweep.before, sweep.tasks)
        if not rows:
            return Swept((), 0, 0)
        due = msgspec.json.encode([{"uid": row["uid"], "seq": row["seq"]} for row in rows]).decode()
        await self._rows(sql.SWEEP_EVENTS, due, sweep.events)
        (changed,) = await self._rows(sql.ROWS_CHANGED)
        done = await self._rows(sql.MARK_SWEPT, due)
        return Swept(tuple(row["uid"] for row in rows), len(done), changed[0])

    def _next_change(self) -> int:
        self.last_change += 1
        return self.last_change

    def _row(self, statement: str, row: dict[str, Any]) -> None:
        self._tables.setdefault(statement, []).append(row)

    async def _flush(self) -> None:
        for statement, rows in self._tables.items():
            values: tuple[Any, ...] = (msgspec.json.encode(rows).decode(),)
            if statement is sql.INSERT_EVENTS:
                values += (self._run,)
            await self._connection.execute_fetchall(statement, values)
        self._tables = {}

    async def _all(self, statement: str, value: Any) -> list[sqlite3.Row]:
        return await self._rows(statement, msgspec.json.encode(value).decode())

    async def _rows(self, statement: str, *bound: Any) -> list[sqlite3.Row]:
        return list(await self._connection.execute_fetchall(statement, bound))
