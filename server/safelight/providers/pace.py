"""How waiting is done where a provider is asked again and again: by a sleep that is handed in.

So a test can hand in another. Holds the seconds of its provider, which says what they mean,
and knows nothing of what is waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

Timings = TypeVar("Timings")

MOST_GROWN = 60
"""After so many times no pause grows any more: what it comes to stays a number."""


def grown(first: float, most: float, count: int, factor: float = 2.0) -> float:
    """The pause after so many in vain: `first` seconds, `factor` times as long each time, and
    never more than `most`."""
    return min(first * factor ** min(count, MOST_GROWN), most)


MISSED = 2
"""Questions in a row without an answer before it is told: one is a moment's trouble."""


def away(name: str, troubles: int) -> str | None:
    """What is told of a run whose provider cannot be asked, so often in a row; None as long
    as that is nobody's business."""
    return f"no word from {name}, which is asked again" if troubles >= MISSED else None


class Pace(Generic[Timings]):
    """Waits, by a sleep that is handed in."""

    def __init__(self, timings: Timings, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.timings = timings
        self.sleep = sleep

    async def wait(self, event: anyio.Event, seconds: float) -> bool:
        """Whether the event was set before the time was up."""
        if event.is_set():
            return True
        async with anyio.create_task_group() as group:

            async def end() -> None:
                await self.sleep(seconds)
                group.cancel_scope.cancel()

            group.start_soon(end)
            await event.wait()
            group.cancel_scope.cancel()
        return event.is_set()
