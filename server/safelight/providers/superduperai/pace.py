"""How long things may take with SuperDuperAI, and how waiting is done.

Every wait of the adapter goes through `Pace`, so that a test can hand in another sleep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import msgspec


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, all of them.

    A file is asked for after `poll`, then ever more seldom up to `poll_most`, whatever its
    channel says; a channel that was lost is opened again after `reopen`, doubled up to
    `reopen_most`. `settle` is how long a create may still be on its way to a list that does
    not show it. What there is to choose from is asked for again after `fresh`.
    """

    poll: float = 1.5
    poll_most: float = 10.0
    reopen: float = 0.5
    reopen_most: float = 30.0
    settle: float = 5.0
    fresh: float = 600.0


class Pace:
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
