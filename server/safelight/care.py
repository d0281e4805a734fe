"""A task in the orchestrator's care, how it is found, and what a create is answered with.

Knows neither who moves the task nor how.
"""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.identity import Difference
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from .artifacts import new_id
from .log import Log
from .store import Store


class Answer(msgspec.Struct, frozen=True):
    """What a create came to: the task, its snapshot, and what the caller should know."""

    task: Task
    snapshot: Snapshot
    created: bool
    warnings: tuple[str | Difference, ...] = ()


def same_state(one: Task, other: Task) -> bool:
    """Whether two tasks agree in all that can change but the times, which differ when a
    move whose first commit was not learnt is made again."""
    return (
        msgspec.structs.replace(
            one,
            asked=other.asked,
            resolved=other.resolved,
            updated_at=other.updated_at,
            claimed_at=other.claimed_at,
            ended_at=other.ended_at,
        )
        == other
    )


async def find(store: Store, owner: str, id: str) -> Task:
    """A task of this owner, else Refused `gone` or `not_found`."""
    task = await store.read.task(owner, id)
    if task is not None:
        return task
    if await store.read.is_gone(owner, id):
        raise Refused("gone", f"Task {id} was deleted or has expired.")
    raise Refused("not_found", f"Task {id} is not known.")


class Live(msgspec.Struct, gc=False, eq=False):
    """A task that has not ended, and the lock that serializes its moves. One that was live
    when the server started has its `task` only once it is known: see `know`.

    There are many, and they are in no cycle: the collector of garbage need not look at them.
    """

    task: Task = cast(Task, None)
    _token: str | None = None
    _lock: asyncio.Lock | None = None
    _held: bool = False

    @property
    def lock(self) -> asyncio.Lock:
        """Made when it is first asked for; most tasks wait in a queue and do not move."""
        if self._lock is None:
            self._lock = asyncio.Lock()
            if self._held:
                _take(self._lock)
        return self._lock

    def hold(self) -> None:
        """Acquire the lock of a new task, which is free, without waiting."""
        self._held = True

    def release(self) -> None:
        """Give back what `hold` acquired."""
        self._held = False
        if self._lock is not None:
            self._lock.release()

    @property
    def preview_token(self) -> str:
        """The capability of its previews; most tasks never have any."""
        if self._token is None:
            self._token = new_id()
        return self._token

    @property
    def known(self) -> bool:
        """Whether its task is here; that of a create comes with its commit."""
        return self.task is not None


def _take(lock: asyncio.Lock) -> None:
    try:
        lock.acquire().send(None)
    except StopIteration:
        return
    raise AssertionError("the lock is not free")


async def know(uid: str, live: Live, store: Store, log: Log) -> Task:
    """Fetch what the start has left out of a task, its row and its tail, before anything is
    done with it; at once where nothing is missing. Raises StoreTrouble."""
    if not live.known or log.is_cold(uid):
        async with live.lock:
            if not live.known:
                live.task = (await store.read.tasks([uid]))[uid]
            await log.recall(live.task)
    return live.task
