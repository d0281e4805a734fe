"""A joined topic of one socket: its cursor, and what it sends when it is woken.

A channel never waits for its reader and holds no queue: the connection's writer pulls
from it what comes after the cursor, when the reader has taken what went before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from safelight_protocol.events import ErrorData, ResultData
from safelight_protocol.frames import Serializer
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from ..subscriptions import Preview, previews_of, tasks_of
from .context import Context

BATCH = 64
"""Frames that one channel sends before another gets its turn."""

GATHER_SECONDS = 0.1
"""How long a gallery gathers changes before it tells them: ten pictures of a running
task a second are enough for a thumbnail."""

PREVIEW_EVENT = "preview_ready"

Push = Callable[[str, bytes], list[str | bytes]]
"""`(event, payload)` as frames of this channel's join; none if the join is over."""


class Channel(Protocol):
    """What the writer asks of a joined topic."""

    def close(self) -> None:
        """Send nothing more and hold nothing more."""

    async def pull(self) -> list[str | bytes]:
        """What is to be sent next, in order; empty when the reader has everything."""


class TaskChannel:
    """One task: its events from the cursor on, then its latest preview."""

    def __init__(
        self,
        context: Context,
        task: Task,
        *,
        topic: str,
        cursor: int,
        serializer: Serializer,
        push: Push,
        previews: Literal["binary", "url"] | None,
        afterwards: list[str | bytes],
        wake: Callable[[], None],
    ) -> None:
        self.task = task
        self._context = context
        self._topic = topic
        self._cursor = cursor
        self._serializer = serializer
        self._push = push
        self._previews = previews if serializer.vsn == "2.0.0" or not previews else "url"
        self._afterwards = afterwards
        self._shown: Preview | None = None
        self._subscriptions = [context.subscriptions.follow(task.uid, wake)]
        if previews is not None:
            topic_of_previews = previews_of(task.uid)
            self._subscriptions.append(context.subscriptions.follow(topic_of_previews, wake))

    def close(self) -> None:
        """Follow no more."""
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []

    async def pull(self) -> list[str | bytes]:
        """Events first: a preview never stands in front of a state change."""
        entries = self._context.log.recent(self.task.uid, self._cursor, BATCH)
        if entries is None:
            entries = await self._context.log.read(self.task.uid, self._cursor, BATCH)
        if not entries:
            last, self._afterwards = self._afterwards, []
            return last or self._preview()
        self._cursor = entries[-1].seq
        return [entry.frame(self._serializer, self._topic) for entry in entries]

    def _preview(self) -> list[str | bytes]:
        preview = self._context.subscriptions.preview(self.task.uid)
        if self._previews is None or preview is None or preview is self._shown:
            return []
        self._shown = preview
        if self._previews == "binary":
            return [preview.frame(self._topic)]
        # A url of its own for each step, so that no cache shows an older picture.
        url = f"/api/previews/{preview.token}?step={preview.header.step}"
        told = msgspec.to_builtins(preview.header) | {"url": url}
        return self._push(PREVIEW_EVENT, msgspec.json.encode(told))


class GalleryChannel:
    """All tasks of one owner: the latest snapshot of each that changed."""

    def __init__(
        self,
        context: Context,
        owner: str,
        *,
        position: int,
        push: Push,
        wake: Callable[[], None],
    ) -> None:
        self.owner = owner
        self._context = context
        self._position = position
        self._push = push
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

    async def pull(self) -> list[str | bytes]:
        """The next changes in their order."""
        frames: list[str | bytes] = []
        for change in await self._context.gallery.changes(self.owner, self._position, BATCH):
            self._position = change.position
            if change.task is None:
                told = {"task_id": change.task_id, "position": change.position}
                frames += self._push("task_deleted", msgspec.json.encode(told))
            else:
                body = {"task": change.task, "position": change.position}
                frames += self._push("task", msgspec.json.encode(body))
        return frames


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `status` push that follows a join."""

    task_id: str
    status: str
    progress: float
    message: str
    timestamp: str
    seq: int
    result_data: ResultData | None = None
    error_data: ErrorData | None = None


def status_push(snapshot: Snapshot) -> bytes:
    """Where a task stands, in the words that the deployed app reads."""
    return msgspec.json.encode(
        Status(
            task_id=snapshot.task_id,
            status=snapshot.status,
            progress=snapshot.progress,
            message=snapshot.message or f"Task {snapshot.status}",
            timestamp=snapshot.updated_at,
            seq=snapshot.seq,
            result_data=snapshot.result_data,
            error_data=snapshot.error_data,
        )
    )
