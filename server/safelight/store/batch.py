"""One transaction's work: changes, creations, removals, then one statement a table.

Lives for one batch. The caller begins the transaction and commits it, in the same visits
to the connection's thread in which this asks and writes. What each item comes to is
returned in the items' order; an exception stands for an item that was refused, and leaves
the others alone. A change whose task has moved meanwhile fails the transaction: it is for
the caller to find out which one that is.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from . import deliveries, filing, ledger, ledger_sums, preferences
from . import statements as sql
from .alike import Alike
from .creations import Creations
from .deliveries import DeliveryItem, DeliveryRow
from .entries import Entry
from .ledger import Correction
from .ledger_sums import Deferral
from .preferences import Preference
from .records import (
    Change,
    Clearing,
    Creation,
    Fenced,
    FileItem,
    Item,
    Removal,
    Sweep,
    Swept,
    is_stride,
    mutable_row,
    stride_row,
    task_of,
)
from .visit import Visits

EVENTS_AT_ONCE = 500
"""Events that the removals of one transaction delete; what is left of them goes in steps."""


class Batch:
    """The rows that a batch will write, gathered while its items are decided."""

    def __init__(self, visits: Visits, run: int, last_change: int, alike: Alike) -> None:
        self._visits = visits
        self._alike = alike
        self._run = run
        self.last_change = last_change
        self._strides: list[Sequence[Any]] = []
        self._moves: list[Sequence[Any]] = []
        self._tables: dict[str, list[Any]] = {}
        self._events: list[Sequence[Any]] = []
        self._entries: list[Entry] = []
        self._notices: list[DeliveryRow] = []
        self._ended: list[str] = []

    async def write(self, items: Sequence[Item]) -> list[Any]:
        """Decide and write every item; changes come before creations, these before removals,
        and a sweep is last."""
        if set(map(type, items)) == {Creation}:  # nothing else comes in such numbers
            return await self._create(cast(Sequence[Creation], items))
        outcomes: dict[int, Any] = {}
        places = list(enumerate(items))
        changes = [(i, item) for i, item in places if isinstance(item, Change)]
        creations = [(i, item) for i, item in places if isinstance(item, Creation)]
        removals = [(i, item) for i, item in places if isinstance(item, Removal)]
        if changes:
            outcomes |= self._change(changes)
            self._flush()
        if creations:
            came_to = await self._create([item for _, item in creations])
            outcomes |= {i: one for (i, _), one in zip(creations, came_to, strict=True)}
        if removals:
            outcomes |= await self._remove(removals)
            self._flush()
        chosen = [(i, item) for i, item in places if isinstance(item, Preference)]
        if chosen:
            preferences.write(self._visits, [item for _, item in chosen])
            outcomes |= dict(chosen)
        files = [(i, item) for i, item in places if isinstance(item, FileItem)]
        if files:
            came_to = await filing.write(self._visits, [item for _, item in files])
            outcomes |= {i: one for (i, _), one in zip(files, came_to, strict=True)}
        sent = [(i, item) for i, item in places if isinstance(item, DeliveryItem)]
        if sent:
            came_to = await deliveries.write(self._visits, [item for _, item in sent])
            outcomes |= {i: one for (i, _), one in zip(sent, came_to, strict=True)}
        for i, item in places:
            if isinstance(item, Sweep):
                rows = await self._rows(sql.DUE_LOGS, item.before, item.tasks)
                outcomes[i] = await self._shorten(rows, item.events, sql.MARK_SWEPT)
            elif isinstance(item, Correction):
                outcomes[i] = await ledger.correct(self._visits, item)
            elif isinstance(item, Deferral):
                ledger_sums.defer(self._visits, item)
                outcomes[i] = item
            elif isinstance(item, Clearing):
                rows = await self._rows(sql.LEFTOVERS, item.tasks)
                outcomes[i] = await self._shorten(rows, item.events, sql.MARK_CLEARED)
        return [outcomes[i] for i in range(len(items))]

    async def _create(self, creations: Sequence[Creation]) -> list[Any]:
        made = Creations(self._visits, self._run, self._next_change, self._alike)
        return await made.write(creations)

    def _change(self, changes: list[tuple[int, Change]]) -> dict[int, Any]:
        """Nothing is asked: the statements that move the tasks fail if one is not as it was."""
        outcomes: dict[int, Any] = {}
        moved: set[str] = set()
        for place, change in changes:
            uid = change.before.uid
            if uid in moved:  # a second change of one batch is stale
                outcomes[place] = Fenced(f"task {uid} has moved")
                continue
            moved.add(uid)
            self._gather(change)
            outcomes[place] = change.after
        return outcomes

    def _gather(self, change: Change) -> None:
        before, after = change.before, change.after
        uid = before.uid
        fence = (uid, before.claim, before.seq, before.state._value_, self._next_change())
        if is_stride(change):
            self._strides.append((*fence, *stride_row(after)))
        else:
            self._alike.moved(after)
            self._moves.append((*fence, *mutable_row(after)))
        if change.event is not None:
            self._events.append((uid, after.seq, self._run, change.event.decode()))
        self._entries += change.entries
        if change.notice is not None:
            self._notices.append(change.notice)
        if change.artifact is not None:
            self._row(sql.INSERT_ARTIFACTS, msgspec.structs.asdict(change.artifact))
        if change.snapshot is not None:
            self._row(sql.INSERT_SNAPSHOTS, {"uid": uid, "body": change.snapshot.decode()})
            if change.entries or before.spent is not None:  # else nothing of it is open
                self._ended.append(uid)

    async def _remove(self, removals: list[tuple[int, Removal]]) -> dict[int, Any]:
        uids = msgspec.json.encode([removal.task.uid for _, removal in removals]).decode()
        rows, files, logs = await self._visits.ask(
            (sql.BY_UID, (uids,)), (sql.FILES_OF, (uids,)), (sql.LOGS_OF, (uids,))
        )
        ended = {row["uid"] for row in rows if task_of(row).ended}
        unused = await self._clear_away(ended, files, logs) if ended else set()
        uses = Counter(row["sha256"] for row in files if row["uid"] in ended)
        outcomes: dict[int, Any] = {}
        for place, removal in removals:
            task = removal.task
            if task.uid not in ended:
                outcomes[place] = Fenced(f"task {task.uid} is not there or has not ended")
                continue
            ended.discard(task.uid)
            stone = {"owner": task.owner, "id": task.id, "changed": self._next_change()}
            self._row(sql.INSERT_TOMBSTONES, stone)
            own = [row["sha256"] for row in files if row["uid"] == task.uid]
            uses.subtract(own)
            outcomes[place] = sorted({one for one in own if one in unused and not uses[one]})
        return outcomes

    async def _clear_away(
        self, ended: set[str], files: list[sqlite3.Row], logs: list[sqlite3.Row]
    ) -> set[str]:
        """Delete all rows of these tasks, but what is too much of their events, which is out
        of sight from now on; returns the hashes that nothing uses any more."""
        due = _shares([row for row in logs if row["uid"] in ended], EVENTS_AT_ONCE)
        uids = msgspec.json.encode(sorted(ended)).decode()
        self._visits.later(sql.SWEEP_EVENTS, msgspec.json.encode(due).decode())
        for statement in sql.REMOVE:
            self._visits.later(statement, uids)
        hashes = {row["sha256"] for row in files if row["uid"] in ended}
        rows = await self._all(sql.UNUSED_HASHES, sorted(hashes))
        return {row["value"] for row in rows}

    async def _shorten(self, rows: list[sqlite3.Row], events: int, mark: str) -> Swept:
        """Delete events below a seq of each task, the oldest first; `mark` those that are done."""
        if not rows:
            return Swept((), 0, 0)
        due = msgspec.json.encode(_shares(rows, events)).decode()
        await self._rows(sql.SWEEP_EVENTS, due)
        (changed,) = await self._rows(sql.ROWS_CHANGED)
        done = await self._rows(mark, due)
        return Swept(tuple(row["uid"] for row in rows), len(done), changed[0])

    def _next_change(self) -> int:
        self.last_change += 1
        return self.last_change

    def _row(self, statement: str, row: Any) -> None:
        self._tables.setdefault(statement, []).append(row)

    def _flush(self) -> None:
        """What was gathered is written with what is asked next, the fenced rows first."""
        self._visits.update(sql.ADVANCE_TASKS, self._strides)
        self._visits.update(sql.UPDATE_TASKS, self._moves)
        for statement, rows in self._tables.items():
            self._visits.later(statement, msgspec.json.encode(rows).decode())
        self._visits.insert(sql.INSERT_EVENTS, self._events)
        ledger.write(self._visits, self._entries)
        if self._ended:
            ledger_sums.ended(self._visits, self._ended)
        deliveries.insert(self._visits, self._notices)
        self._strides, self._moves, self._tables, self._events = [], [], {}, []
        self._entries, self._notices, self._ended = [], [], []

    async def _all(self, statement: str, value: Any) -> list[sqlite3.Row]:
        return await self._rows(statement, msgspec.json.encode(value).decode())

    async def _rows(self, statement: str, *bound: Any) -> list[sqlite3.Row]:
        (rows,) = await self._visits.ask((statement, bound))
        return rows


def _shares(rows: list[sqlite3.Row], events: int) -> list[dict[str, Any]]:
    """How far each log is deleted, so that no more go than `events`: a log has no holes."""
    shares = []
    for row in rows:
        first, seq = row["first"] or 0, row["seq"] or 0
        until = min(seq, first + events)
        events -= max(0, until - first)
        shares.append({"uid": row["uid"], "seq": seq, "until": until})
    return shares
