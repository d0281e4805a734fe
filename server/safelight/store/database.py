"""The database file: its lock, its settings, its migrations.

One process per data directory: an advisory lock on `lock` is held as long as the
process lives, and a second one is refused by name. `synchronous=FULL` is not a
setting: under NORMAL a power cut takes back what clients were told.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from importlib import resources
from pathlib import Path
from typing import IO, Any

import aiosqlite

CHECKPOINT_PAGES = 4_000
"""Pages of the write-ahead log between checkpoints (16 MiB): SQLite's default of
1,000 makes every few hundred commits pay for one."""


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


async def connect(path: Path, *, read_only: bool = False) -> aiosqlite.Connection:
    """A connection in autocommit mode: transactions are begun by hand."""
    connection = await aiosqlite.connect(path, isolation_level=None, cached_statements=256)
    try:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=5000",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            await connection.execute_fetchall(f"PRAGMA {pragma}")
    except BaseException:
        await connection.close()  # else its thread would keep the process alive
        raise
    connection.row_factory = sqlite3.Row
    return connection


async def migrate(connection: aiosqlite.Connection) -> None:
    """Bring the schema up to date, one file a transaction, in the order of their names.

    Raises DatabaseTooNew when the file knows more migrations than we do.
    """
    files = _migrations()
    version = await scalar(connection, "PRAGMA user_version")
    if version > len(files):
        raise DatabaseTooNew(
            f"the database has schema {version}, this version knows {len(files)}; "
            "start it with the version that wrote it, or restore a backup"
        )
    for number, sql in enumerate(files[version:], start=version + 1):
        await connection.executescript(
            f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version={number};\nCOMMIT;"
        )


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


def _migrations() -> list[str]:
    folder = resources.files(__package__) / "migrations"
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [f.read_text(encoding="utf-8") for f in found]
