"""What is kept of a task's events in memory: the last of them, and what they lead to.

An event is encoded once, when it is written; its frame is built once per topic and wire
version and shared by every follower, live or late, and so is one that stands for a run of
`progress` events. Knows neither readers nor the store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache, partial

import msgspec
from msgspec import UNSET

from safelight_protocol.bounds import MAX_PAYLOAD, bounded
from safelight_protocol.events import TERMINAL, Progress, TaskEvent, decode_event
from safelight_protocol.frames import Serializer
from safelight_protocol.realtime import spoken
from safelight_protocol.snapshot import Snapshot, fold

from . import framing
from .broadcast import Broadcast, Shelf

KEPT_BYTES = 4 * 1024 * 1024
"""Frames that are kept beside the first of each event, of all tasks together: those of a
second topic or version, and of runs of events. Past this the longest unwanted are built
anew."""

MAX_UNFOLDED = 64
"""Events that wait to be folded into the snapshot until somebody asks for it. Mere progress is
not among them: what comes next may say all of it."""


class _Head(msgspec.Struct, frozen=True, gc=False):
    """What of an event decides whether the next may stand for it."""

    type: str
    task_id: str
    attempt: int
    prediction_id: str | None = None


_read_head = msgspec.json.Decoder(_Head).decode

_MARK = b'{"":0}'
"""Stands for an event's JSON; none of ours is like it."""


class Words(msgspec.Struct, frozen=True, gc=False):
    """What stands before and behind an event in every frame of a topic, in one version."""

    before: bytes
    after: bytes


@lru_cache(maxsize=4096)
def _words(serializer: type[Serializer], topic: str) -> Words:
    whole = serializer().encode_broadcast(topic, *spoken(topic, "progress", _MARK))
    before, _, after = whole.encode().partition(_MARK)
    return Words(before, after)


def words_of(serializer: Serializer, topic: str) -> Words:
    """The words of a topic; whoever writes much on it keeps them."""
    return _words(type(serializer), topic)


class Entry(msgspec.Struct, gc=False, eq=False):
    """One event as every reader gets it: the bytes of its JSON, and its frames.

    Once it has its first frame, as nearly all who follow it are sent, its JSON is not kept
    beside that. Entries are many, live long and are in no cycle: the collector of garbage
    need not look at them.
    """

    seq: int
    run: int
    _body: bytes | None
    _words: Words | None = None
    _wire: bytes = b""
    _frame: Broadcast | None = None
    _known: _Head | None = None

    @property
    def body(self) -> bytes:
        """The event as JSON."""
        if self._body is not None:
            return self._body
        assert self._words is not None, "without its JSON it has a frame"
        wire, words = self._wire, self._words
        return wire[framing.head_size(wire) + len(words.before) : len(wire) - len(words.after)]

    def __len__(self) -> int:
        """How many bytes of it are held, about."""
        return len(self._body or self._wire)

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

    def wire(self, words: Words) -> bytes:
        """The event's frame as it travels; built at the first call. One too large for a frame
        is cut, and says so."""
        if self._words is None:
            body = self._body
            assert body is not None, "without a frame it has its JSON"
            if len(body) > MAX_PAYLOAD:
                self._wire = self._made(words, self.seq)
            else:
                self._wire = framing.text_of(words.before, body, words.after)
                self._body = None
            self._words = words
        elif self._words is not words and self._words != words:
            return self._another(words, self.seq).wire
        return self._wire

    def frame(self, serializer: Serializer, topic: str, from_seq: int | None = None) -> Broadcast:
        """The event as a `progress` broadcast on a topic, as `wire` has it.

        With `from_seq` below its own it stands for all events from there on.
        """
        words = words_of(serializer, topic)
        if from_seq is not None and from_seq != self.seq:
            return self._another(words, from_seq)
        wire = self.wire(words)
        if wire is not self._wire:
            return self._another(words, self.seq)
        if self._frame is None:
            self._frame = Broadcast(wire)
        return self._frame

    def _another(self, words: Words, first: int) -> Broadcast:
        """A frame that is not the entry's own: who lags, lags like others."""
        return _others.take((self, words, first), partial(self._made, words, first))

    def _made(self, words: Words, first: int) -> bytes:
        return framing.text_of(words.before, self._told(first), words.after)

    def _told(self, first: int) -> bytes:
        body = self.body
        if len(body) > MAX_PAYLOAD:
            body = bounded(body, self._head.task_id)
        return body if first == self.seq else body[:-1] + b',"from_seq":%d}' % first

    @property
    def _head(self) -> _Head:
        if self._known is None:
            self._known = _read_head(self.body)
        return self._known


_others = Shelf(KEPT_BYTES)


def runs(entries: list[Entry]) -> list[tuple[int, Entry]]:
    """The entries with each run of progress as its last one, and the seq it begins at."""
    found: list[tuple[int, Entry]] = []
    for place, entry in enumerate(entries):
        if found and entries[place - 1].yields_to(entry):
            found[-1] = (found[-1][0], entry)
        else:
            found.append((entry.seq, entry))
    return found


class Tail(msgspec.Struct, gc=False, eq=False):
    """The last events of one task, up to `seq`, and the snapshot that they lead to.

    The snapshot is that of `seq`. Most tasks that are live have one event, the `first`, and
    wait: until the second there is neither a queue nor a list, and never anything in a cycle.
    `_lasts` says that the last entry is mere
    progress, and is to be folded yet.
    """

    _snapshot: Snapshot
    _bound: int
    seq: int
    bytes: int = 0
    first: Entry | None = None
    _more: deque[Entry] | None = None
    _unfolded: list[TaskEvent] | None = None
    _lasts: bool = False

    @property
    def _entries(self) -> Sequence[Entry]:
        if self._more is not None:
            return self._more
        return () if self.first is None else (self.first,)

    @property
    def snapshot(self) -> Snapshot:
        """What whoever has read all of it knows; folded when it is asked for."""
        if self._lasts:
            self._settle()
        if self._unfolded:
            for event in self._unfolded:
                self._snapshot = fold(self._snapshot, event)
            self._unfolded.clear()
        return self._snapshot

    def append(self, event: TaskEvent, entry: Entry) -> None:
        """Take in the next event."""
        self.seq = entry.seq
        entries = self._more
        if entries is None:
            entries = self._more = deque(self._entries, self._bound)
            self.first = None
        plain = type(event) is Progress and event.prediction_id is UNSET
        if self._lasts and not plain:
            if type(event) is not Progress:  # which says all that progress before it does
                self._settle()
            self._lasts = False
        entries.append(entry)
        if plain:
            self._lasts = True
        else:
            self._wait_for_fold(event)

    def _settle(self) -> None:
        """Nothing that comes will say again what the last entry does."""
        self._lasts = False
        self._wait_for_fold(decode_event(self._entries[-1].body))

    def _wait_for_fold(self, event: TaskEvent) -> None:
        if self._unfolded is None:
            self._unfolded = []
        self._unfolded.append(event)
        if len(self._unfolded) >= MAX_UNFOLDED:
            _ = self.snapshot

    def at(self, seq: int) -> Entry | None:
        """The entry with that seq, if it is kept."""
        entries = self._entries
        place = seq - entries[0].seq if entries else -1
        return entries[place] if 0 <= place < len(entries) else None

    def only(self, seq: int) -> Entry | None:
        """The one entry after `seq`, if there is one and no more; None also for the first."""
        return self._more[-1] if self.seq - seq == 1 and self._more else None

    def after(self, seq: int, limit: int) -> list[Entry] | None:
        """The entries after `seq`, or None when the tail does not reach back that far."""
        missing = self.seq - seq
        if missing <= 0:
            return []
        entries = self._entries
        if missing > len(entries):
            return None
        skip = len(entries) - missing
        return [entries[i] for i in range(skip, min(skip + limit, len(entries)))]

    def weigh(self) -> int:
        """Note, and return, the bytes of its events."""
        self.bytes = sum(map(len, self._entries))
        return self.bytes
