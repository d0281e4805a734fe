"""Time that a test moves on by itself, for the limits of connections.

`advance` fires what is due, in order, at its own moment. The server runs in the test's
loop, so before time moves on the test waits until the server has noticed what was sent:
it has then looked at the clock, or begun a timer, or called one off. Unrealistic: no time
passes while anything is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.doubles.served import PATIENCE


class ManualTimer:
    """A timer of this clock, until it fires or is called off."""

    def __init__(self, clock: ManualClock, delay: float, call: Callable[[], object]) -> None:
        self.delay, self.due = delay, clock.now + delay
        self.call = call
        self._clock = clock

    def cancel(self) -> None:
        """It will not fire."""
        self._clock.forget(self)


class ManualClock:
    """A clock that stands still. `looks` counts how often it was asked for the time, `begun`
    how many timers it was given; `running` are those that are neither over nor called off."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = 0
        self.begun = 0
        self.running: list[ManualTimer] = []
        self._used = asyncio.Event()

    def time(self) -> float:
        """The same, until it is moved on."""
        self.looks += 1
        self._used.set()
        return self.now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> ManualTimer:
        """Fire once time has been moved on so far."""
        timer = ManualTimer(self, delay, lambda: callback(*args))
        self.begun += 1
        self.running.append(timer)
        self._used.set()
        return timer

    def forget(self, timer: ManualTimer) -> None:
        """It fires no more; nothing happens when it is over already."""
        if timer in self.running:
            self.running.remove(timer)
            self._used.set()

    def advance(self, seconds: float) -> None:
        """Move time on; what becomes due meanwhile fires at its moment, the earliest first,
        and of those with one moment whichever began first."""
        end = self.now + seconds
        while due := [timer for timer in self.running if timer.due <= end]:
            first = min(due, key=lambda timer: timer.due)
            self.now = first.due
            self.forget(first)
            first.call()
        self.now = end

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that changes only where this clock is used."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._used.clear()
                await self._used.wait()

    async def until_runs(self, delay: float) -> None:
        """Wait until a timer over so many seconds runs."""
        await self.until(lambda: any(timer.delay == delay for timer in self.running))

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """What is sent inside has made the server look at the clock, at the end of it."""
        looks = self.looks
        yield
        await self.until(lambda: self.looks > looks)
