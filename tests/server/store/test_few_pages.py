"""What a task that was just born is not in, and how it is found all the same.

A create writes few indexes (migration 0007): a page, the feed and a name are each found in
one of two places, and every question has to look into both. And how a database of before
that comes along.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from safelight.store import Removal, Store, open_store
from safelight_protocol import inputs as happened
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, example, fresh
from tests.doubles.writes import create, creation, living, written

CLAIMED = happened.Claimed(NOW + 60_000)
MIGRATIONS = Path(__file__).parents[3] / "server/safelight/store/migrations"
FILE = "safelight.sqlite3"
PAGE = 4096 + 24
"""Of the log: a page of the database and its head."""


def indexed(path: Path, index: str, where: str) -> list[str]:
    """The uids of the tasks that are in an index."""
    plain = sqlite3.connect(path)
    rows = plain.execute(f"SELECT uid FROM tasks INDEXED BY {index} WHERE {where} ORDER BY n")
    found = [row[0] for row in rows]
    plain.close()
    return found


async def pages(store: Store, limit: int) -> list[str]:
    """All of ann's tasks, page by page."""
    found: list[str] = []
    before: int | None = None
    while page := await store.read.page("ann", before, limit):
        before = page[-1][0]
        found += [task.uid for _, task in page]
    return found


async def feed(store: Store, limit: int) -> list[tuple[str | None, int]]:
    """All changes of ann's tasks, so many at a time."""
    found: list[tuple[str | None, int]] = []
    position = 0
    while rows := await store.read.changes("ann", position, limit):
        position = rows[-1].changed
        found += [(row.uid, row.changed) for row in rows]
    return found


async def test_a_birth_is_in_few_indexes(tmp_path: Path) -> None:
    """Neither in that of changes nor in that of names until it changes, or has one of its own."""
    async with open_store(tmp_path, NOW) as store:
        await create(store, fresh("u1"))
        await written(store, "u2", CLAIMED)
        await create(store, fresh("u3"), id="mine")
        path = tmp_path / FILE
        moved = "changed <> n OR ended_at IS NOT NULL"
        assert indexed(path, "tasks_by_change", f"({moved})") == ["u2"]
        assert indexed(path, "tasks_by_id", "id <> uid") == ["u3"]


async def test_a_create_writes_few_pages_of_the_log(tmp_path: Path) -> None:
    """The task, its uid, its place among the live ones, its request, its event: a page each,
    and one more where a tree has grown. It was above nine."""
    log = tmp_path / f"{FILE}-wal"
    async with open_store(tmp_path, NOW) as store:
        await asyncio.gather(*(store.put(creation(fresh(f"u{n:04}"))) for n in range(400)))
        before = log.stat().st_size
        for n in range(400, 420):
            await create(store, fresh(f"u{n:04}"))
        pages = (log.stat().st_size - before) / PAGE
    assert pages / 20 <= 7


async def test_pages_hold_what_runs_and_what_has_ended(store: Store) -> None:
    """In the order of their creation, however they are mixed and whatever a page takes."""
    for n in range(8):
        ends = [CLAIMED, example(happened.GaveUp)] if n % 3 == 1 else []
        await written(store, f"u{n}", *ends)
    for limit in (1, 2, 3, 5, 9):
        assert await pages(store, limit) == [f"u{n}" for n in reversed(range(8))]


async def test_the_feed_has_births_moves_and_deletions_in_order(store: Store) -> None:
    """Each once, at its last change, whatever is asked for at a time."""
    ended = await written(store, "u1", CLAIMED, example(happened.GaveUp))
    await create(store, fresh("u2"))
    moved = await written(store, "u3")
    await create(store, fresh("u4"))
    await moved.move(CLAIMED)
    await store.put(Removal(ended.task))
    await create(store, fresh("u5"))
    expected = [("u2", 4), ("u4", 6), ("u3", 7), (None, 8), ("u5", 9)]
    for limit in (1, 2, 4, 9):
        assert await feed(store, limit) == expected


async def test_a_uid_is_the_name_of_its_own_task_only(store: Store) -> None:
    """It names that task to its owner, to another owner nothing, and gives way to no other."""
    mine = await create(store, fresh("u1"))
    assert await store.read.task("bob", "u1") is None
    theirs = await create(store, fresh("u2", owner="bob"), id="u1")
    assert (await store.read.task("bob", "u1"), theirs.uid) == (theirs, "u2")
    assert await store.read.task("ann", "u1") == mine
    assert await create(store, fresh("u3"), id="u1") == mine


async def test_a_named_task_is_not_found_by_its_uid(store: Store) -> None:
    """The name that its owner chose is the only one."""
    task = await create(store, fresh("u1"), id="mine")
    assert await store.read.task("ann", "mine") == task
    assert await store.read.task("ann", "u1") is None


def as_before(folder: Path) -> None:
    """Take a database back to the schema before, with all that it holds."""
    plain = sqlite3.connect(folder / FILE)
    old = sqlite3.connect(folder / "old")
    for file in sorted(MIGRATIONS.glob("000[1-6]_*.sql")):
        old.executescript(file.read_text())
    for table in ("logs", "tasks", "snapshots", "events", "keys", "tombstones"):
        columns = [row[1] for row in old.execute(f"PRAGMA table_info({table})")]
        rows = plain.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        old.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    rows = plain.execute(
        "SELECT t.uid, asked, resolved FROM tasks t JOIN requests r ON r.n = t.n"
    ).fetchall()
    old.executemany("INSERT INTO requests VALUES (?, ?, ?)", rows)
    # There a number was not that of a change: the next after the highest, from 1.
    for place, (uid,) in enumerate(old.execute("SELECT uid FROM tasks ORDER BY n").fetchall(), 1):
        old.execute("UPDATE tasks SET n = ? WHERE uid = ?", (place, uid))
    old.execute("PRAGMA user_version=6")
    old.commit()
    old.close()
    plain.close()
    for file in folder.glob(f"{FILE}*"):
        file.unlink()
    (folder / "old").rename(folder / FILE)


async def test_a_database_of_before_comes_along(tmp_path: Path) -> None:
    """Its pages, its feed, its names and its requests are what they were, and new tasks come
    after those that it had."""

    async def seen(store: Store) -> tuple[object, ...]:
        named: list[Task | None] = [await store.read.task("ann", id) for id in ("mine", "u2", "u4")]
        return await pages(store, 2), await feed(store, 2), named, await living(store)

    async with open_store(tmp_path, NOW) as store:
        await written(store, "u1", CLAIMED, example(happened.GaveUp))
        await create(store, fresh("u2"))
        await written(store, "u3", CLAIMED, task=fresh("u3"), id="mine", key="k")
        await create(store, fresh("u4", owner="bob"))
        before, position = await seen(store), store.position
    as_before(tmp_path)
    async with open_store(tmp_path, NOW) as store:
        assert await seen(store) == before
        assert store.position == position
        assert (await create(store, fresh("u9"), key="k")).uid == "u3"
        await create(store, fresh("u5"))
        assert await pages(store, 9) == ["u5", "u3", "u2", "u1"]
        assert await feed(store, 9) == [*before[1], ("u5", position + 1)]
