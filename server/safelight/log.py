"""The log that readers see: a tail of encoded events in memory, the store behind it.

One path for live, replay and resume: a reader has a cursor and asks for what comes
after it. An event is encoded once, when it is written; its frame is built once per
topic and wire version and shared by every follower, and so is one that stands for a
run of `progress` events. `append` is called only after the commit. Who may read, when
to look again, and who gets runs instead of events is not decided here.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

import msgspec

from safelight_protocol.bounds import MAX_PAYLOAD, bounded
from safelight_protocol.codes import Refused
from safelight_protocol.events import TERMINAL, TaskEvent, decode_event
from safelight_protocol.fields import invalid
from safelight_protocol.frames import Serializer
from safelight_protocol.identity import shown
from safelight_protocol.realtime import spoken
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task

from .store import Store

ENDED_TAILS = 256
ENDED_TAIL_BYTES = 16 * 1024 * 1024
"""Tails kept after their task's end, so that followers reach it without the store; at most
so many, and of events of so many bytes in all."""


MAX_FRAMES = 16
"""Frames that one event keeps, and as many of runs that it ends. Topics and versions are
few; beginnings of runs, each of which belongs to some reader's pace, need not be, and
past this they are built anew."""


class _Head(msgspec.Struct, frozen=True):
    """What of an event decides whether the next may stand for it."""

    type: str
    task_id: str
    attempt: int
    prediction_id: str | None = None


_read_head = msgspec.json.Decoder(_Head).decode


class Entry:
    """One event as every reader gets it: the bytes of its JSON, and its frames."""

    __slots__ = ("_frames", "_known", "_runs", "body", "run", "seq")

    def __init__(self, seq: int, run: int, body: bytes) -> None:
        self.seq = seq
        self.run = run
        self.body = body
        self._frames: dict[tuple[str, str, int], str] = {}
        self._runs: dict[tuple[str, str, int], str] = {}
        self._known: _Head | None = None

    @property
    def ends(self) -> bool:
        """Whether it is the event that ends its task."""
        return self._head.type in TERMINAL

    def yields_to(self, later: Entry) -> bool:
        """Whether the next event says all that this one does: both are progress of one
        attempt, and this one does not bring the only word of the provider's own id."""
        one, other = self._head, later._head
        both = one.type == other.type == "progress" and one.attempt == other.attempt
        return both and one.prediction_id in (None, other.prediction_id)

    def frame(self, serializer: Serializer, topic: str, from_seq: int | None = None) -> str:
        """The event as a `progress` broadcast on a topic; built at the first call.

        With `from_seq` below its own it stands for all events from there on. One too
        large for a frame is cut, and says so.
        """
        first = self.seq if from_seq is None else from_seq
        key = (serializer.vsn, topic, first)
        kept = self._frames if first == self.seq else self._runs
        made = kept.get(key)
        if made is None:
            told = spoken(topic, "progress", self._told(first))
            made = serializer.encode_broadcast(topic, *told)
            if len(kept) < MAX_FRAMES:
                kept[key] = made
        return made

    def _told(self, first: int) -> bytes:
        body = bounded(self.body, self._head.task_id) if len(self.body) > MAX_PAYLOAD else self.body
        return body if first == self.seq else body[:-1] + b',"from_seq":%d}' % first

    @property
    def _head(self) -> _Head:
        if self._known is None:
            self._known = _read_head(self.body)
        return self._known


def runs(entries: list[Entry]) -> list[tuple[int, Entry]]:
    """The entries with each run of progress as its last one, and the seq it begins at."""
    found: list[tuple[int, Entry]] = []
    for place, entry in enumerate(entries):
        if found and entries[place - 1].yields_to(entry):
            found[-1] = (found[-1][0], entry)
        else:
            found.append((entry.seq, entry))
    return found


class Tail:
    """The last events of one task and the snapshot that they lead to."""

    __slots__ = ("bytes", "entries", "snapshot")

    def __init__(self, snapshot: Snapshot, bound: int) -> None:
        self.bytes = 0
        self.snapshot = snapshot
        self.entries: deque[Entry] = deque(maxlen=bound)

    def after(self, seq: int, limit: int) -> list[Entry] | None:
        """The entries after `seq`, or None when the tail does not reach back that far."""
        if seq >= self.snapshot.seq:
            return []
        if not self.entries or self.entries[0].seq > seq + 1:
            return None
        skip = seq + 1 - self.entries[0].seq
        stop = min(skip + limit, len(self.entries))
        return [self.entries[i] for i in range(skip, stop)]


class Place(msgspec.Struct, frozen=True):
    """Where a reader begins: after `seq`. `gap` says that it missed what is not kept."""

    seq: int
    gap: bool


class Log:
    """Reads of every task's events. `id` names this start's log in cursors."""

    def __init__(self, store: Store, tail_events: int = 1024) -> None:
        self._store = store
        self._bound = tail_events
        self._live: dict[str, Tail] = {}
        self._ended: OrderedDict[str, Tail] = OrderedDict()
        self._ended_bytes = 0

    @property
    def id(self) -> str:
        """The id of this start's log."""
        return self._store.log

    def cursor(self, seq: int) -> str:
        """The cursor of an event, the same at every door."""
        return f"{self.id}-{seq}"

    def append(self, task: Task, event: TaskEvent, body: bytes) -> None:
        """Take in an event that has just been committed."""
        tail = self._live.get(task.uid)
        if tail is None:
            tail = self._live[task.uid] = Tail(opening(task), self._bound)
        tail.snapshot = fold(tail.snapshot, event)
        tail.entries.append(Entry(event.seq, self._store.run, body))
        if task.ended:
            self._keep_ended(task.uid, self._live.pop(task.uid))

    def _keep_ended(self, uid: str, tail: Tail) -> None:
        tail.bytes = sum(len(entry.body) for entry in tail.entries)
        self._ended[uid] = tail
        self._ended_bytes += tail.bytes
        while len(self._ended) > ENDED_TAILS or self._ended_bytes > ENDED_TAIL_BYTES:
            self._ended_bytes -= self._ended.popitem(last=False)[1].bytes

    def forget(self, uid: str) -> None:
        """Drop the tail of a task: it was deleted, or the store knows better."""
        self._live.pop(uid, None)
        ended = self._ended.pop(uid, None)
        self._ended_bytes -= 0 if ended is None else ended.bytes

    async def restore(self, task: Task) -> None:
        """Build the tail of a live task from the store, after a restart."""
        self._live[task.uid] = await self._rebuilt(task)

    async def _rebuilt(self, task: Task) -> Tail:
        tail = Tail(opening(task), self._bound)
        while rows := await self._store.read.events(task.uid, tail.snapshot.seq, 1000):
            for row in rows:
                tail.snapshot = fold(tail.snapshot, decode_event(row.body))
                tail.entries.append(Entry(row.seq, row.run, row.body))
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

        Raises Refused `invalid` for a cursor that has not the form of one.
        """
        if after is None:
            return None
        log, seq = _parse(after, log)
        if seq == 0:
            horizon = await self._horizon(task.uid)
            return Place(horizon - 1, gap=False) if horizon else Place(task.seq, gap=task.seq > 0)
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
        run = self._store.run if log == self.id else await self._store.read.run_of_log(log)
        if run is None:
            return False
        if seq == task.seq or self.recent(task.uid, seq, 1) is not None:
            kept = True
        else:
            horizon = await self._horizon(task.uid)
            kept = horizon is not None and horizon <= seq + 1
        written = await self._store.read.run_of_event(task.uid, seq)
        if written is None:  # swept; it was written no later than the one after it
            written = await self._store.read.run_of_event(task.uid, seq + 1)
        return kept and (written is None or written <= run)

    async def _horizon(self, uid: str) -> int | None:
        return await self._store.read.horizon(uid)

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
