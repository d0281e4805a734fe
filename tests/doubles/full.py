"""A store that has no room for some writes until a test makes some.

Stands for a full disk. Unrealistic: a real one refuses whatever comes, and so does the
server with it; here only the chosen items are refused, so that one move can be held up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.store import Store, StoreTrouble, open_store
from tests.doubles.hands import hand_over


class Room:
    """Whether there is room, and how many writes found none."""

    def __init__(self) -> None:
        self.is_there = False
        self.refused = 0


class _Full:
    def __init__(self, store: Store, picks: Callable[[Any], bool], room: Room) -> None:
        self._store = store
        self._picks = picks
        self._room = room

    async def put(self, item: Any) -> Any:
        return await self.begin(item)

    def begin(self, item: Any) -> asyncio.Future[Any]:
        if self._room.is_there or not self._picks(item):
            return self._store.begin(item)
        self._room.refused += 1
        refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused.set_exception(StoreTrouble("no room", full=True))
        return refused

    def hand(self, item: Any, learn: Callable[[Any], None]) -> None:
        """The same for who needs no future."""
        hand_over(self.begin, item, learn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def full(picks: Callable[[Any], bool], room: Room) -> Any:
    """A way of opening a store that has no room for what is picked."""

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            yield _Full(store, picks, room)

    return opened
