"""A store that writes and then does not know whether it has: a commit whose end is lost.

Stands for an I/O error that comes back from COMMIT although the frames were on disk.
Unrealistic: the database itself stays well, and can be read at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.store import Change, Creation, Removal, Store, StoreTrouble, open_store
from tests.doubles.hands import hand_over

Item = Change | Creation | Removal


class Forgetful:
    """The first write for which `forgets` says so is answered with `error`; whether it was
    done all the same is for `writes` to say. The `ill` writes after it come to nothing."""

    def __init__(
        self,
        store: Store,
        forgets: Callable[[Item], bool],
        writes: bool,
        error: Exception,
        ill: int,
    ) -> None:
        self._store = store
        self._forgets = forgets
        self._writes = writes
        self._error = error
        self._ill = ill
        self.forgot = 0

    async def put(self, item: Item) -> Any:
        """Write, and perhaps forget."""
        if self.forgot and self._ill:
            self._ill -= 1
            raise StoreTrouble("still ill")
        forgets = self.forgot == 0 and self._forgets(item)
        outcome = await self._store.put(item) if self._writes or not forgets else None
        if forgets:
            self.forgot += 1
            raise self._error
        return outcome

    def begin(self, item: Item) -> asyncio.Future[Any]:
        """The same for who does not wait."""
        return asyncio.ensure_future(self.put(item))

    def hand(self, item: Any, learn: Callable[[Any], None]) -> None:
        """The same for who needs no future."""
        hand_over(self.begin, item, learn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


UNLEARNT = StoreTrouble("the end of a commit was not learnt", unknown=True)


def forgetful(
    forgets: Callable[[Item], bool],
    *,
    writes: bool = True,
    error: Exception = UNLEARNT,
    ill: int = 0,
) -> Any:
    """A way of opening the store that forgets one write."""

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            yield Forgetful(store, forgets, writes, error, ill)

    return opened
