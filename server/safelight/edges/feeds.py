"""One task as one join is told of it: its events from a cursor on, and its previews.

A feed never waits for its reader and holds no queue: the connection pulls what comes after
the cursor, while the reader takes it. A pull that finds a whole batch waiting has a reader
that lags, and folds runs of progress into one frame each. One that finds nothing puts the
feed into the lane of its like (`lanes.py`), which writes to it until it falls behind.
Knows no other topic of its socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import TERMINAL
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from ..broadcast import Frame
from ..care import Answer as Created
from ..subscriptions import Preview, Subscription, previews_of
from ..tail import Entry, runs
from .context import Context
from .lanes import LAG, Lane, Write
from .voice import Frames, Voice

BATCH = 256
"""Events that one pull reads."""

MAX_OWED = 32
"""Answers that wait for the end of one task, on one topic of one socket."""

Answer = Callable[[Snapshot | None], Frames]
"""What somebody is owed at a task's end, made from its last snapshot; None when the task
was deleted before it could be told."""


class Host(Protocol):
    """What a feed needs of whoever opened it."""

    @property
    def is_taking(self) -> bool:
        """Whether the reader takes what is written, as far as is known."""

    def stir(self, feed: Feed) -> None:
        """There is something to pull from the feed."""

    def failed(self, feed: Feed, defect: Exception) -> None:
        """What was to be written of the feed could not be."""

    def deleted(self, feed: Feed) -> Frames | None:
        """What is said once the task was deleted. None: it is not for the feed to say."""

    def left(self, feed: Feed) -> None:
        """That has been taken, and nothing comes after it."""


class Feed:
    """A channel of one task. While not `aloud` it tells no events, only what is owed; with
    `write` it may enter a lane."""

    __slots__ = (
        "_afterwards",
        "_aloud",
        "_bade",
        "_closed",
        "_context",
        "_cursor",
        "_ended",
        "_events",
        "_host",
        "_lane",
        "_owed",
        "_previews",
        "_shown",
        "_write",
        "task",
        "voice",
    )

    def __init__(
        self,
        context: Context,
        host: Host,
        task: Task,
        voice: Voice,
        *,
        cursor: int,
        aloud: bool = True,
        afterwards: Frames | None = None,
        write: Write | None = None,
    ) -> None:
        self.task = task
        self.voice = voice
        self._context = context
        self._host = host
        self._cursor = cursor
        self._aloud = aloud
        self._afterwards = afterwards
        self._write = write if aloud else None
        self._owed: dict[str, Answer] | None = None
        self._closed = self._ended = self._bade = False
        self._shown: Preview | None = None
        self._lane: Lane | None = None
        self._events: Subscription | None = context.subscriptions.follow(task.uid, self._stir)
        self._previews: Subscription | None = None
        if voice.previews is not None and aloud:
            follow = context.subscriptions.follow
            self._previews = follow(previews_of(task.uid), self._stir)

    @property
    def is_over(self) -> bool:
        """Whether the task's end was told and nothing is owed."""
        return self._ended and not self._owed

    @property
    def is_gone(self) -> bool:
        """Whether the task left memory and nothing is owed: after a pull without frames
        nothing more will come of it, even if it was deleted before its end was told."""
        return not self._owed and not self._context.log.holds(self.task.uid)

    @property
    def is_full(self) -> bool:
        """Whether as many answers are owed as may be."""
        return self._owed is not None and len(self._owed) >= MAX_OWED

    def asked_for(self, made: Created, key: str, answer: Answer | None) -> None:
        """The task was asked for here. Its end is told after the answer, and told again
        where it lies in the past; a second answer of one key replaces the first."""
        if answer is not None or made.task.ended:
            self._owed = {} if self._owed is None else self._owed
            self._owed[key] = answer or _nothing
            self.fall_behind()
            self._stir()

    def close(self) -> None:
        """Follow no more."""
        self._closed = True
        self._leave_lane()
        for subscription in (self._events, self._previews):
            if subscription is not None:
                subscription.close()
        self._events = self._previews = None

    def fall_behind(self) -> None:
        """Be written to no more: what comes is pulled, from here on."""
        if self._lane is not None:
            self._leave_lane()
            self._events = self._context.subscriptions.follow(self.task.uid, self._stir)
            self._stir()

    def fail(self, defect: Exception) -> None:
        """A write of the lane failed for this reader: it is hung up on, and comes back."""
        self._host.failed(self, defect)

    async def pull(self, room: int) -> Frames:
        """What is to be sent next, in order, of about `room` bytes; empty when the reader
        has everything.

        Events first: a preview never stands in front of a state change.
        """
        if self._lane is not None:
            self._lane.flush()
        if self._lane is not None:
            return self._preview()
        if self._aloud:
            entries = await self._context.log.read(self.task.uid, self._cursor, BATCH)
            if entries:
                return await self._tell(entries, room)
        if self._owed:
            settled = await self._settle()
            if settled:
                return settled
        last, self._afterwards = self._afterwards, None
        frames = last or self._preview() or await self._goodbye()
        if not frames:
            self._enter_lane()
        return frames

    def _stir(self) -> None:
        self._host.stir(self)

    def _enter_lane(self) -> None:
        """Be written to with all who have everything, as this reader now has."""
        if self._write is None or self._closed or self._owed or self._afterwards:
            return
        if not self._host.is_taking:  # it would be written to without end
            return
        lanes = self._context.lanes
        self._lane = lanes.enter(self, self.task.uid, self.voice, self._cursor, self._write)
        if self._lane is not None and self._events is not None:
            self._events.close()
            self._events = None

    def _leave_lane(self) -> None:
        if self._lane is not None:
            self._cursor = self._lane.cursor
            self._lane.leave(self)
            self._lane = None

    async def _goodbye(self) -> Frames:
        """Who still follows a task that was deleted is told, and need not wait any more."""
        if not self.is_gone or await self._snapshot() is not None:
            return []
        farewell = None if self._bade else self._host.deleted(self)
        self._bade = True
        if farewell is None:
            self._host.left(self)
        return farewell or []

    async def _tell(self, entries: list[Entry], room: int) -> Frames:
        lags = len(entries) >= LAG
        told = runs(entries) if lags else [(entry.seq, entry) for entry in entries]
        frames: Frames = []
        for first, entry in told:
            frames.append(self._frame(entry, first))
            self._cursor = entry.seq
            room -= len(frames[-1])
            if room <= 0:
                break
        if self._cursor < entries[-1].seq or not entries[-1].ends:
            return frames
        self._ended = True
        return [*frames[:-1], *await self._answers(), frames[-1]]

    async def _settle(self) -> Frames:
        """The answers that are owed and the event that ended the task, if it has ended."""
        snapshot = await self._snapshot()
        if snapshot is not None and snapshot.status not in TERMINAL:
            return []
        self._ended = True
        frames = await self._answers()
        if self._aloud and snapshot is not None:
            end = await self._context.log.read(self.task.uid, snapshot.seq - 1, 1)
            frames += [self._frame(entry, entry.seq) for entry in end]
        return frames

    async def _answers(self) -> Frames:
        owed, self._owed = self._owed, None
        snapshot = await self._snapshot() if owed else None
        return [frame for answer in (owed or {}).values() for frame in answer(snapshot)]

    async def _snapshot(self) -> Snapshot | None:
        try:
            return await self._context.log.snapshot(self.task)
        except Refused as refused:
            if refused.code.name != "gone":
                raise
            return None

    def _frame(self, entry: Entry, first: int) -> Frame:
        return entry.frame(self.voice.serializer, self.voice.topic, first)

    def _preview(self) -> Frames:
        preview = self._context.subscriptions.preview(self.task.uid)
        unwanted = self.voice.previews is None or not self._aloud
        if unwanted or preview is None or preview is self._shown:
            return []
        self._shown = preview
        if self.voice.previews == "binary":
            return [preview.frame(self.voice.topic)]
        # A url of its own for each step, so that no cache shows an older picture.
        url = f"/api/previews/{preview.token}?step={preview.header.step}"
        told = msgspec.to_builtins(preview.header) | {"url": url}
        return self.voice.push("preview_ready", msgspec.json.encode(told))


def _nothing(snapshot: Snapshot | None) -> Frames:
    return []
