"""Trouble with the disk: a handle that met it is replaced, and nobody is told too much."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.store import Fenced, Store, StoreTrouble, open_store
from safelight.store.database import Link
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from tests.doubles.lives import NOW, fresh
from tests.doubles.sulking import Sulky, always, once
from tests.doubles.writes import change, create, living, written

CLAIMED = happened.Claimed(NOW + 60_000)
FSYNC = sqlite3.SQLITE_IOERR_FSYNC


@asynccontextmanager
async def on_a_sulky_disk(folder: Path) -> AsyncIterator[tuple[Store, Sulky]]:
    disk = Sulky()
    async with open_store(folder, NOW, connect=disk.connect) as store:
        yield store, disk
    assert [made.open for made in disk.made] == [False] * len(disk.made)


async def refused(store: Store, uid: str) -> StoreTrouble:
    with pytest.raises(StoreTrouble) as trouble:
        await create(store, fresh(uid))
    return trouble.value


@pytest.mark.parametrize(
    "code",
    [
        FSYNC,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY_DBMOVED,
        sqlite3.SQLITE_CANTOPEN,
    ],
)
async def test_a_handle_that_failed_is_replaced(tmp_path: Path, code: int) -> None:
    """The caller hears `unavailable`; the next write and the next read have fresh handles,
    and nothing of the failed transaction is there."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        await create(store, fresh("u1"))
        old = list(disk.made)
        disk.before = once("COMMIT", code)
        trouble = await refused(store, "u2")
        assert (trouble.code.name, trouble.code.http, trouble.unknown) == ("unavailable", 503, True)
        await create(store, fresh("u3"))
        assert [task.uid for task in await store.read.live()] == ["u1", "u3"]
        assert [made.open for made in old] == [False, False]
        assert [made.read_only for made in disk.made if made.open] == [False, True]
        assert store.statistics()["reopened"] == 1


async def test_a_full_disk_needs_no_other_handle(tmp_path: Path) -> None:
    """SQLite goes on with the same one once there is room."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        disk.before = once("COMMIT", sqlite3.SQLITE_FULL)
        assert (await refused(store, "u1")).code.http == 507
        await create(store, fresh("u1"))
        assert store.statistics()["reopened"] == 0 and len(disk.made) == 2


async def test_a_task_that_a_full_disk_took_after_all_is_made(tmp_path: Path) -> None:
    """Whoever made it hears so: a refused task that is there would wait for nobody."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        disk.after = once("COMMIT", sqlite3.SQLITE_FULL)
        await create(store, fresh("u1"))
        await create(store, fresh("u2"))
        assert [task.uid for task in await store.read.live()] == ["u1", "u2"]
        assert store.statistics()["reopened"] == 0


async def test_a_commit_that_happened_after_all_keeps_its_position(tmp_path: Path) -> None:
    """The error came after the commit: what is on disk counts, and the next change is after
    it. Whoever moves that task from where it was before is fenced."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        writing = await written(store, "u1")
        step = lifecycle.step(writing.task, CLAIMED, NOW + 1)
        moving = change(writing.task, step)
        disk.after = once("COMMIT", FSYNC)
        with pytest.raises(StoreTrouble) as trouble:
            await store.put(moving)
        assert trouble.value.unknown
        with pytest.raises(Fenced):
            await store.put(moving)
        await create(store, fresh("u2"))
        rows = await store.read.changes("ann", 0, 9)
        assert [(row.uid, row.changed) for row in rows] == [("u1", 2), ("u2", 3)]


@pytest.mark.parametrize("fails", ["opening", "settling"])
async def test_a_disk_that_stays_ill_is_said_until_it_is_well(tmp_path: Path, fails: str) -> None:
    """While no handle can be had, or what is committed cannot be made safe, nothing is
    written, nothing is `unknown`, and reading goes on; then everything does, by itself."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        await create(store, fresh("u1"))
        disk.before = once("COMMIT", FSYNC)
        if fails == "opening":
            disk.opening = lambda: sqlite3.SQLITE_CANTOPEN
        else:
            failing = once("COMMIT", FSYNC)
            disk.before = lambda s: failing(s) or always("wal_checkpoint", FSYNC)(s)
        assert (await refused(store, "u2")).unknown
        for _ in range(3):
            assert not (await refused(store, "u2")).unknown
            assert [task.uid for task in await store.read.live()] == ["u1"]
        disk.content()
        await create(store, fresh("u2"))
        assert [task.uid for task in await store.read.live()] == ["u1", "u2"]


async def test_the_others_of_a_failed_batch_are_told_too(tmp_path: Path) -> None:
    """Every member of the transaction hears of the trouble, and may come again."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        disk.before = once("INSERT INTO events", sqlite3.SQLITE_IOERR_READ)
        creations = [create(store, fresh(f"u{n}")) for n in range(3)]
        outcomes = await asyncio.gather(*creations, return_exceptions=True)
        assert all(isinstance(o, StoreTrouble) and not o.unknown for o in outcomes)
        for n in range(3):
            await create(store, fresh(f"u{n}"))
        assert store.position == 3


async def test_a_read_that_failed_is_tried_on_another_handle(tmp_path: Path) -> None:
    """One I/O error of the reader is nobody's trouble; two are told, and pass."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        await create(store, fresh("u1"))
        disk.before = once("SELECT", sqlite3.SQLITE_IOERR_READ)
        assert len(await store.read.live()) == 1
        assert [made.read_only for made in disk.made if made.open] == [False, True]
        disk.before = always("SELECT", sqlite3.SQLITE_CORRUPT)
        with pytest.raises(StoreTrouble) as trouble:
            await store.read.live()
        assert (trouble.value.code.name, trouble.value.unknown) == ("unavailable", False)
        disk.content()
        reads = await asyncio.gather(*(store.read.live() for _ in range(20)))
        assert [len(found) for found in reads] == [1] * 20


async def test_readers_of_a_replaced_handle_are_served(tmp_path: Path) -> None:
    """Twenty reads wait on one handle when the first of them fails: all get their answer,
    and one other handle is enough."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        await create(store, fresh("u1"))
        await store.read.live()
        disk.before = once("SELECT", sqlite3.SQLITE_IOERR_READ)
        reads = await asyncio.gather(*(store.read.live() for _ in range(20)))
        assert [len(found) for found in reads] == [1] * 20
        assert len([made for made in disk.made if made.read_only]) == 2


async def test_a_refused_commit_does_not_come_back(tmp_path: Path) -> None:
    """What lies in the log beside the database is brought into it, and the log is emptied,
    before anybody writes again: no crash can find a frame of what was refused."""
    async with on_a_sulky_disk(tmp_path) as (store, disk):
        await create(store, fresh("u1"))
        disk.before = once("COMMIT", FSYNC)
        await refused(store, "u2")
        assert (tmp_path / "safelight.sqlite3-wal").stat().st_size == 0


async def test_who_stops_waiting_leaves_the_link_whole(tmp_path: Path) -> None:
    """A cancelled caller neither leaks a handle nor stops the others' opening; at the end
    nothing is open, and no thread is left."""
    before = set(threading.enumerate())
    disk = Sulky()
    link = Link(lambda: disk.connect(tmp_path / "x.sqlite3"))
    for coroutine in (link.get(), link.get()):
        impatient = asyncio.create_task(coroutine)
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
    old = await link.get()
    for _ in range(2):
        impatient = asyncio.create_task(link.renew(old))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
    await asyncio.gather(link.renew(old), link.renew(old))
    assert await link.get() is not old and len(disk.made) == 2
    await link.close()
    with pytest.raises(ValueError, match="closed"):
        await link.get()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive()


def rows_of_the_first_schema(path: Path) -> None:
    """A database as the first version wrote it: one task that runs, one that has ended."""
    root = Path(__file__).parents[3] / "server/safelight/store/migrations"
    plain = sqlite3.connect(path)
    plain.executescript((root / "0001_tasks.sql").read_text())
    plain.execute("PRAGMA user_version=1")
    plain.execute("INSERT INTO logs VALUES (1, 'oldlog', ?, 0)", (NOW,))
    for n, (uid, state, seq, end) in enumerate(
        [("u1", "starting", 2, None), ("u2", "completed", 3, NOW + 9)], start=1
    ):
        fields: dict[str, Any] = {
            "n": n, "uid": uid, "owner": "ann", "id": f"id-{uid}", "fingerprint": "f",
            "state": state, "attempt": 1, "faults": 0, "claim": 1, "seq": seq,
            "progress": 0.0, "handle_told": 0, "canceling": 0, "created_at": NOW,
            "updated_at": NOW, "ended_at": end, "changed": n,
        }  # fmt: skip
        marks = ", ".join(f":{name}" for name in fields)
        plain.execute(f"INSERT INTO tasks ({', '.join(fields)}) VALUES ({marks})", fields)
        asked = '{"kind":"image","prompt":"x"}'
        resolved = (
            '{"requested":"local/painter","model":"local/painter","provider":"local",'
            '"backend":null,"params":{},"seed":7,"n":1}'
        )
        plain.execute("INSERT INTO requests VALUES (?, ?, ?)", (uid, asked, resolved))
        for one in range(1, seq + 1):
            plain.execute("INSERT INTO events VALUES (?, ?, 1, '{}')", (uid, one))
        plain.execute("INSERT INTO keys VALUES ('ann', ?, ?)", (f"k-{uid}", uid))
    plain.execute("INSERT INTO snapshots VALUES ('u2', '{}')")
    plain.commit()
    plain.close()


async def test_a_database_of_the_first_version_works(tmp_path: Path) -> None:
    """It is migrated as it is opened: its tasks are read and moved, its keys hold, and what
    has ended is swept and expires like any other."""
    rows_of_the_first_schema(tmp_path / "safelight.sqlite3")
    from safelight.store import Removal, Sweep

    async with open_store(tmp_path, NOW) as store:
        assert (store.run, store.position) == (2, 2)
        (live,) = await living(store)
        assert (live.uid, live.seq, live.asked.prompt) == ("u1", 2, "x")
        moved = await store.put(change(live, lifecycle.step(live, happened.Wrote("a"), NOW)))
        assert (await store.read.tasks(["u1"]))["u1"] == moved
        swept = await store.put(Sweep(NOW + 9, 10, 10))
        assert (swept.uids, swept.logs, swept.events) == (("u2",), 1, 2)
        (expired,) = await store.read.expired(NOW + 9, 9)
        assert expired.uid == "u2"
        await store.put(Removal(expired))
        assert await store.read.is_gone("ann", "id-u2")
    async with open_store(tmp_path, NOW) as store:
        assert await living(store) == [moved] and store.run == 3
