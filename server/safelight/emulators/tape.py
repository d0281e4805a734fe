"""What a run has told so far, for any number of listeners, now or later.

A run tells its events to a tape and nobody else, so that it goes on by itself when whoever
asked for it has gone, and may be listened to again from any place. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Tape(Generic[Event]):
    """Events in their order. Nothing is told behind the end."""

    def __init__(self) -> None:
        self._told: list[Event] = []
        self._over = asyncio.Event()
        self._news = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether there will be no more."""
        return self._over.is_set()

    def __len__(self) -> int:
        return len(self._told)

    def tell(self, event: Event) -> None:
        """One more."""
        self._told.append(event)
        self._wake()

    def end(self) -> None:
        """That was all; safe to repeat."""
        self._over.set()
        self._wake()

    def forget(self) -> None:
        """Keep none of what was told: nobody will listen from the beginning again."""
        self._told = []

    async def wait_over(self) -> None:
        """Until the end."""
        await self._over.wait()

    async def read(self, start: int = 0) -> AsyncIterator[Event]:
        """From the event at `start` to the end, as they come."""
        at = start
        while True:
            news = self._news
            while at < len(self._told):
                yield self._told[at]
                at += 1
            if self._over.is_set():
                return
            await news.wait()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
