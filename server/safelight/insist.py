"""Work that must come to its end: whoever asked for it may go, the store may be ill.

`see_through` outlives its caller; `insist` outlives trouble of the store as well. Used
around everything that changes a task, since a change that was begun has half happened.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from .store import StoreTrouble
from .telemetry import log

T = TypeVar("T")

PAUSES_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Between tries while the store is in trouble; the last one repeats."""

_under_way: set[asyncio.Future[Any]] = set()
"""asyncio keeps only weak references to tasks; what nobody awaits any more lives here."""


async def see_through(work: Awaitable[T]) -> T:
    """Await work that goes on to its end even if the one who awaits it is cancelled."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return await asyncio.shield(task)


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """Do what has to be done, again and again while the store is in trouble."""
    for tries in itertools.count():
        try:
            return await see_through(work())
        except StoreTrouble as trouble:
            log("store.trouble", error=str(trouble), tries=tries + 1)
            await anyio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])
    raise AssertionError("there is always a next try")
