"""Waiting for something to be so, by turns of the loop and never by the clock.

For what nobody tells: a file that appears, a number that a part counts. What is told is
waited for where it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.doubles.served import PATIENCE


async def until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once it holds; looked at in every turn of the loop, for so many seconds at most.
    Takes a whole core meanwhile, so it is for what happens in this process and soon."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)
