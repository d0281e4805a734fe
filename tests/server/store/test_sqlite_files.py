"""The database file: whose it is, what version it has, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosqlite import Connection

from safelight.store import DatabaseTooNew, DataDirectoryBusy, database, open_store
from tests.doubles.lives import NOW, fresh
from tests.doubles.writes import create, written

ROOT = Path(__file__).parents[3]
OPEN = "import asyncio, sys, pathlib\nfrom safelight.store import open_store\n" + (
    "async def main():\n"
    "    async with open_store(pathlib.Path(sys.argv[1]), 0) as store:\n"
    "        print('run', store.run)\n"
    "asyncio.run(main())"
)
"""A process that opens the store, says its run, and ends."""


def second(directory: Path) -> subprocess.CompletedProcess[str]:
    """What becomes of another process that opens the directory."""
    command = [sys.executable, "-c", OPEN, str(directory)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """It is told the directory, who holds it and what to do; afterwards it may have it."""
    async with open_store(tmp_path, NOW) as store:
        refused = second(tmp_path)
        assert refused.returncode != 0
        message = refused.stderr.splitlines()[-1]
        assert "DataDirectoryBusy" in message and str(tmp_path) in message
        assert f"process {os.getpid()};" in message and "--data-dir" in message
        assert (await create(store)).seq == 1
    assert second(tmp_path).stdout == "run 2\n"


async def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    """Two stores in one process would be two writers as well."""
    async with open_store(tmp_path, NOW):
        with pytest.raises(DataDirectoryBusy):
            async with open_store(tmp_path, NOW):
                pass
    async with open_store(tmp_path, NOW) as store:
        assert store.run == 2


async def test_a_directory_is_made(tmp_path: Path) -> None:
    """However deep: an empty machine needs no preparation."""
    async with open_store(tmp_path / "a" / "b", NOW) as store:
        assert store.position == 0 and await store.read.live() == []
    assert (tmp_path / "a" / "b" / "safelight.sqlite3").exists()


async def test_migrations_run_once(tmp_path: Path) -> None:
    """From nothing all of them; on a file that has them, none, and nothing is lost."""
    async with open_store(tmp_path, NOW) as store:
        await written(store)
    names = sorted((ROOT / "server/safelight/store/migrations").glob("*.sql"))
    with sqlite3.connect(tmp_path / "safelight.sqlite3") as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (len(names),)
    plain.close()
    async with open_store(tmp_path, NOW) as store:
        assert [task.uid for task in await store.read.live()] == ["u1"]


@pytest.mark.parametrize("table", ["events", "deliveries"], ids=["the first", "the twelfth"])
async def test_a_broken_migration_changes_nothing(table: str, tmp_path: Path) -> None:
    """A migration that meets what it did not expect leaves the file as it found it, and so do
    those before it where the file was new."""
    plain = sqlite3.connect(tmp_path / "safelight.sqlite3")
    plain.execute(f"CREATE TABLE {table} (strange TEXT)")
    plain.close()
    with pytest.raises(sqlite3.OperationalError, match=table):
        async with open_store(tmp_path, NOW):
            pass
    plain = sqlite3.connect(tmp_path / "safelight.sqlite3")
    assert plain.execute("SELECT name FROM sqlite_master").fetchall() == [(table,)]
    assert plain.execute("PRAGMA user_version").fetchone() == (0,)
    plain.close()


async def test_an_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    """A database of an earlier version gets what it lacks, a file a transaction."""
    files = sorted((ROOT / "server/safelight/store/migrations").glob("*.sql"))
    plain = sqlite3.connect(tmp_path / "safelight.sqlite3")
    for file in files[:3]:
        plain.executescript(file.read_text())
    plain.execute("PRAGMA user_version=3")
    plain.execute("CREATE TABLE deliveries (strange TEXT)")
    plain.close()
    with pytest.raises(sqlite3.OperationalError, match="deliveries"):
        async with open_store(tmp_path, NOW):
            pass
    plain = sqlite3.connect(tmp_path / "safelight.sqlite3")
    assert plain.execute("PRAGMA user_version").fetchone() == (11,)
    plain.execute("DROP TABLE deliveries")
    plain.close()
    async with open_store(tmp_path, NOW) as store:
        assert await store.read.live() == []
    with sqlite3.connect(tmp_path / "safelight.sqlite3") as plain:
        assert plain.execute("PRAGMA user_version").fetchone() == (len(files),)
    plain.close()


async def test_a_later_version_is_not_touched(tmp_path: Path) -> None:
    """A file that knows more migrations than we do is refused, and the directory given back."""
    async with open_store(tmp_path, NOW):
        pass
    plain = sqlite3.connect(tmp_path / "safelight.sqlite3")
    (version,) = plain.execute("PRAGMA user_version").fetchone()
    plain.execute("PRAGMA user_version=99")
    before = list(plain.iterdump())
    with pytest.raises(DatabaseTooNew, match="schema 99, this version knows"):
        async with open_store(tmp_path, NOW):
            pass
    assert list(plain.iterdump()) == before
    plain.execute(f"PRAGMA user_version={version}")
    plain.close()
    async with open_store(tmp_path, NOW) as store:
        assert store.run == 2


def assert_ended(threads: set[threading.Thread]) -> None:
    """A thread says that it is done before it ends: it may need another moment."""
    for thread in threads:
        thread.join(timeout=5)
        assert not thread.is_alive()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is left as it is, no thread stays behind, and the directory is given back."""
    path = tmp_path / "safelight.sqlite3"
    path.write_bytes(b"not a database" * 100)
    before = set(threading.enumerate())
    for _ in range(2):
        with pytest.raises(sqlite3.DatabaseError, match="not a database"):
            async with open_store(tmp_path, NOW):
                pass
    assert_ended(set(threading.enumerate()) - before)
    assert path.read_bytes() == b"not a database" * 100


async def test_a_store_leaves_no_thread(tmp_path: Path) -> None:
    """After it is closed nothing runs on, and the log is in the file itself."""
    before = set(threading.enumerate())
    async with open_store(tmp_path, NOW) as store:
        await create(store)
    assert_ended(set(threading.enumerate()) - before)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lock", "safelight.sqlite3"]


@asynccontextmanager
async def connected(path: Path, *, read_only: bool = False) -> AsyncIterator[Connection]:
    """A connection as the store makes it; its thread ends with it."""
    connection = await database.connect(path, read_only=read_only)
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    """Connections write ahead and wait for the disk; the one that reads cannot write."""
    path = tmp_path / "x.sqlite3"
    async with (
        connected(path) as writing,
        connected(path, read_only=True) as reading,
    ):
        for connection in (writing, reading):
            assert await database.scalar(connection, "PRAGMA journal_mode") == "wal"
            assert await database.scalar(connection, "PRAGMA synchronous") == 2  # FULL
        await database.scalar(writing, "CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await database.scalar(reading, "INSERT INTO t VALUES (1)")


async def test_the_size_of_every_group_is_told(tmp_path: Path) -> None:
    """Whoever opens the store can count its transactions and their members."""
    sizes: list[int] = []
    async with open_store(tmp_path, NOW, sizes.append) as store:
        await written(store)
        await create(store, fresh("u2"))
        assert sizes == [1, 1]
        told = store.statistics()
        assert (told["groups"], told["members"], told["reopened"]) == (2, 2, 0)
