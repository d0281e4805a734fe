"""A store that writes, and tells so only when a test lets it.

Stands for a slow disk at the one moment that matters: the request has been handed over, and
its commit is not learnt. Unrealistic: what is held is on disk all the while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.store import Creation, Store, open_store
from tests.doubles.hands import hand_over


class Gate:
    """While it is `shut`, commits of creates wait in it."""

    def __init__(self) -> None:
        self.shut = False
        self._held: list[Callable[[], None]] = []

    @property
    def held(self) -> int:
        """How many wait."""
        return len(self._held)

    def hold(self, settle: Callable[[], None]) -> None:
        """Keep one back, if it is shut."""
        if self.shut:
            self._held.append(settle)
        else:
            settle()

    def open(self) -> None:
        """Let all go, and hold no more."""
        self.shut = False
        held, self._held = self._held, []
        for settle in held:
            settle()


class _Holding:
    def __init__(self, store: Store, gate: Gate) -> None:
        self._store = store
        self._gate = gate

    async def put(self, item: Any) -> Any:
        return await self.begin(item)

    def begin(self, item: Any) -> asyncio.Future[Any]:
        written = self._store.begin(item)
        if not isinstance(item, Creation):
            return written
        learnt: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        written.add_done_callback(lambda done: self._gate.hold(lambda: _copy(done, learnt)))
        return learnt

    def hand(self, item: Any, learn: Callable[[Any], None]) -> None:
        """The same for who needs no future."""
        hand_over(self.begin, item, learn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _copy(done: asyncio.Future[Any], learnt: asyncio.Future[Any]) -> None:
    trouble = done.exception()
    if learnt.done():
        return
    if trouble is None:
        learnt.set_result(done.result())
    else:
        learnt.set_exception(trouble)


def holding(gate: Gate) -> Any:
    """A way of opening a store behind a gate."""

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            yield _Holding(store, gate)

    return opened
