"""One task as one join is told of it: its events from a cursor on, and its previews.

A feed never waits for its reader and holds no queue: the connection's writer pulls what
comes after the cursor, once the reader has taken what went before. A pull that finds a
whole batch waiting has a reader that lags, and folds runs of progress into one frame
each. Knows no other topic of its socket.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import TERMINAL
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from ..care import Answer as Created
from ..log import Entry, runs
from ..subscriptions import Preview, previews_of
from .context import Context
from .voice import Frames, Voice

BATCH = 64
"""Events of one pull. Whoever has so many waiting lags; whoever has fewer is told each."""

MAX_OWED = 32
"""Answers that wait for the end of one task, on one topic of one socket."""

Answer = Callable[[Snapshot | None], Frames]
"""What somebody is owed at a task's end, made from its last snapshot; None when the task
was deleted before it could be told."""


class Feed:
    """A channel of one task. While not `aloud` it tells no events, only what is owed."""

    def __init__(
        self,
        context: Context,
        task: Task,
        voice: Voice,
        *,
        cursor: int,
        wake: Callable[[], None],
        aloud: bool = True,
        afterwards: Frames | None = None,
        farewell: Callable[[], Frames] | None = None,
        left: Callable[[Feed], None] | None = None,
    ) -> None:
        """`farewell` is what is said once the task was deleted; `left` is called when that
        has been taken, and nothing comes after it."""
        self.task = task
        self.voice = voice
        self._context = context
        self._cursor = cursor
        self._aloud = aloud
        self._afterwards = afterwards or []
        self._farewell = farewell
        self._left = left
        self._owed: dict[str, Answer] = {}
        self._ended = False
        self._wake = wake
        self._shown: Preview | None = None
        self._subscriptions = [context.subscriptions.follow(task.uid, wake)]
        if voice.previews is not None and aloud:
            self._subscriptions.append(context.subscriptions.follow(previews_of(task.uid), wake))

    @property
    def is_over(self) -> bool:
        """Whether the task's end was told and nothing is owed."""
        return self._ended and not self._owed

    @property
    def is_gone(self) -> bool:
        """Whether the task left memory and nothing is owed: after a pull without frames
        nothing more will come of it, even if it was deleted before its end was told."""
        return not self._owed and self._context.log.live_snapshot(self.task.uid) is None

    @property
    def is_full(self) -> bool:
        """Whether as many answers are owed as may be."""
        return len(self._owed) >= MAX_OWED

    def asked_for(self, made: Created, key: str, answer: Answer | None) -> None:
        """The task was asked for here. Its end is told after the answer, and told again
        where it lies in the past; a second answer of one key replaces the first."""
        if answer is not None or made.task.ended:
            self._owed[key] = answer or _nothing
            self._wake()

    def close(self) -> None:
        """Follow no more."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []

    async def pull(self) -> Frames:
        """What is to be sent next, in order; empty when the reader has everything.

        Events first: a preview never stands in front of a state change.
        """
        if self._aloud:
            entries = await self._context.log.read(self.task.uid, self._cursor, BATCH)
            if entries:
                return await self._tell(entries)
        if self._owed:
            settled = await self._settle()
            if settled:
                return settled
        last, self._afterwards = self._afterwards, []
        return last or self._preview() or await self._goodbye()

    async def _goodbye(self) -> Frames:
        """Who still follows a task that was deleted is told, and need not wait any more."""
        if self._left is None or not self.is_gone or await self._snapshot() is not None:
            return []
        farewell, self._farewell = self._farewell, None
        if farewell is not None:
            return farewell()
        self._left(self)
        return []

    async def _tell(self, entries: list[Entry]) -> Frames:
        lags = len(entries) >= BATCH
        told = runs(entries) if lags else [(entry.seq, entry) for entry in entries]
        frames: Frames = [self._frame(entry, first) for first, entry in told]
        self._cursor = entries[-1].seq
        if not entries[-1].ends:
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
        owed, self._owed = self._owed, {}
        snapshot = await self._snapshot() if owed else None
        return [frame for answer in owed.values() for frame in answer(snapshot)]

    async def _snapshot(self) -> Snapshot | None:
        try:
            return await self._context.log.snapshot(self.task)
        except Refused as refused:
            if refused.code.name != "gone":
                raise
            return None

    def _frame(self, entry: Entry, first: int) -> str:
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
