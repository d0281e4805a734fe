"""The one writer: everything that waits is written in one transaction.

While a transaction is on its way to the disk, the next batch gathers; that is
the whole of group commit, there is no timer. `put` returns after the commit, so
nothing can be told that a crash could take back. A member of a batch that is
fenced, refused or defect fails alone. A cancelled waiter does not cancel the write:
the statement runs in aiosqlite's thread whatever becomes of the one who waits. After
an I/O error the connection is closed and another opened, never tried again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import aiosqlite

from ..telemetry import log
from . import statements as sql
from .alike import Alike
from .batch import Batch
from .checkpoints import Checkpoints
from .database import Handle, Link, is_ill, scalar, settle
from .records import Fenced, Item, StoreTrouble
from .visit import CHANGED, Visits

DEFECTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)
"""Errors that our own statements cause; all others are the file's or the disk's."""

MAX_BATCH = 512
"""Members of one transaction; from some dozens on the flush that they share costs each of
them next to nothing, and a bound keeps the wait of the first member short."""


Learn = Callable[[Any], None]
"""Hears what an item came to, an exception if nothing was written of it."""

Waiting = tuple[Item, asyncio.Future[Any] | Learn]
"""A member of a group, and who waits for what it comes to."""

TURNS = 8
"""Turns of the event loop in which a group may grow before it is written."""

EMPTY = 16
"""Turns without growth that it may have besides, where many were just answered: their next
requests are on the way, and a turn costs microseconds."""


class Writer:
    """Owns the connection that writes. `run` must be running for `put` to return.

    `on_reopened` is awaited when there is a fresh connection after trouble.
    """

    def __init__(
        self,
        link: Link,
        run: int,
        last_change: int,
        on_reopened: Callable[[], Awaitable[None]],
        checkpoints: Checkpoints,
        on_group: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._link = link
        self._on_reopened = on_reopened
        self._checkpoints = checkpoints
        self._in_doubt = False
        self._alike = Alike()
        self.reopened = 0
        self._run = run
        self._last_change = last_change
        self._on_group = on_group
        self._waiting: list[Waiting] = []
        self._work = asyncio.Event()
        self._telling = 0
        self._closing = False
        self.groups = 0
        self.members = 0

    @property
    def last_change(self) -> int:
        """The position of the newest change that is on disk."""
        return self._last_change

    async def put(self, item: Item) -> Any:
        """Write one item; returns what it came to.

        Raises Fenced, Refused (of a creation) or StoreTrouble.
        """
        return await self.begin(item)

    def begin(self, item: Item) -> asyncio.Future[Any]:
        """What `put` awaits; who gives up waiting does not cancel the write, but hears no
        more of it. Raises StoreTrouble once the store is closed."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.hand(item, future)
        return future

    def hand(self, item: Item, learn: Learn | asyncio.Future[Any]) -> None:
        """The same for who needs no future: `learn` is called in a turn of the loop behind the
        commit, one after another for all of a group. Raises StoreTrouble once it is closed."""
        if self._closing:
            raise StoreTrouble("the store is closed", closed=True)
        self._waiting.append((item, learn))
        if len(self._waiting) == 1:  # otherwise the work is known of
            self._work.set()

    async def run(self) -> None:
        """Write until `close`; whatever waits by then is still written."""
        while not (self._closing and not self._waiting):
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                await self._gather()
                group = self._waiting[:MAX_BATCH]
                del self._waiting[:MAX_BATCH]
                self.groups += 1
                self.members += len(group)
                self._on_group(len(group))
                async with self._checkpoints.turn:
                    await self._write(group)
                self._checkpoints.note(len(group))

    async def _gather(self) -> None:
        """Let come along what is on its way in this very moment: requests that arrive
        together are read in different turns of the loop. Nobody waits for time. Creations of
        the group before are answered in the first turn; were that not waited for, those who
        ask again when they are answered would fall into two groups for ever, each half as
        large."""
        empty = min(self._telling // 4, EMPTY)
        if self._telling:
            self._telling = 0
            await asyncio.sleep(0)
        for _ in range(TURNS + empty):
            waiting = len(self._waiting)
            await asyncio.sleep(0)
            empty -= waiting == len(self._waiting)
            if empty < 0 or len(self._waiting) >= MAX_BATCH:
                break

    def close(self) -> None:
        """Take nothing more. `run` returns once all that waits is written."""
        self._closing = True
        self._work.set()

    async def _write(self, group: list[Waiting]) -> None:
        try:
            outcomes = await self._commit([item for item, _ in group])
        except StoreTrouble as trouble:
            outcomes = [trouble] * len(group)
        except Exception as defect:  # of whatever kind: the writer must outlive it
            if len(group) > 1:  # somebody's in it: half and half, until it is alone
                half = len(group) // 2
                await self._write(group[:half])
                return await self._write(group[half:])
            outcomes = [defect]
        told: list[tuple[Learn, Any]] = []
        for (_, learn), outcome in zip(group, outcomes, strict=True):
            if isinstance(learn, asyncio.Future):
                _settle(learn, outcome)
            else:
                told.append((learn, outcome))
        if told:
            self._telling = len(told)
            asyncio.get_running_loop().call_soon(_tell, told)

    async def _commit(self, items: Sequence[Item]) -> list[Any]:
        connection = await self._ready()
        visits = Visits(connection)
        batch = Batch(visits, self._run, self._last_change, self._alike)
        try:
            visits.later("BEGIN IMMEDIATE")
            outcomes = await batch.write(items)
            await visits.ask(("COMMIT", ()))
        except sqlite3.DatabaseError as error:
            self._alike.forget()
            await _roll_back(connection)
            if isinstance(error, DEFECTS):
                raise
            if visits.failed == CHANGED and _code(error) == sqlite3.SQLITE_ERROR:
                raise Fenced("the task has moved") from None
            unknown = visits.failed == "COMMIT"
            if is_ill(error):
                await self._doubt(error)
            elif unknown:
                with suppress(sqlite3.DatabaseError):
                    unknown = await self._is_done(connection, batch)
                    if unknown:
                        self._last_change = batch.last_change
                        return outcomes
            raise _trouble(error, unknown=unknown) from error
        except BaseException:
            self._alike.forget()
            await _roll_back(connection)
            raise
        self._last_change = batch.last_change
        return outcomes

    async def _is_done(self, connection: Handle, batch: Batch) -> bool:
        """Whether a commit that failed for want of room is there all the same. SQLite takes
        it back; a task that was there, and refused, would wait for nobody."""
        if batch.last_change == self._last_change:
            return False
        return int(await scalar(connection, sql.LAST_CHANGE)) == batch.last_change

    async def _ready(self) -> Handle:
        """A connection that may be trusted. Raises StoreTrouble while there is none."""
        try:
            if self._in_doubt:
                await self._begin_anew()
            return await self._link.get()
        except (sqlite3.DatabaseError, OSError) as error:
            raise _trouble(error, unknown=False) from error

    async def _begin_anew(self) -> None:
        """Replace a handle that met trouble, and be sure of what is on disk."""
        await self._link.renew(await self._link.get())
        connection = await self._link.get()
        await settle(connection)
        # The commit that failed may have happened: its positions are not given twice.
        self._last_change = int(await scalar(connection, sql.LAST_CHANGE))
        await self._on_reopened()
        self._in_doubt = False
        self.reopened += 1
        log("store.reopened")

    async def _doubt(self, error: Exception) -> None:
        """Begin anew at once if that can be: while the last frames of the old handle lie in
        the log, a crash could bring back what is being refused."""
        log("store.ill", error=str(error))
        self._in_doubt = True
        with suppress(StoreTrouble):
            await self._ready()


async def _roll_back(connection: aiosqlite.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.OperationalError):
            # SQLite may have rolled back by itself (disk full, I/O error): nothing to undo.
            await connection.execute_fetchall("ROLLBACK")


def _tell(told: list[tuple[Learn, Any]]) -> None:
    """One who fails keeps nobody else from hearing."""
    for learn, outcome in told:
        try:
            learn(outcome)
        except Exception as defect:
            trouble = {"message": "told of a commit", "exception": defect}
            asyncio.get_running_loop().call_exception_handler(trouble)


def _settle(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():  # its waiter was cancelled; what it asked for is written
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _trouble(error: Exception, *, unknown: bool) -> StoreTrouble:
    full = _code(error) == sqlite3.SQLITE_FULL
    return StoreTrouble(f"the database cannot be written: {error}", full=full, unknown=unknown)


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
