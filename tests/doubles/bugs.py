"""Planted bugs: three ways in which a server like ours is usually wrong.

Each enters through what the application is handed (the store's `put`, the followers, the
file on disk before it is opened); nothing of the product is patched. They exist so that the
checkers of `tests/proof` can be shown to notice them. `SECONDS` is how long a bug's window
stands open: long enough for a kill at a random time to fall into it now and then.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from safelight.store import Change, Store
from safelight.subscriptions import Subscription, Subscriptions, Wake
from tests.doubles.hands import hand_over

BUGS = ("acknowledge-before-commit", "subscribe-after-read", "reuse-seq")
SECONDS = 0.15

Opened = Callable[[Path, int], AbstractAsyncContextManager[Any]]


def acknowledging_early(opened: Opened) -> Opened:
    """A store that answers every change of a task before it is committed."""

    @asynccontextmanager
    async def early(directory: Path, now: int) -> AsyncIterator[Any]:
        async with opened(directory, now) as store:
            hasty = _Hasty(store)
            try:
                yield hasty
            finally:
                hasty.hurry.set()
                await hasty.settle()

    return early


class _Hasty:
    """The changes of one task reach the disk in their order, each a moment late."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[str, asyncio.Task[Any]] = {}
        self.hurry = asyncio.Event()

    async def put(self, item: Any) -> Any:
        if not isinstance(item, Change):
            await self.settle()
            return await self._store.put(item)
        uid = item.after.uid
        self._last[uid] = asyncio.create_task(self._write(item, self._last.get(uid)))
        return item.after

    def begin(self, item: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.put(item))

    def hand(self, item: Any, learn: Callable[[Any], None]) -> None:
        """The same for who needs no future."""
        hand_over(self.begin, item, learn)

    async def settle(self) -> None:
        """Wait until all that was acknowledged is on disk."""
        await asyncio.gather(*self._last.values(), return_exceptions=True)

    async def _write(self, item: Change, earlier: asyncio.Task[Any] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await self.hurry.wait()
        await self._store.put(item)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class LateSubscriptions(Subscriptions):
    """Followers that are registered only a while after they asked, thus after their first
    read; what falls between is told with the next change, or never."""

    def follow(self, topic: str, wake: Wake) -> Any:
        """Register later, unless it was closed before that."""
        return _Late(lambda: super(LateSubscriptions, self).follow(topic, wake))


class _Late:
    def __init__(self, follow: Callable[[], Subscription]) -> None:
        self._follow = follow
        self._subscription: Subscription | None = None
        self._timer = asyncio.get_running_loop().call_later(SECONDS, self._register)

    def _register(self) -> None:
        self._subscription = self._follow()

    def close(self) -> None:
        """Wake no more, or never begin to."""
        self._timer.cancel()
        if self._subscription is not None:
            self._subscription.close()


def forget_last_events(directory: Path) -> int:
    """Take the last event from every live task that has more than one, and its seq with it;
    the next event will have that seq again. Returns how many tasks were robbed."""
    path = directory / "safelight.sqlite3"
    if not path.exists():
        return 0
    database = sqlite3.connect(path)
    try:
        live = "state IN ('queued', 'starting', 'running', 'canceling') AND seq > 1"
        with database:
            database.execute(
                "DELETE FROM events WHERE EXISTS (SELECT 1 FROM tasks WHERE"
                f" tasks.uid = events.uid AND tasks.seq = events.seq AND {live})"
            )
            return database.execute(f"UPDATE tasks SET seq = seq - 1 WHERE {live}").rowcount
    finally:
        database.close()
