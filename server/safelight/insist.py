"""Work that must come to its end: whoever asked for it may go, the store may be ill.

`see_through` outlives its caller, and so does what `go_on` starts; `insist` outlives trouble
of the store as well. Used around everything that changes a task, since a change that was
begun has half happened.
`patiently` waits out trouble of the disk, and ends with the one who waits.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal, TypeVar

import anyio

from safelight_protocol.codes import Refused

from .telemetry import log

T = TypeVar("T")

PAUSES_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Between tries while the disk is in trouble; the last one repeats."""

PASSING = frozenset({"storage_full", "unavailable"})
"""The codes of a disk that is full or ill. Both may pass, and nothing was written."""

_under_way: set[asyncio.Future[Any]] = set()
"""asyncio keeps only weak references to tasks; what nobody awaits any more lives here."""


async def see_through(work: Awaitable[T]) -> T:
    """Await work that goes on to its end even if the one who awaits it is cancelled."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_note_unheard)
        raise


def go_on(work: Awaitable[None], heard: asyncio.Future[None]) -> None:
    """Do work that nobody may be waiting for any more, in a task of its own, and `hear` of
    its end."""
    finish(work, partial(hear, heard))


def finish(work: Awaitable[T], tell: Callable[[T | BaseException], None]) -> None:
    """Do work that nobody awaits, in a task of its own, and tell what it came to."""
    task = asyncio.ensure_future(work)
    _under_way.add(task)

    def end(task: asyncio.Future[T]) -> None:
        _under_way.discard(task)
        trouble = asyncio.CancelledError() if task.cancelled() else task.exception()
        tell(task.result() if trouble is None else trouble)

    task.add_done_callback(end)


def hear(heard: asyncio.Future[None], trouble: BaseException | None = None) -> None:
    """Tell whoever still awaits `heard` that the work has ended, and how."""
    if heard.done():
        if isinstance(trouble, Exception):
            log("work.unheard", exc=trouble)
    elif trouble is None:
        heard.set_result(None)
    elif isinstance(trouble, asyncio.CancelledError):
        heard.cancel()
    else:
        heard.set_exception(trouble)


def _note_unheard(task: asyncio.Future[Any]) -> None:
    trouble = None if task.cancelled() else task.exception()
    if trouble is not None:
        log("work.unheard", exc=trouble)


async def insist(work: Callable[[], Awaitable[T]]) -> T:
    """Do what has to be done, again and again while the store is in trouble."""
    return await patiently(lambda: see_through(work()), told="store.trouble")


async def patiently(
    work: Callable[[], Awaitable[T]],
    told: Literal["store.trouble", "artifact.trouble"] = "artifact.trouble",
) -> T:
    """Try again while the disk is full or ill; every other refusal is raised.

    A cancel reaches the work and ends the waiting.
    """
    for tries in itertools.count():
        try:
            return await work()
        except Refused as trouble:
            if trouble.code.name not in PASSING:
                raise
            log(told, error=str(trouble), tries=tries + 1)
            await breathe(tries)
    raise AssertionError("there is always a next try")


async def breathe(tries: int) -> None:
    """Pause after so many tries that came before this one."""
    await anyio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])
