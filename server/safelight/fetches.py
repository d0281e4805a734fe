"""Files that lie at a provider: each is fetched once, whoever announces it first.

Tries again what may pass, with pauses that grow, and counts in the store, so that a restart
gives no file more tries than another. What is told already is not fetched again; two who
announce one file at the same moment wait for one fetch. Knows no media types; the HTTP is
fetching.py's, the keeping artifacts.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.task import Task

from .artifacts import Kept, Wanted
from .fetching import Fetcher, Passing
from .insist import insist, patiently
from .providers.base import Found
from .store import Store, Tried
from .telemetry import log

Name = tuple[str, int, str]
"""Uid, attempt and key."""


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a file is tried, and the pause in seconds after so many tries."""

    most: int = 5
    pause: Callable[[int], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Fetches:
    """Brings files in for tasks; `clock` is in milliseconds since 1970."""

    def __init__(
        self, store: Store, fetcher: Fetcher, tries: Tries, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._tries = tries
        self._clock = clock
        self._under_way: dict[Name, asyncio.Future[None]] = {}
        self._counted = {"fetched": 0, "fetch_faults": 0, "fetches_refused": 0}

    @asynccontextmanager
    async def turn(self, task: Task, key: str) -> AsyncIterator[bool]:
        """Alone with one file until its event is written: True for who is to fetch it, False
        where it was told before. Raises Refused if another has just been refused it."""
        name = (task.uid, task.attempt, key)
        while (ahead := self._under_way.get(name)) is not None:
            if await _has_ended_well(ahead):
                yield False
                return
        done = self._under_way[name] = asyncio.get_running_loop().create_future()
        try:
            told = await insist(lambda: self._store.read.files.fetched(*name))
            yield told is None
        except Refused as refused:
            self._counted["fetches_refused"] += 1
            done.set_exception(refused)
            done.exception()  # nobody may be waiting
            raise
        except BaseException:
            done.cancel()  # who waits takes over
            raise
        else:
            done.set_result(None)
        finally:
            del self._under_way[name]

    async def bring(self, task: Task, found: Found, wanted: Wanted) -> Kept:
        """The file, kept and pinned. Raises Refused when it cannot be had, in the end. A disk
        that is full or ill is waited for."""
        name = (task.uid, task.attempt, found.key)
        tries, error = await insist(lambda: self._store.read.files.tried(*name))
        while tries < self._tries.most:
            try:
                kept = await patiently(lambda: self._fetcher.fetch(found, wanted))
            except Passing as trouble:
                tries, error = tries + 1, str(trouble)
                await self._note(name, tries, error)
            else:
                self._counted["fetched"] += 1
                return kept
            if tries < self._tries.most:
                await self._tries.sleep(self._tries.pause(tries))
        message = f"A file of the result could not be fetched, {tries} times: {error}."
        raise Refused("artifact_unavailable", message)

    def statistics(self) -> dict[str, int]:
        """Fetches under way, files fetched since the start, tries that failed, files given up,
        and requests that were made for them."""
        counted = {"fetches": len(self._under_way), **self._counted}
        return counted | {"fetch_requests": self._fetcher.requests}

    async def _note(self, name: Name, tries: int, error: str) -> None:
        uid, attempt, key = name
        self._counted["fetch_faults"] += 1
        log("fetch.failed", uid=uid, attempt=attempt, key=key, tries=tries, error=error)
        tried = Tried(uid, attempt, key, tries, error, self._clock())
        await insist(lambda: self._store.put(tried))


async def _has_ended_well(ahead: asyncio.Future[None]) -> bool:
    """Wait for who was first; False if that one went without an end. Raises what it got."""
    await asyncio.wait([ahead])
    if ahead.cancelled():
        return False
    ahead.result()
    return True
