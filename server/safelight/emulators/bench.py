"""What an emulator stands on: its log, its faults, its pace, its clock and its chance.

One bench per process; an emulator keeps all other state itself. Work that goes on after an
answer (a run, calls of a webhook) is given to `background`, which ends it with the server.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from .faults import Faults
from .runs import RunLog

KEY = "emulated"
"""The key that is taken unless another was given."""


class Bench:
    """`pace` is how many seconds one step of a run takes: a percent that is told, a piece of
    text, a partial picture. `key` is the only one that is let in, until it
    is changed. `address` is there once the server listens; addresses in answers begin with it."""

    def __init__(
        self,
        *,
        log: RunLog,
        faults: Faults,
        key: str = KEY,
        pace: float = 0.1,
        seed: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.log = log
        self.faults = faults
        self.key = key
        self.pace = pace
        self.random = random.Random(secrets.randbits(64) if seed is None else seed)
        self.sleep = sleep
        self.address = ""
        self._clock = clock
        self._ahead = 0.0
        self._works: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """Seconds of the epoch by the emulator's clock, which `forward` moves."""
        return self._clock() + self._ahead

    def forward(self, seconds: float) -> None:
        """Move the clock, for what a provider forgets after hours."""
        self._ahead += seconds

    async def step(self, steps: float = 1.0) -> None:
        """Wait as long as that many steps take; gives way even when they take no time."""
        await self.sleep(self.pace * steps)

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do this beside everything else, until it ends or the server does."""
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._done)
        return task

    async def stop(self) -> None:
        """End what goes on in the background."""
        for task in self._works:
            task.cancel()
        await asyncio.gather(*self._works, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._works.discard(task)
        if not task.cancelled() and (trouble := task.exception()) is not None:
            self.log.event("trouble", error=repr(trouble))
            print(f"the emulator itself failed: {trouble!r}", file=sys.stderr)
