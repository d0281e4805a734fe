"""What SQLite must not lose: a process killed in the middle, and a disk that is full."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import pytest

from safelight.store import Removal, Store, StoreTrouble, database, open_store
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import decode_event
from tests.doubles.lives import NOW, asked, example, fresh
from tests.doubles.writes import change, create, creation, living, written

ROOT = Path(__file__).parents[3]
CLAIMED = happened.Claimed(NOW + 60_000)
LONG = asked(prompt="x" * 20_000)
Pragma = Callable[[str, int], Awaitable[None]]


def acknowledged(directory: Path, enough: int) -> dict[str, int]:
    """Let a child write until so many puts were acknowledged, kill it, and list them all."""
    command = [sys.executable, "-m", "tests.doubles.acknowledger", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            lines = [child.stdout.readline() for _ in range(enough)]
        finally:
            child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
    told: dict[str, int] = {}
    for line in lines:
        if line.endswith("\n"):  # the last one may have been cut off
            uid, seq = line.split()
            told[uid] = int(seq)
    return told


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """After SIGKILL every acknowledged event is there, and each log and row agree."""
    told: dict[str, int] = {}
    for enough in (1, 40, 170):
        told |= await asyncio.to_thread(acknowledged, tmp_path, enough)
    assert len(told) > 16
    async with open_store(tmp_path, NOW) as store:
        assert store.run == 4
        tasks = {task.uid: task for task in await living(store)}
        assert tasks.keys() >= told.keys()
        for uid, task in tasks.items():
            rows = await store.read.events(uid, 0, 10_000)
            assert [row.seq for row in rows] == list(range(1, task.seq + 1))
            assert [decode_event(row.body).seq for row in rows] == [row.seq for row in rows]
            assert task.seq >= told.get(uid, 1)


@asynccontextmanager
async def limited(folder: Path) -> AsyncIterator[tuple[Store, Pragma]]:
    """A store, and a way to set a pragma of its writing connection, `max_page_count` say."""
    made: list[aiosqlite.Connection] = []

    async def connect(path: Path, *, read_only: bool = False) -> aiosqlite.Connection:
        made.append(await database.connect(path, read_only=read_only))
        return made[-1]

    async def pragma(name: str, value: int) -> None:
        await database.scalar(made[0], f"PRAGMA {name}={value}")  # the first one writes

    async with open_store(folder, NOW, connect=connect) as store:
        yield store, pragma


async def test_a_full_disk_accepts_nothing_by_halves(tmp_path: Path) -> None:
    """All members of a transaction that does not fit are refused, and none is on disk."""
    async with limited(tmp_path) as (store, pragma):
        writing = await written(store, "u1", CLAIMED)
        position = store.position
        await pragma("max_page_count", 1)  # no more than there are already
        step = lifecycle.step(writing.task, happened.Wrote("y" * 50_000), NOW)
        grown = [store.put(creation(fresh(f"long{n}", asked=LONG), key=f"k{n}")) for n in range(5)]
        outcomes = await asyncio.gather(
            store.put(change(writing.task, step)), *grown, return_exceptions=True
        )
        for trouble in outcomes:
            assert isinstance(trouble, StoreTrouble)
            assert (trouble.code.name, trouble.code.http, trouble.unknown) == (
                "storage_full",
                507,
                False,
            )
        assert [task.uid for task in await store.read.live()] == ["u1"]
        assert len(await store.read.events("u1", 0, 9)) == 2
        assert store.position == position
        await store.read.check()


async def test_a_store_recovers_when_there_is_room(tmp_path: Path) -> None:
    """The very same writes go through afterwards: neither fence nor key is in their way."""
    async with limited(tmp_path) as (store, pragma):
        writing = await written(store, "u1", CLAIMED)
        await pragma("max_page_count", 1)
        moving = change(
            writing.task, lifecycle.step(writing.task, happened.Wrote("y" * 50_000), NOW)
        )
        making = creation(fresh("long", asked=LONG), id="x", key="k")
        for item in (moving, making, moving):
            with pytest.raises(StoreTrouble):
                await store.put(item)
        await pragma("max_page_count", 10_000)
        assert (await store.put(moving)).seq == 3
        assert (await store.put(making)).fresh
        assert (await create(store, fresh("long", asked=LONG), key="k")).id == "x"
        assert store.position == 4


async def test_deleting_makes_room(tmp_path: Path) -> None:
    """What has ended can be deleted on a full disk, and what did not fit then does."""
    async with limited(tmp_path) as (store, pragma):
        ended = await written(
            store, "old", CLAIMED, example(happened.GaveUp), task=fresh("old", asked=LONG)
        )
        await pragma("max_page_count", 1)
        with pytest.raises(StoreTrouble):
            await create(store, fresh("new", asked=LONG))
        await store.put(Removal(ended.task))
        assert (await create(store, fresh("new", asked=LONG))).uid == "new"


async def test_trouble_is_not_the_items_fault(tmp_path: Path) -> None:
    """A locked database is `unavailable`, may be tried again, and left nothing behind."""
    async with limited(tmp_path) as (store, pragma):
        await pragma("busy_timeout", 0)
        other = sqlite3.connect(tmp_path / "safelight.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreTrouble) as trouble:
            await create(store, fresh("u1"))
        assert (trouble.value.code.name, trouble.value.unknown) == ("unavailable", False)
        other.execute("ROLLBACK")
        other.close()
        assert (await create(store, fresh("u1"))).uid == "u1"
