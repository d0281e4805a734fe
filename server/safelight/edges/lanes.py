"""The fastlane: followers of one task who have all of it, written to together.

A lane gathers the events of one tick of the event loop, joins their frames once and gives
each of its members the same bytes in one write. It carries nothing but events that come
in order out of memory; whenever there is anything else to do, its members fall behind and
pull for themselves, each from its cursor. See `feeds.py`, whose feeds are the members.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import length_hint
from typing import Protocol

from ..log import Log
from ..subscriptions import Subscriptions
from ..tail import Entry, Words, words_of
from ..telemetry import log as record
from .voice import Voice

Write = Callable[[bytes], None]
"""Puts frames on a client's line, as they travel. May let the client's own feeds fall
behind before it returns, and no other's."""

LAG = 64
"""Events of one tick. So many are no tick any more, and are pulled as a backlog."""

MOST = 64 * 1024
"""Bytes of one write; what one frame adds to it is all that is written beyond the point
where a client takes nothing."""


class Member(Protocol):
    """A follower in a lane."""

    def fall_behind(self) -> None:
        """Leave the lane, and go on from its cursor alone."""

    def fail(self, defect: Exception) -> None:
        """A write raised: leave the lane and the client, who comes back with its cursor."""


class Lane:
    """The followers of one task on one topic and version who have it up to `cursor`."""

    __slots__ = (
        "_lanes",
        "_member",
        "_members",
        "_row",
        "_stirred",
        "_uid",
        "_voice",
        "_words",
        "_write",
        "cursor",
    )

    def __init__(self, lanes: Lanes, uid: str, voice: Voice, cursor: int) -> None:
        self.cursor = cursor
        self._lanes = lanes
        self._uid = uid
        self._voice = voice
        self._words: Words | None = None
        self._stirred = False
        # One follower, as most tasks have, stands here by itself, and others beside it in
        # the dict. Who has left by itself writes nowhere.
        self._member: Member | None = None
        self._write: Write = _nowhere
        self._members: dict[Member, Write] | None = None
        self._row: tuple[tuple[Member, ...], tuple[Write, ...]] | None = None
        lanes.subscriptions.enter(uid, self)

    def __len__(self) -> int:
        if self._members is None:
            return int(self._write is not _nowhere)
        return len(self._members)

    def enter(self, member: Member, write: Write) -> None:
        """Be written to from the event after `cursor` on."""
        self._row = None
        if self._members is not None:
            self._members[member] = write
        elif self._member is None:
            self._member, self._write = member, write
        else:
            self._members = {self._member: self._write, member: write}
            self._member, self._write = None, _nowhere

    def leave(self, member: Member) -> None:
        """Be written to no more. The lane ends with its last member."""
        self._row = None
        if self._members is not None:
            self._members.pop(member, None)
        elif self._member is member:
            self._write = _nowhere
        if not len(self):
            self._lanes.subscriptions.leave(self._uid, self)
            self._lanes.end(self, self._uid, self._voice)

    def wake(self) -> None:
        """Be flushed at the end of this tick, with all others that are woken in it."""
        if not self._stirred:
            self._stirred = True
            self._lanes.stir(self)

    def framed(self) -> Entry | None:
        """The event that is to be written, with its frame, if it is one and no more: as nearly
        always."""
        entry = self._lanes.log.only(self._uid, self.cursor)
        if entry is not None:
            entry.wire(self._words or self._learn_words())
        return entry

    def flush(self, entry: Entry | None = None) -> None:
        """Write what there is to every member, now: `entry`, if that is what comes next."""
        self._stirred = False
        if entry is None or entry.seq - self.cursor != 1:
            return self._flush_any()
        self._tell(entry.seq, entry.wire(self._words or self._learn_words()))

    def dissolve(self) -> None:
        """Let everybody fall behind."""
        if self._members is not None:
            for member in list(self._members):
                member.fall_behind()
        elif self._member is not None and self._write is not _nowhere:
            self._member.fall_behind()

    def _flush_any(self) -> None:
        entries = self._lanes.log.recent(self._uid, self.cursor, LAG)
        if entries is None or len(entries) >= LAG:
            return self.dissolve()
        for cursor, piece in _pieces(entries, self._words or self._learn_words()):
            self._tell(cursor, piece)

    def _learn_words(self) -> Words:
        self._words = words_of(self._voice.serializer, self._voice.topic)
        return self._words

    def _tell(self, cursor: int, piece: bytes) -> None:
        """Write the same to all, which brings them to the cursor. What one reader's write
        raises is not the others'."""
        self.cursor = cursor  # first, so that who falls behind in its own write has this
        if self._members is None:
            try:
                self._write(piece)
            except Exception as defect:
                assert self._member is not None, "nowhere never fails"
                self._member.fail(defect)
            return
        if self._row is None:
            self._row = tuple(self._members), tuple(self._members.values())
        members, writes = self._row  # those of now, whoever leaves meanwhile
        left = iter(writes)
        while True:
            try:
                for write in left:
                    write(piece)
                return
            except Exception as defect:
                members[len(writes) - length_hint(left) - 1].fail(defect)


def _pieces(entries: list[Entry], words: Words) -> list[tuple[int, bytes]]:
    """Their frames joined to a few writes, each with the seq that it ends at."""
    found: list[tuple[int, bytes]] = []
    wires: list[bytes] = []
    size = 0
    for entry in entries:
        wires.append(entry.wire(words))
        size += len(wires[-1])
        if size >= MOST or entry is entries[-1]:
            found.append((entry.seq, b"".join(wires)))
            wires, size = [], 0
    return found


def _nowhere(frames: bytes) -> None:
    """Nobody stands alone here."""


class Lanes:
    """All lanes, by task, topic and version of the frames."""

    def __init__(self, log: Log, subscriptions: Subscriptions) -> None:
        self.log = log
        self.subscriptions = subscriptions
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._stirred: list[Lane] = []

    def enter(
        self, member: Member, uid: str, voice: Voice, cursor: int, write: Write
    ) -> Lane | None:
        """Put a follower who has everything up to `cursor` into the lane of its like. None
        if there is more already, or the task is not in memory."""
        key = (uid, voice.topic, voice.serializer.vsn)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.flush()
        if self.log.recent(uid, cursor, 1) != []:
            return None
        lane = self._lanes.get(key)  # it may have ended as it was flushed
        if lane is None:
            lane = self._lanes[key] = Lane(self, uid, voice, cursor)
        lane.enter(member, write)
        return lane

    def stir(self, lane: Lane) -> None:
        """Flush it at the end of this tick."""
        if not self._stirred:
            asyncio.get_running_loop().call_soon(self._flush)
        self._stirred.append(lane)

    def end(self, lane: Lane, uid: str, voice: Voice) -> None:
        """A lane has no members any more."""
        key = (uid, voice.topic, voice.serializer.vsn)
        if self._lanes.get(key) is lane:
            del self._lanes[key]

    def all(self) -> list[Lane]:
        """Those that have members now."""
        return list(self._lanes.values())

    def statistics(self) -> dict[str, int]:
        """How many lanes there are, and followers in them."""
        return {"lanes": len(self._lanes), "laned": sum(map(len, self._lanes.values()))}

    def _flush(self) -> None:
        # All frames first, then all writes: the kernel's part drives ours from the caches.
        stirred, self._stirred = self._stirred, []
        ready: list[tuple[Lane, Entry | None]] = []
        for lane in stirred:
            try:
                ready.append((lane, lane.framed()))
            except Exception as defect:
                self._spoilt(lane, defect)
        for lane, entry in ready:
            try:
                lane.flush(entry)
            except Exception as defect:
                self._spoilt(lane, defect)

    def _spoilt(self, lane: Lane, defect: Exception) -> None:
        """One task's, and not the silence of all others."""
        record("socket.defect", exc=defect)
        lane.dissolve()
