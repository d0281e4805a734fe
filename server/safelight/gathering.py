"""Text that is written word by word, gathered into events of the task.

A model tells its words one by one, dozens a second; each event costs a commit and a frame
for every follower. The first piece is told at once, and whatever comes within a moment
after that is told together. Nothing is told out of order, and whoever writes faster than
the disk is made to wait. Knows neither providers nor tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .insist import finish

GATHER_SECONDS = 0.05
"""Between two events of text: at most 20 a second."""

MOST = 32 * 1024
"""Characters that may wait to be told."""


class Gathering:
    """The text of one prediction on its way to the log; `tell` returns when it is there."""

    def __init__(
        self, tell: Callable[[str], Awaitable[None]], seconds: float = GATHER_SECONDS
    ) -> None:
        self._tell = tell
        self._seconds = seconds
        self._parts: list[str] = []
        self._size = 0
        self._told_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn = asyncio.Lock()
        self._trouble: BaseException | None = None

    @property
    def waiting(self) -> bool:
        """Whether anything is not on disk yet, or will never be."""
        return bool(self._parts) or self._turn.locked() or self._trouble is not None

    async def add(self, text: str) -> None:
        """Tell it now, or with what comes in the next moment. Raises what `tell` raised, also
        of an earlier piece."""
        self._raise()
        if not text:
            return
        self._parts.append(text)
        self._size += len(text)
        loop = asyncio.get_running_loop()
        wait = 0.0 if self._told_at is None else self._told_at + self._seconds - loop.time()
        if wait <= 0 or self._size >= MOST:
            await self.flush()
        elif self._timer is None:
            self._timer = loop.call_later(wait, self._begin)

    async def flush(self) -> None:
        """Tell all that waits, and return when it is told. Raises as `add` does."""
        self.close()
        async with self._turn:
            self._raise()
            text, self._parts, self._size = "".join(self._parts), [], 0
            if text:
                self._told_at = asyncio.get_running_loop().time()
                await self._tell(text)

    def close(self) -> None:
        """Tell nothing more by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        finish(self.flush(), self._note)

    def _note(self, trouble: object) -> None:
        if isinstance(trouble, BaseException):
            self._trouble = trouble

    def _raise(self) -> None:
        if self._trouble is not None:
            raise self._trouble
