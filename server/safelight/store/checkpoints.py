"""Brings what is committed from the log beside the database into the database file.

On a connection and in a thread of its own, so that no commit pays for it. First all but
the newest is brought over while the writer writes on; the small rest is brought over in a
pause between two of its groups: only a log of which nothing is left begins anew, and a
writer that never pauses would let it grow for ever. Trouble here loses nothing and stops
nobody: the log keeps what it has until the next try.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ..telemetry import log
from .database import Link, is_ill

MEMBERS = 2_000
"""Writes after which it is time. A create takes about two pages of the log (of 4 KiB), so
the file beside the database stays near 16 MiB; longer texts make it so much longer."""

GROUPS = 256
"""Transactions after which it is time: a small one takes five to ten pages."""

CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"

TROUBLE = (sqlite3.Error, ValueError, OSError)
"""ValueError: the handle was closed under us, since another was put in its place."""


class Checkpoints:
    """`run` must be running. `turn` is held by whoever keeps the others from writing."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._work = asyncio.Event()
        self._closing = False
        self._members = 0
        self._groups = 0
        self.turn = asyncio.Lock()
        self.done = 0
        self.pages = 0

    def note(self, members: int) -> None:
        """A group of so many writes is on disk."""
        self._members += members
        self._groups += 1
        if self._members >= MEMBERS or self._groups >= GROUPS:
            self._members = self._groups = 0
            self._work.set()

    async def renew(self) -> None:
        """Work with a fresh handle from now on; the disk was in trouble."""
        if self.done:
            await self._link.renew(await self._link.get())

    async def run(self) -> None:
        """Bring over what there is, each time that it is enough, until `close`."""
        while True:
            await self._work.wait()
            self._work.clear()
            if self._closing:
                return
            try:
                if await self._bring() > 0:
                    async with self.turn:
                        await self._bring()
            except TROUBLE as trouble:
                await self._leave(trouble)
            except Exception as defect:  # the log must not grow for ever for it
                log("store.behind", error=repr(defect))

    def close(self) -> None:
        """`run` returns once what it does is done; what is left is for the last handle."""
        self._closing = True
        self._work.set()

    async def _bring(self) -> int:
        """How many pages are left behind."""
        connection = await self._link.get()
        ((_, pages, brought),) = await connection.execute_fetchall(CHECKPOINT)
        self.pages = pages
        self.done += 1
        return int(pages - brought)

    async def _leave(self, trouble: Exception) -> None:
        log("store.behind", error=str(trouble))
        if is_ill(trouble):
            with suppress(*TROUBLE):
                await self._link.renew(await self._link.get())


@asynccontextmanager
async def running(checkpoints: Checkpoints) -> AsyncIterator[None]:
    """Run it in a task of its own."""
    task = asyncio.create_task(checkpoints.run(), name="store checkpoints")
    try:
        yield
    finally:
        checkpoints.close()
        await task
