"""The log that readers see: a tail of encoded events in memory, the store behind it.

One path for live, replay and resume: a reader has a cursor and asks for what comes
after it. `append` is called only after the commit. What is kept of an event in memory is
in `tail.py`. Who may read, when to look again, and who gets runs instead of events is not
decided here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Queued, TaskEvent, decode_event
from safelight_protocol.fields import invalid
from safelight_protocol.identity import shown
from safelight_protocol.snapshot import Snapshot, begun, opening
from safelight_protocol.task import Task

from .store import Store
from .tail import Entry, Tail

ENDED_TAILS = 256
ENDED_TAIL_BYTES = 16 * 1024 * 1024
"""Tails kept after their task's end, so that followers reach it without the store; at most
so many, and of events of so many bytes in all."""

MAX_EARLIER = 256
"""Earlier logs whose runs are remembered."""


class Place(msgspec.Struct, frozen=True):
    """Where a reader begins: after `seq`. `gap` says that it missed what is not kept."""

    seq: int
    gap: bool


class Log:
    """Reads of every task's events. `id` names this start's log in cursors."""

    def __init__(self, store: Store, tail_events: int = 1024) -> None:
        self._store = store
        self.id = store.log
        self._bound = tail_events
        self._live: dict[str, Tail] = {}
        self._cold: set[str] = set()
        self._recalls: dict[str, asyncio.Lock] = {}
        self._ended: OrderedDict[str, Tail] = OrderedDict()
        self._ended_bytes = 0
        self._earlier: dict[str, int] = {}

    def cursor(self, seq: int) -> str:
        """The cursor of an event, the same at every door."""
        return f"{self.id}-{seq}"

    def begin(self, task: Task, event: Queued, body: bytes) -> Snapshot:
        """Take in the first event of a new task, which has just been committed; returns what
        whoever has read it knows."""
        snapshot, entry = begun(task, event), Entry(event.seq, self._store.run, body)
        self._live[task.uid] = Tail(snapshot, self._bound, event.seq, first=entry)
        return snapshot

    def append(self, task: Task, event: TaskEvent, body: bytes) -> None:
        """Take in an event that has just been committed."""
        tail = self._live.get(task.uid)
        if tail is None:
            tail = self._live[task.uid] = Tail(opening(task), self._bound, 0)
        tail.append(event, Entry(event.seq, self._store.run, body))
        if task.ended:
            self._keep_ended(task.uid, self._live.pop(task.uid))

    def _keep_ended(self, uid: str, tail: Tail) -> None:
        self._ended[uid] = tail
        self._ended_bytes += tail.weigh()
        while len(self._ended) > ENDED_TAILS or self._ended_bytes > ENDED_TAIL_BYTES:
            self._ended_bytes -= self._ended.popitem(last=False)[1].bytes

    def forget(self, uid: str) -> None:
        """Drop the tail of a task: it was deleted, or the store knows better."""
        self._live.pop(uid, None)
        self._cold.discard(uid)
        ended = self._ended.pop(uid, None)
        self._ended_bytes -= 0 if ended is None else ended.bytes

    def expect(self, uid: str) -> None:
        """A task was live when the server started: its tail is built when it is first asked
        for, by a reader or by `recall`."""
        self._cold.add(uid)

    def is_cold(self, uid: str) -> bool:
        """Whether the tail of a live task has not been asked for since the start."""
        return uid in self._cold

    async def recall(self, task: Task) -> None:
        """Return once the tail of a live task is in memory; await it before the task moves.

        Who builds it beside another finds it done and leaves it: it may have grown.
        """
        if task.uid not in self._cold:
            return
        async with self._recalls.setdefault(task.uid, asyncio.Lock()):
            if task.uid in self._cold:  # of all who came at once only the first builds it
                tail = await self._rebuilt(task)
                if task.uid in self._cold:
                    self._cold.discard(task.uid)
                    self._live[task.uid] = tail
        self._recalls.pop(task.uid, None)

    async def restore(self, task: Task) -> None:
        """Build the tail of a live task from the store again, which knows better."""
        tail = await self._rebuilt(task)
        self._cold.discard(task.uid)
        self._live[task.uid] = tail

    async def _rebuilt(self, task: Task) -> Tail:
        tail = Tail(opening(task), self._bound, 0)
        while rows := await self._store.read.events(task.uid, tail.seq, 1000):
            for row in rows:
                tail.append(decode_event(row.body), Entry(row.seq, row.run, row.body))
        return tail

    def live_snapshot(self, uid: str) -> Snapshot | None:
        """The snapshot of a task whose tail is in memory, without waiting."""
        tail = self._tail(uid)
        return None if tail is None else tail.snapshot

    async def snapshot(self, task: Task) -> Snapshot:
        """The snapshot of a task as of now. Raises Refused `gone` if it was deleted."""
        found = await self.snapshots([task])
        if task.uid not in found:
            raise Refused("gone", f"Task {task.id} was deleted or has expired.")
        return found[task.uid]

    async def snapshots(self, tasks: Iterable[Task]) -> dict[str, Snapshot]:
        """The snapshots of several tasks by uid; one that was deleted is left out, so that
        it does not take the others along."""
        tasks = list(tasks)
        if self._cold:
            for task in tasks:
                await self.recall(task)
        absent = [task.uid for task in tasks if self._tail(task.uid) is None]
        stored = await self._store.read.snapshots(absent) if absent else {}
        found = {task.uid: await self._snapshot(task, stored) for task in tasks}
        return {uid: snapshot for uid, snapshot in found.items() if snapshot is not None}

    async def committed(self, tasks: Iterable[Task]) -> dict[str, Snapshot]:
        """The snapshots of tasks that were just read from the store, none older than that.

        Between a commit and `append` they are ahead of what followers were told. For
        whoever counts changes of the store, not events: what it shows too old it would
        never show again.
        """
        tasks = list(tasks)
        found = await self.snapshots(tasks)
        for task in tasks:
            if task.uid in found and found[task.uid].seq < task.seq:
                stored = (await self._rebuilt(task)).snapshot
                found[task.uid] = max(found[task.uid], stored, key=lambda one: one.seq)
        return found

    async def _snapshot(self, task: Task, stored: dict[str, bytes]) -> Snapshot | None:
        tail = self._tail(task.uid)
        if tail is not None:
            return tail.snapshot
        if task.ended and task.uid not in stored:  # its tail was dropped since we looked
            stored = await self._store.read.snapshots([task.uid])
        if task.uid in stored:
            return msgspec.json.decode(stored[task.uid], type=Snapshot)
        # Seen in the instant between its commit and `append`: fold what is stored.
        found = (await self._rebuilt(task)).snapshot
        return found if found.seq > 0 else None

    def holds(self, uid: str) -> bool:
        """Whether the task's tail is in memory."""
        return self._tail(uid) is not None

    def only(self, uid: str, after: int) -> Entry | None:
        """The one entry after a seq, if a live task has one there in memory and no more:
        what nearly every wake is about. None says nothing; ask `recent`."""
        tail = self._live.get(uid)
        return None if tail is None else tail.only(after)

    def recent(self, uid: str, after: int, limit: int) -> list[Entry] | None:
        """Entries after a seq from memory; None means that `read` must be asked."""
        tail = self._tail(uid)
        return None if tail is None else tail.after(after, limit)

    async def read(self, uid: str, after: int, limit: int) -> list[Entry]:
        """Entries after a seq, in order; none only when there are none.

        Raises Refused `unavailable` when the next one has been swept meanwhile: who comes
        back with the same cursor is told `gap`.
        """
        found = self.recent(uid, after, limit)
        if found is not None:
            return found
        rows = await self._store.read.events(uid, after, limit)
        if rows and rows[0].seq != after + 1:
            raise Refused("unavailable", f"The events after {after} are no longer kept.")
        return [Entry(row.seq, row.run, row.body) for row in rows]

    async def place(self, task: Task, after: str | int | None, log: str | None) -> Place | None:
        """Where a reader with this cursor begins, or None for one that has none.

        Raises Refused `invalid` for a cursor that has not the form of one, and `gone`.
        """
        if after is None:
            return None
        log, seq = _parse(after, log)
        if seq == 0:
            return Place(await self._horizon(task) - 1, gap=False)
        if log is None or not await self._covers(task, log, seq):
            return Place(task.seq, gap=True)
        return Place(seq, gap=False)

    async def _covers(self, task: Task, log: str, seq: int) -> bool:
        """Whether a cursor of that log names an event of this very history.

        An event that was written in a later run than the cursor's log cannot be the
        one that its reader saw: the database is a restored copy that grew anew.
        """
        if seq > task.seq:
            return False
        run = await self._run_of(log)
        if run is None:
            return False
        if seq == task.seq or self.recent(task.uid, seq, 1) is not None:
            kept = True
        else:
            kept = await self._horizon(task) <= seq + 1
        written = await self._written(task.uid, seq)
        if written is None:  # swept; it was written no later than the one after it
            written = await self._written(task.uid, seq + 1)
        return kept and (written is None or written <= run)

    async def _run_of(self, log: str) -> int | None:
        """The run of a log. Those before this start's do not change: who comes back after
        a restart asks once for all who do."""
        if log == self.id:
            return self._store.run
        run = self._earlier.get(log)
        if run is None:
            run = await self._store.read.run_of_log(log)
            if run is not None and len(self._earlier) < MAX_EARLIER:
                self._earlier[log] = run
        return run

    async def _written(self, uid: str, seq: int) -> int | None:
        """The run that wrote an event."""
        tail = self._tail(uid)
        entry = None if tail is None else tail.at(seq)
        return await self._store.read.run_of_event(uid, seq) if entry is None else entry.run

    async def _horizon(self, task: Task) -> int:
        """The first seq that is kept; only ended tasks lose any, and never their last. Raises
        Refused `gone` for one that was removed since it was found."""
        tail = self._tail(task.uid)
        if tail is not None and tail.at(1) is not None and task.uid in self._live:
            return 1
        horizon = await self._store.read.horizon(task.uid)
        if horizon is None:
            raise Refused("gone", f"Task {task.id} was deleted or has expired.")
        return horizon

    def _tail(self, uid: str) -> Tail | None:
        return self._live.get(uid) or self._ended.get(uid)


def _parse(after: str | int, log: str | None) -> tuple[str | None, int]:
    if isinstance(after, int):
        return log, after
    name, dash, digits = after.rpartition("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 16:
        return (name if dash else log), int(digits)
    expected = 'a cursor "<log>-<seq>", or a seq'
    raise invalid([{"field": "after", "found": shown(after), "expected": expected}])
