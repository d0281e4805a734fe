"""Checkpoints: who makes them, when, and what their trouble does to writes (to nothing)."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import anyio.lowlevel

from safelight.store import Store, open_store
from safelight.store.checkpoints import GROUPS, MEMBERS
from tests.doubles.lives import NOW, fresh
from tests.doubles.sulking import Sulky, always
from tests.doubles.writes import create

TOGETHER = 500
PAGE = 4096


class Watched(Sulky):
    """Connections that fail when told; `seen` lists which one carried out each statement."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, str]] = []

    async def connect(self, path: Path, *, read_only: bool = False) -> Any:
        """A connection whose statements are noted under its place among all."""
        made = await super().connect(path, read_only=read_only)
        place, ask = len(self.made) - 1, made.execute_fetchall

        async def noted(statement: str, values: Any = ()) -> Any:
            self.seen.append((place, statement))
            return await ask(statement, values)

        made.execute_fetchall = noted
        return made

    def checkpoints(self) -> set[int]:
        """The places of the connections that made one."""
        return {place for place, statement in self.seen if "wal_checkpoint" in statement}


async def many(store: Store, first: int, count: int) -> None:
    """So many creates, by the hundred at a time, with a read between."""
    for start in range(first, first + count, TOGETHER):
        names = range(start, min(start + TOGETHER, first + count))
        await asyncio.gather(*(create(store, fresh(f"u{n}")) for n in names))
        await store.read.task("ann", f"u{start}")


async def until_kept(store: Store, times: int) -> None:
    """Return once so many checkpoints were made."""
    async with asyncio.timeout(20):
        while store.statistics()["checkpoints"] < times:
            await anyio.lowlevel.checkpoint()


async def test_only_the_third_connection_makes_checkpoints(tmp_path: Path) -> None:
    """Neither the writer nor the reader makes one, by itself or by a statement."""
    disk = Watched()
    async with open_store(tmp_path, NOW, connect=disk.connect) as store:
        disk.seen.clear()
        await many(store, 0, MEMBERS)
        await until_kept(store, 1)
        assert disk.checkpoints() == {2}
        for connection in disk.made:
            ((pages,),) = await connection.execute_fetchall("PRAGMA wal_autocheckpoint")
            assert pages == 0


async def test_the_log_stays_bounded_however_much_is_written(tmp_path: Path) -> None:
    """A writer that hardly pauses, beside a reader, does not let the log grow: each
    checkpoint leaves nothing behind, so that the log begins anew."""
    wal = tmp_path / "safelight.sqlite3-wal"
    async with open_store(tmp_path, NOW) as store:
        await many(store, 0, MEMBERS)
        await until_kept(store, 1)
        once = wal.stat().st_size
        await many(store, MEMBERS, 4 * MEMBERS)
        await until_kept(store, 5)
        assert wal.stat().st_size < 3 * once


async def test_small_transactions_count_too(tmp_path: Path) -> None:
    """Many groups of one are as much a reason as few of many."""
    async with open_store(tmp_path, NOW) as store:
        for n in range(GROUPS):
            await create(store, fresh(f"u{n}"))
        await until_kept(store, 1)
        assert store.statistics()["log_pages"] > GROUPS


async def test_trouble_of_a_checkpoint_stops_no_write(tmp_path: Path) -> None:
    """While every checkpoint fails all writes succeed; the next one that works brings over
    what was left, on a fresh handle."""
    disk = Watched()
    async with open_store(tmp_path, NOW, connect=disk.connect) as store:
        disk.before = always("wal_checkpoint(PASSIVE)", sqlite3.SQLITE_IOERR)
        await many(store, 0, 2 * MEMBERS)
        assert store.statistics()["checkpoints"] == store.statistics()["reopened"] == 0
        disk.content()
        await many(store, 2 * MEMBERS, MEMBERS)
        await until_kept(store, 1)
        assert len(disk.made) > 3
        assert await store.read.task("ann", "u0") is not None


async def test_trouble_of_the_writer_renews_the_handle_of_checkpoints(tmp_path: Path) -> None:
    """After an I/O error no handle of before it is used again, that one neither."""
    disk = Watched()
    async with open_store(tmp_path, NOW, connect=disk.connect) as store:
        await many(store, 0, MEMBERS)
        await until_kept(store, 1)
        before = list(disk.made)
        failing = [sqlite3.SQLITE_IOERR]
        disk.before = lambda statement: failing.pop() if failing else None
        await asyncio.gather(create(store, fresh("lost")), return_exceptions=True)
        await create(store, fresh("kept"))
        assert store.statistics()["reopened"] == 1
        assert [connection.open for connection in before] == [False] * 3
