"""The database file: its lock, its settings, its migrations.

One process per data directory: an advisory lock on `lock` is held as long as the
process lives, and a second one is refused by name. `synchronous=FULL` is not a
setting: under NORMAL a power cut takes back what clients were told. A handle that
met trouble with the disk is not used again: `Link` puts another in its place.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import IO, Any

import aiosqlite

from .visit import Rows, Statement

CACHE_KIB = 32 * 1024
"""Memory for pages of the file, of each connection, taken as it is needed. SQLite's default
of 2 MiB is less than the indexes of a hundred thousand tasks."""

ILL = frozenset(
    (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    )
)
"""Errors after which a handle is closed: what it holds in memory may not be what is on
disk. A full disk is none of them; there the same handle goes on once there is room."""

Connect = Callable[[], Awaitable["Handle"]]


class DataDirectoryBusy(Exception):
    """Another process holds the data directory."""


class DatabaseTooNew(Exception):
    """The database was written by a later version than this one."""


def lock_directory(directory: Path) -> IO[str]:
    """Take the data directory for this process; closing the file gives it back.

    Raises DataDirectoryBusy, naming the holder's process id.
    """
    directory.mkdir(parents=True, exist_ok=True)
    held = open(directory / "lock", "a+", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.seek(0)
        holder = held.read().strip() or "unknown"
        held.close()
        raise DataDirectoryBusy(
            f"data directory {directory} is in use by process {holder}; "
            "stop it, or start with another --data-dir"
        ) from None
    held.seek(0)
    held.truncate()
    held.write(f"{os.getpid()}\n")
    held.flush()
    return held


class Handle(aiosqlite.Connection):
    """A connection whose thread also takes several statements in one visit.

    Leans on `_execute`, by which aiosqlite's own methods enter the thread; a test holds
    it to that (tests/server/store/test_sqlite_files.py).
    """

    async def execute_all(self, statements: Sequence[Statement], done: list[Rows]) -> None:
        """One statement after another; the rows of each are appended to `done`."""
        await self._execute(self._carry_out, statements, done)  # type: ignore[no-untyped-call]

    def _carry_out(self, statements: Sequence[Statement], done: list[Rows]) -> None:
        execute = self._conn.execute
        for statement, bound in statements:
            done.append(execute(statement, bound).fetchall())


async def connect(path: Path, *, read_only: bool = False) -> Handle:
    """A connection in autocommit mode: transactions are begun by hand, and nothing of it
    makes a checkpoint by itself (see checkpoint.py)."""
    connection = Handle(
        lambda: sqlite3.connect(str(path), isolation_level=None, cached_statements=256), 64
    )
    await connection
    try:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=5000",
            "wal_autocheckpoint=0",
            f"cache_size=-{CACHE_KIB}",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
    except BaseException:
        await connection.close()  # else its thread would keep the process alive
        raise
    connection.row_factory = sqlite3.Row
    return connection


def is_ill(error: BaseException) -> bool:
    """Whether the handle that met this error must not be used again."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in ILL


class Link:
    """One connection: opened when it is first asked for, replaced after trouble."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._opening: asyncio.Future[Handle] | None = None
        self._renewing: asyncio.Future[None] | None = None
        self._closed = False

    async def get(self) -> Handle:
        """The open connection. Whoever stops waiting does not stop the opening.

        Raises what opening it raised; the next call tries again. ValueError once closed.
        """
        if self._closed:
            raise ValueError("the database is closed")
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._connect())
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except Exception:
            if self._opening is opening:
                self._opening = None
            raise

    async def renew(self, old: Handle) -> None:
        """Put another connection in the place of `old`, unless somebody just has.

        The old one is closed after the new one is open: were the file without any handle,
        whoever opens it next would have to guess from its log what was committed. Raises
        what opening raised; then `old` stays.
        """
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.ensure_future(self._renew(old))
        await asyncio.shield(self._renewing)

    async def _renew(self, old: Handle) -> None:
        if await self.get() is not old:
            return
        fresh = await self._connect()
        self._opening = asyncio.get_running_loop().create_future()
        self._opening.set_result(fresh)
        await _close(old)

    async def close(self) -> None:
        """Close what is open, for good."""
        self._closed = True
        if self._renewing is not None:
            await asyncio.wait([self._renewing])
        if self._opening is not None:
            await asyncio.wait([self._opening])
            if self._opening.exception() is None:
                await _close(self._opening.result())


async def _close(connection: aiosqlite.Connection) -> None:
    with suppress(sqlite3.Error):  # the disk may be ill still; the handle is gone all the same
        await connection.close()


async def settle(connection: aiosqlite.Connection) -> None:
    """Bring all that is committed into the database file, and empty the log beside it.

    After a failed fsync the log may hold bytes that only memory has, and the frames of
    a transaction that was given up, which a crash would bring back.
    """
    await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")


async def migrate(connection: aiosqlite.Connection) -> None:
    """Bring the schema up to date by the files in the order of their names: a database with
    tasks in it one file a transaction, a new one in a single transaction.

    Raises DatabaseTooNew when the file knows more migrations than we do.
    """
    files = _migrations()
    version = await scalar(connection, "PRAGMA user_version")
    if version > len(files):
        raise DatabaseTooNew(
            f"the database has schema {version}, this version knows {len(files)}; "
            "start it with the version that wrote it, or restore a backup"
        )
    steps = list(enumerate(files, start=1))[version:]
    for together in [[step] for step in steps] if version else [steps]:
        await connection.executescript(_script(together))


async def open_log(connection: aiosqlite.Connection, now: int, position: int) -> tuple[int, str]:
    """Begin this start's log after the change `position`; returns its run and its id."""
    log = secrets.token_hex(6)
    run = await scalar(
        connection,
        "INSERT INTO logs (run, id, started_at, position) "
        "VALUES ((SELECT coalesce(max(run), 0) + 1 FROM logs), ?, ?, ?) RETURNING run",
        (log, now, position),
    )
    return int(run), log


async def scalar(
    connection: aiosqlite.Connection, sql: str, parameters: tuple[Any, ...] = ()
) -> Any:
    """The first column of the first row, or None."""
    rows = list(await connection.execute_fetchall(sql, parameters))
    return rows[0][0] if rows else None


def _script(steps: Sequence[tuple[int, str]]) -> str:
    lines = [line for number, sql in steps for line in (sql, f"PRAGMA user_version={number};")]
    return "\n".join(["BEGIN IMMEDIATE;", *lines, "COMMIT;"])


def _migrations() -> list[str]:
    folder = resources.files(__package__) / "migrations"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [f.read_text(encoding="utf-8") for f in found]
