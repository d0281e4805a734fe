"""Waiting for something to be so, by turns of the loop and never by the clock.

For what nobody tells: a file that appears, a number that a part counts. What is told is
waited for where it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.doubles.served import PATIENCE


async def until(holds: Callable[[], object]) -> None:
    """Return once it holds; looked at in every turn of the loop, for PATIENCE seconds at most."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)
