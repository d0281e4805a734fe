"""The joined topics of one socket that tell of many tasks: conversations, the gallery.

A channel never waits for its reader and holds no queue: the connection's writer pulls
from it what comes next, when the reader has taken what went before. A topic of one
task is a `Feed` (feeds.py); it is a channel too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from safelight_protocol.bounds import bounded

from ..care import Answer as Created
from ..subscriptions import tasks_of
from .context import Context
from .feeds import Answer, Feed
from .voice import Channel, Frames, Voice

__all__ = ["Channel", "ConversationChannel", "GalleryChannel"]

BATCH = 64
"""Changes that a gallery tells before another channel gets its turn."""

GATHER_SECONDS = 0.1
"""How long a gallery gathers changes before it tells them: ten pictures of a running
task a second are enough for a thumbnail."""

MAX_FEEDS = 64
"""Tasks that may run at once in one conversation of one socket."""


class ConversationChannel:
    """Tasks made on one conversation's topic by one join, each with a feed of its own.

    With `aloud` the topic carries their events; without, only the answers that are owed
    at their ends. A task that has ended and was told leaves the room.
    """

    def __init__(
        self, context: Context, voice: Voice, *, aloud: bool, wake: Callable[[], None]
    ) -> None:
        self._context = context
        self._voice = voice
        self._aloud = aloud
        self._wake = wake
        self._feeds: dict[str, Feed] = {}
        self._dirty: dict[str, None] = {}

    @property
    def voice(self) -> Voice:
        """How the join is spoken to."""
        return self._voice

    @property
    def is_full(self) -> bool:
        """Whether as many tasks run here as may, or one of them owes as much as it may."""
        return len(self._feeds) >= MAX_FEEDS or any(f.is_full for f in self._feeds.values())

    def asked_for(self, made: Created, key: str, answer: Answer | None) -> None:
        """A task was asked for here: told from its first event on if it runs or was just
        made, from its end if it had ended before."""
        if answer is None and not self._aloud:
            return
        uid = made.task.uid
        if uid not in self._feeds:
            anew = made.created or not made.task.ended
            cursor = 0 if anew else made.snapshot.seq
            self._feeds[uid] = Feed(
                self._context, self, made.task, self._voice, cursor=cursor, aloud=self._aloud
            )
        self._feeds[uid].asked_for(made, key, answer)
        self.stir(self._feeds[uid])

    def close(self) -> None:
        """Follow no more."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds, self._dirty = {}, {}

    def fall_behind(self) -> None:
        """What comes is pulled as it is."""

    async def pull(self, room: int) -> Frames:
        """What the next of the tasks has to tell; each gets its turn."""
        while self._dirty:
            uid = next(iter(self._dirty))
            del self._dirty[uid]
            feed = self._feeds[uid]
            frames = await feed.pull(room)
            if uid not in self._feeds:
                return []  # left meanwhile
            if feed.is_over or (not frames and feed.is_gone):
                self._feeds.pop(uid).close()
                self._dirty.pop(uid, None)
            elif frames:
                self._dirty[uid] = None
            if frames:
                return frames
        return []

    is_taking = False
    """Nobody in a room is in a lane."""

    def failed(self, feed: Feed, defect: Exception) -> None:
        """Only lanes write by themselves."""

    def stir(self, feed: Feed) -> None:
        """One of the tasks has something to tell."""
        self._dirty[feed.task.uid] = None
        self._wake()

    def deleted(self, feed: Feed) -> None:
        """A task that is deleted leaves the room without a word."""

    def left(self, feed: Feed) -> None:
        """The room sees it by itself."""


class GalleryChannel:
    """All tasks of one owner: the latest snapshot of each that changed; and what the owner
    has chosen, whenever that changed. `told` is the version of it that the client has."""

    def __init__(
        self,
        context: Context,
        owner: str,
        *,
        position: int,
        told: int,
        voice: Voice,
        wake: Callable[[], None],
    ) -> None:
        self.owner = owner
        self._context = context
        self._position = position
        self._told = told
        self._voice = voice
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        self._subscription = context.subscriptions.follow(tasks_of(owner), self._soon)

    def close(self) -> None:
        """Follow no more."""
        self._subscription.close()
        if self._timer is not None:
            self._timer.cancel()

    def _soon(self) -> None:
        """Gather the changes of a moment: a gallery shows states, not every step."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHER_SECONDS, self._gathered)

    def _gathered(self) -> None:
        self._timer = None
        self._wake()

    def fall_behind(self) -> None:
        """What comes is pulled as it is."""

    async def pull(self, room: int) -> Frames:
        """The next changes in their order."""
        frames = self._preferences()
        for change in await self._context.gallery.changes(self.owner, self._position, BATCH):
            self._position = change.position
            if change.task is None:
                told = {"task_id": change.task_id, "position": change.position}
                frames += self._voice.push("task_deleted", msgspec.json.encode(told))
            else:
                body = {"task": change.task, "position": change.position}
                frames += self._voice.push(
                    "task", bounded(msgspec.json.encode(body), change.task_id)
                )
        return frames

    def _preferences(self) -> Frames:
        preferences = self._context.preferences
        version = preferences.version(self.owner)
        if version == self._told:
            return []
        self._told = version
        chosen = msgspec.json.encode(preferences.of(self.owner))
        return self._voice.push("preferences", chosen)
