"""A store that writes and then does not know whether it has: a commit whose end is lost.

Stands for an I/O error that comes back from COMMIT although the frames were on disk.
Unrealistic: the database itself stays well, and the very next write succeeds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.store import Change, Creation, Removal, Store, StoreTrouble, open_store

Item = Change | Creation | Removal


class Forgetful:
    """Every write for which `forgets` says so is done once, and answered as unknown."""

    def __init__(self, store: Store, forgets: Callable[[Item], bool]) -> None:
        self._store = store
        self._forgets = forgets
        self.forgot = 0

    async def put(self, item: Item) -> Any:
        """Write, and perhaps forget."""
        outcome = await self._store.put(item)
        if self.forgot == 0 and self._forgets(item):
            self.forgot += 1
            raise StoreTrouble("the end of a commit was not learnt", unknown=True)
        return outcome

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def forgetful(forgets: Callable[[Item], bool]) -> Any:
    """A way of opening the store that forgets one write."""

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            yield Forgetful(store, forgets)

    return opened
