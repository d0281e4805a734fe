"""A task with a long log is removed in steps: out of sight at once, off the disk later."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safelight.log import Log
from safelight.store import Clearing, Removal, Store, Swept, open_store
from safelight.store.batch import EVENTS_AT_ONCE
from safelight_protocol import inputs as happened
from safelight_protocol.codes import Refused
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, example, fresh
from tests.doubles.writes import Writing, create, written

WORDS = 2 * EVENTS_AT_ONCE


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store in the test's folder."""
    async with open_store(tmp_path, NOW) as opened:
        yield opened


async def long_one(store: Store, uid: str = "u1", words: int = WORDS) -> Task:
    """An ended task whose log is longer than one transaction deletes."""
    writing = await written(store, uid, happened.Claimed(NOW + 60_000))
    await writing.move(*[happened.Wrote("a")] * words, example(happened.Finished))
    return writing.task


def on_disk(folder: Path, uid: str = "u1") -> int:
    """The events that are really there."""
    with sqlite3.connect(folder / "safelight.sqlite3") as database:
        (count,) = database.execute("SELECT count(*) FROM events WHERE uid = ?", (uid,)).fetchone()
    database.close()
    return int(count)


async def test_a_removal_deletes_no_more_than_its_bound(store: Store, tmp_path: Path) -> None:
    """One transaction takes so many events and no more, however many tasks it removes; the
    rest waits for a Clearing, each of which has its own bound."""
    task = await long_one(store)
    await store.put(Removal(task))
    assert on_disk(tmp_path) == task.seq - EVENTS_AT_ONCE
    assert await store.put(Clearing(9, 400)) == Swept(("u1",), 0, 400)
    left = task.seq - EVENTS_AT_ONCE - 400
    assert await store.put(Clearing(9, 9_999)) == Swept(("u1",), 1, left)
    assert on_disk(tmp_path) == 0
    assert not await store.read.has_leftovers()
    assert await store.put(Clearing(9, 9)) == Swept((), 0, 0)


async def test_what_is_left_is_out_of_sight(store: Store, tmp_path: Path) -> None:
    """Whoever held the task when it was removed is told no event of it any more, and its
    snapshot is gone; its id stays taken. Another task's log is not touched."""
    task, other = await long_one(store), await long_one(store, "u2", words=3)
    log = Log(store)
    await store.put(Removal(task))
    assert on_disk(tmp_path) > 0
    assert await log.read("u1", 0, 9) == await log.read("u1", EVENTS_AT_ONCE + 9, 9) == []
    with pytest.raises(Refused) as refused:
        await log.snapshot(task)
    assert refused.value.code.name == "gone"
    assert await store.read.task("ann", task.id) is None
    assert await store.read.is_gone("ann", task.id)
    await store.put(Clearing(9, 9_999))
    assert len(await store.read.events("u2", 0, 99)) == other.seq


async def test_a_short_log_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """The common removal is one transaction, and nothing waits after it."""
    await store.put(Removal(await long_one(store, words=3)))
    assert on_disk(tmp_path) == 0 and not await store.read.has_leftovers()


async def test_a_start_goes_on_with_what_is_left(tmp_path: Path) -> None:
    """The process ends between the removal and its steps; the next start knows."""
    async with open_store(tmp_path, NOW) as store:
        task = await long_one(store)
        await store.put(Removal(task))
    async with open_store(tmp_path, NOW) as store:
        assert await store.read.has_leftovers()
        assert await store.read.events("u1", 0, 9) == []
        await store.put(Clearing(9, 9_999))
        assert on_disk(tmp_path) == 0


async def test_a_task_that_lives_is_never_cleared(store: Store) -> None:
    """A Clearing takes events of removed tasks only."""
    living = Writing(store, await create(store, fresh("u2")))
    await living.move(happened.Claimed(NOW + 60_000), happened.Wrote("a"))
    await store.put(Removal(await long_one(store)))
    await store.put(Clearing(9, 9_999))
    assert len(await store.read.events("u2", 0, 9)) == 3
