"""The fastlane: followers of one task who have all of it, written to together.

A lane gathers the events of one tick of the event loop, joins their frames once and gives
each of its members the same bytes in one write. It carries nothing but events that come
in order out of memory; whenever there is anything else to do, its members fall behind and
pull for themselves, each from its cursor. See `feeds.py`, whose feeds are the members.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..log import Log
from ..subscriptions import Subscriptions
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

    __slots__ = ("_lanes", "_members", "_subscription", "_uid", "_voice", "cursor")

    def __init__(self, lanes: Lanes, uid: str, voice: Voice, cursor: int) -> None:
        self.cursor = cursor
        self._lanes = lanes
        self._uid = uid
        self._voice = voice
        self._members: dict[Member, Write] = {}
        self._subscription = lanes.subscriptions.follow(uid, partial(lanes.stir, self))

    def __len__(self) -> int:
        return len(self._members)

    def enter(self, member: Member, write: Write) -> None:
        """Be written to from the event after `cursor` on."""
        self._members[member] = write

    def leave(self, member: Member) -> None:
        """Be written to no more. The lane ends with its last member."""
        self._members.pop(member, None)
        if not self._members:
            self._subscription.close()
            self._lanes.end(self, self._uid, self._voice)

    def flush(self) -> None:
        """Write what there is to every member, now."""
        entries = self._lanes.log.recent(self._uid, self.cursor, LAG)
        if entries is None or len(entries) >= LAG:
            return self.dissolve()
        voice = self._voice
        if len(entries) == 1:  # as nearly always
            self._write(1, entries[0].frame(voice.serializer, voice.topic).wire)
            return
        wires = [entry.frame(voice.serializer, voice.topic).wire for entry in entries]
        for count, piece in _pieces(wires):
            self._write(count, piece)

    def dissolve(self) -> None:
        """Let everybody fall behind."""
        for member in list(self._members):
            member.fall_behind()

    def _write(self, count: int, piece: bytes) -> None:
        self.cursor += count  # first, so that who falls behind in its own write has this one
        writes = iter(list(self._members.items()))
        for member, write in writes:
            try:
                write(piece)
            except Exception as defect:  # one reader's, and the others are still to be told
                member.fail(defect)


def _pieces(wires: list[bytes]) -> list[tuple[int, bytes]]:
    """Frames joined to a few writes, each with how many it has."""
    found: list[tuple[int, bytes]] = []
    begin = size = 0
    for place, wire in enumerate(wires):
        size += len(wire)
        if size >= MOST or place == len(wires) - 1:
            found.append((place + 1 - begin, b"".join(wires[begin : place + 1])))
            begin, size = place + 1, 0
    return found


class Lanes:
    """All lanes, by task, topic and version of the frames."""

    def __init__(self, log: Log, subscriptions: Subscriptions) -> None:
        self.log = log
        self.subscriptions = subscriptions
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._stirred: dict[Lane, None] = {}

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
        """Flush it at the end of this tick, with all others that are stirred in it."""
        if not self._stirred:
            asyncio.get_running_loop().call_soon(self._flush)
        self._stirred[lane] = None

    def end(self, lane: Lane, uid: str, voice: Voice) -> None:
        """A lane has no members any more."""
        self._stirred.pop(lane, None)
        self._lanes.pop((uid, voice.topic, voice.serializer.vsn), None)

    def all(self) -> list[Lane]:
        """Those that have members now."""
        return list(self._lanes.values())

    def statistics(self) -> dict[str, int]:
        """How many lanes there are, and followers in them."""
        return {"lanes": len(self._lanes), "laned": sum(map(len, self._lanes.values()))}

    def _flush(self) -> None:
        stirred, self._stirred = self._stirred, {}
        for lane in stirred:
            try:
                lane.flush()
            except Exception as defect:  # one task's, and not the silence of all others
                record("socket.defect", exc=defect)
                lane.dissolve()
