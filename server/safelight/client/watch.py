"""One task, watched: what the socket tells of it becomes snapshots for whoever waits.

Owns the fold of one topic and those who look at it. Knows no connection: the socket's
driver calls it, and never waits for it. A watcher is handed the newest snapshot, not
a queue of them, so one that is slow sees fewer and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import msgspec

from safelight_protocol.events import TERMINAL
from safelight_protocol.snapshot import Snapshot

from .errors import WrongAnswer
from .fold import Event, fold_event, read_event


class _Reply(msgspec.Struct, frozen=True):
    task: msgspec.Raw
    gap: bool = False


class _Cut(msgspec.Struct, frozen=True):
    truncated: bool = False


class Feed:
    """The fold of one task's topic. `complete` is asked to call `whole` (or `fail`) when
    a snapshot came truncated."""

    def __init__(self, id: str, complete: Callable[[Feed], None]) -> None:
        self.id = id
        self.snapshot: Snapshot | None = None
        self.trouble: Exception | None = None
        self.watchers: list[Watch] = []
        self._complete = complete
        self._jumped = True
        self._waiting: list[Event] | None = None
        self._cut_at = 0

    def joined(self, response: msgspec.Raw | bytes) -> None:
        """Take the reply of a join. Its snapshot counts at the first time, after a gap
        and after a hole; else ours is as good, and the events between are on their way."""
        try:
            reply = msgspec.json.decode(response, type=_Reply)
            if not (self._jumped or reply.gap):
                return
            self._jumped = False
            if msgspec.json.decode(reply.task, type=_Cut).truncated:
                self._waiting = []
                self._complete(self)
                return
            self.whole(msgspec.json.decode(reply.task, type=Snapshot))
        except msgspec.DecodeError as trouble:
            self.fail(WrongAnswer(f"the snapshot of {self.id} cannot be read: {trouble}"))

    def whole(self, snapshot: Snapshot) -> None:
        """Go on from this snapshot; events that came meanwhile are folded into it."""
        if snapshot.seq < self._cut_at:
            return self._complete(self)  # asked for before the event that was cut
        for event in self._waiting or ():
            snapshot = fold_event(snapshot, event)
        self._waiting = None
        self._show(snapshot)

    def told(self, payload: msgspec.Raw | bytes) -> None:
        """Take one event, each once and in order."""
        try:
            event = read_event(payload)
        except msgspec.DecodeError:
            return  # nothing that any version calls an event
        for watcher in list(self.watchers):
            watcher.tell(event)
        if msgspec.json.decode(payload, type=_Cut).truncated:
            self._miss(event)
        if self._waiting is not None:
            self._waiting.append(event)
        elif self.snapshot is not None:
            self._show(fold_event(self.snapshot, event))

    def _miss(self, event: Event) -> None:
        """The event was too large for a frame: what it says is had with the snapshot."""
        self._cut_at = event.seq
        if self._waiting is None:
            self._waiting = []
            self._complete(self)

    def jump(self) -> None:
        """Events are missing for good: the next snapshot of the server counts."""
        self._jumped = True

    def fail(self, trouble: Exception) -> None:
        """Nothing more will come. Watchers get what there is, then the reason."""
        self.trouble = self.trouble or trouble
        self._wake()

    def _show(self, snapshot: Snapshot) -> None:
        if snapshot is not self.snapshot:
            self.snapshot = snapshot
            self._wake()

    def _wake(self) -> None:
        for watcher in self.watchers:
            watcher.wake()


class Watch:
    """Snapshots of one task until its end: `async for snapshot in client.watch(id)`.

    The first is where the task stands now, the last is its end, and none is older than
    one before it. Raises RequestRefused when the server will not tell (`not_found`),
    NotOpen when the client is closed. To stop before the end, call `close`.
    """

    def __init__(
        self,
        feed: Feed,
        on_close: Callable[[Watch], None],
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._feed = feed
        self._on_close = on_close
        self._on_event = on_event
        self._shown: Snapshot | None = None
        self._changed = anyio.Event()
        self._open = True

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Snapshot:
        while self._open:
            snapshot = self._feed.snapshot
            if snapshot is not None and snapshot is not self._shown:
                self._shown = snapshot
                return snapshot
            if snapshot is not None and snapshot.status in TERMINAL:
                self.close()
            elif self._feed.trouble is not None:
                self.close()
                raise self._feed.trouble
            else:
                await self._changed.wait()
        raise StopAsyncIteration

    @property
    def feed(self) -> Feed:
        """What is watched; shared by all who watch the same task."""
        return self._feed

    def close(self) -> None:
        """Watch no longer. Never cancels the task; may be called twice."""
        if self._open:
            self._open = False
            self.wake()
            self._on_close(self)

    def tell(self, event: Event) -> None:
        """Hand an event to whoever wants each of them."""
        if self._on_event is not None:
            self._on_event(event)

    def wake(self) -> None:
        """There is something new to look at."""
        self._changed.set()
        self._changed = anyio.Event()
