"""What is kept of a task's events in memory: the last of them, and what they lead to.

An event is encoded once, when it is written; its frame is built once per topic and wire
version and shared by every follower, live or late, and so is one that stands for a run of
`progress` events. Knows neither readers nor the store.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

import msgspec
from msgspec import UNSET

from safelight_protocol.bounds import MAX_PAYLOAD, bounded
from safelight_protocol.events import TERMINAL, Progress, TaskEvent
from safelight_protocol.frames import Serializer
from safelight_protocol.realtime import spoken
from safelight_protocol.snapshot import Snapshot, fold

from .broadcast import Broadcast

MAX_FRAMES = 16
"""Frames that one event keeps beside its first, and as many of runs that it ends. Topics and
versions are few; beginnings of runs, each of which belongs to some reader's pace, need not
be, and past this they are built anew."""

FRAMED = 64
"""Events of a live task whose frames are kept: those that live readers and readers a little
behind are sent. Older ones are built again for who wants them, and then kept."""

MAX_UNFOLDED = 64
"""Events that wait to be folded into the snapshot until somebody asks for it."""


class _Head(msgspec.Struct, frozen=True, gc=False):
    """What of an event decides whether the next may stand for it."""

    type: str
    task_id: str
    attempt: int
    prediction_id: str | None = None


_read_head = msgspec.json.Decoder(_Head).decode

_Kept = dict[tuple[str, str, int], Broadcast]

_MARK = b'{"":0}'
"""Stands for an event's JSON; none of ours is like it."""


class Entry(msgspec.Struct, gc=False, eq=False):
    """One event as every reader gets it: the bytes of its JSON, and its frames.

    Entries and their frames are many, live long and are in no cycle: the collector of
    garbage need not look at them.
    """

    seq: int
    run: int
    body: bytes
    _frame: Broadcast | None = None
    _vsn: str = ""
    _topic: str = ""
    _more: _Kept | None = None
    _runs: _Kept | None = None
    _known: _Head | None = None

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

    def frame(self, serializer: Serializer, topic: str, from_seq: int | None = None) -> Broadcast:
        """The event as a `progress` broadcast on a topic; built at the first call.

        With `from_seq` below its own it stands for all events from there on. One too
        large for a frame is cut, and says so.
        """
        if from_seq not in (None, self.seq):
            self._runs = {} if self._runs is None else self._runs
            return self._found(self._runs, serializer, topic, from_seq)
        if self._frame is None:
            self._vsn, self._topic = serializer.vsn, topic
            self._frame = self._made(serializer, topic, self.seq)
        elif self._topic != topic or self._vsn != serializer.vsn:
            # Seldom: nearly every task is followed on one topic, in one version.
            self._more = {} if self._more is None else self._more
            return self._found(self._more, serializer, topic, self.seq)
        return self._frame

    def _found(self, kept: _Kept, serializer: Serializer, topic: str, first: int) -> Broadcast:
        key = (serializer.vsn, topic, first)
        made = kept.get(key)
        if made is None:
            made = self._made(serializer, topic, first)
            if len(kept) < MAX_FRAMES:
                kept[key] = made
        return made

    def forget_frames(self) -> None:
        """Whoever still wants one has it built again."""
        self._frame = self._more = self._runs = None

    def _made(self, serializer: Serializer, topic: str, first: int) -> Broadcast:
        before, after = _around(type(serializer), topic)
        return Broadcast.of_text(before + self._told(first) + after)

    def _told(self, first: int) -> bytes:
        body = bounded(self.body, self._head.task_id) if len(self.body) > MAX_PAYLOAD else self.body
        return body if first == self.seq else body[:-1] + b',"from_seq":%d}' % first

    @property
    def _head(self) -> _Head:
        if self._known is None:
            self._known = _read_head(self.body)
        return self._known


@lru_cache(maxsize=4096)
def _around(serializer: type[Serializer], topic: str) -> tuple[bytes, bytes]:
    """What stands before and behind an event in every frame of a topic."""
    whole = serializer().encode_broadcast(topic, *spoken(topic, "progress", _MARK))
    before, _, after = whole.encode().partition(_MARK)
    return before, after


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
    """The last events of one task, up to `seq`, and the snapshot that they lead to."""

    __slots__ = ("_entries", "_snapshot", "_unfolded", "bytes", "seq")

    def __init__(self, snapshot: Snapshot, bound: int) -> None:
        self.bytes = 0
        self.seq = snapshot.seq
        self._snapshot = snapshot
        self._unfolded: list[TaskEvent] = []
        self._entries: deque[Entry] = deque(maxlen=bound)

    @property
    def snapshot(self) -> Snapshot:
        """What whoever has read all of it knows; folded when it is asked for."""
        for event in self._unfolded:
            self._snapshot = fold(self._snapshot, event)
        self._unfolded.clear()
        return self._snapshot

    def begin(self, entry: Entry) -> None:
        """Take in the first event of a task, which is in the snapshot already."""
        self._entries.append(entry)

    def append(self, event: TaskEvent, entry: Entry) -> None:
        """Take in the next event."""
        self.seq = event.seq
        entries = self._entries
        entries.append(entry)
        if len(entries) > FRAMED:
            entries[-FRAMED - 1].forget_frames()
        unfolded = self._unfolded
        if unfolded and _says_all_of(unfolded[-1], event):
            unfolded[-1] = event
            return
        unfolded.append(event)
        if len(unfolded) >= MAX_UNFOLDED:
            _ = self.snapshot

    def at(self, seq: int) -> Entry | None:
        """The entry with that seq, if it is kept."""
        place = seq - self._entries[0].seq if self._entries else -1
        return self._entries[place] if 0 <= place < len(self._entries) else None

    def after(self, seq: int, limit: int) -> list[Entry] | None:
        """The entries after `seq`, or None when the tail does not reach back that far."""
        missing = self.seq - seq
        if missing <= 0:
            return []
        if missing > len(self._entries):
            return None
        if missing == 1:
            return [self._entries[-1]][:limit]
        skip = len(self._entries) - missing
        return [self._entries[i] for i in range(skip, min(skip + limit, len(self._entries)))]

    def weigh(self) -> int:
        """Note, and return, the bytes of its events."""
        self.bytes = sum(len(entry.body) for entry in self._entries)
        return self.bytes


def _says_all_of(one: TaskEvent, later: TaskEvent) -> bool:
    """Whether a snapshot with the later event is the same without the one before it."""
    return (
        type(one) is Progress
        and type(later) is Progress
        and one.attempt == later.attempt
        and one.prediction_id is UNSET
    )
