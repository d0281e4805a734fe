"""How waiting is done where a provider is asked again and again: by a sleep that is handed in.

So a test can hand in another. Holds the seconds of its provider, which says what they mean,
and knows nothing of what is waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

Timings = TypeVar("Timings")


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
