"""What the writer knows by heart of live tasks is what the database would say.

Whether it is used rightly is the store's contract (test_contract_*.py); here it is asked
where the two could come apart: a batch that fails, a restart, moves beside creates.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from safelight.store import Created, Store, StoreTrouble, open_store
from safelight.store.alike import Alike
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.task import State, Task
from tests.doubles.lives import NOW, fresh
from tests.doubles.sulking import Sulky, once
from tests.doubles.writes import Writing, change, create, creation

CLAIMED = happened.Claimed(NOW + 60_000)


async def again(store: Store, uid: str) -> str:
    """Ask for the same once more; the uid of the task that it is."""
    made: Created = await store.put(creation(fresh(uid), reuse="inflight"))
    return made.task.uid


async def test_it_is_read_anew_after_a_restart(tmp_path: Path) -> None:
    """A live task of an earlier run is met; one that ended there, or is canceling, is not."""
    async with open_store(tmp_path, NOW) as store:
        ended = Writing(store, await create(store, fresh("u1")))
        await ended.move(happened.CancelAsked())
        leaving = Writing(store, await create(store, fresh("u2")))
        await leaving.move(CLAIMED, happened.CancelAsked())
        await create(store, fresh("u3"))
        await create(store, fresh("u4"))
    async with open_store(tmp_path, NOW) as store:
        assert await again(store, "u5") == "u3"


async def test_a_batch_that_fails_leaves_nothing_in_it(tmp_path: Path) -> None:
    """The task that was not written is not what the next request of its kind is."""
    disk = Sulky()
    async with open_store(tmp_path, NOW, connect=disk.connect) as store:
        assert await again(store, "u1") == "u1"
        disk.before = once("COMMIT", sqlite3.SQLITE_FULL)
        task = (await store.read.tasks(["u1"]))["u1"]
        with pytest.raises(StoreTrouble):
            await Writing(store, task).move(happened.CancelAsked())
        assert await again(store, "u2") == "u1"
        disk.before = once("COMMIT", sqlite3.SQLITE_FULL)
        with pytest.raises(StoreTrouble):
            await create(store, other("u3"))
        made = await store.put(creation(other("u4"), reuse="inflight"))
        assert made.task.uid == "u4"


async def test_what_moves_in_the_same_batch_counts(tmp_path: Path) -> None:
    """A task that ends in one transaction with a request alike is not what that is."""
    async with open_store(tmp_path, NOW) as store:
        await again(store, "u1")
        task = (await store.read.tasks(["u1"]))["u1"]
        step = lifecycle.step(task, happened.CancelAsked(), NOW)
        put = [
            store.begin(change(task, step)),
            store.begin(creation(fresh("u2"), reuse="inflight")),
        ]
        _, made = await asyncio.gather(*put)
        assert (made.task.uid, store.statistics()["groups"]) == ("u2", 2)
        assert await again(store, "u3") == "u2"


def test_a_task_that_it_does_not_know_is_for_the_database() -> None:
    """Where in the order it stands cannot be told here: everything is asked again."""
    alike = Alike()
    alike.learn([])
    alike.moved(fresh("u1"))
    assert not alike.known


def test_those_alike_are_met_in_the_order_of_their_creation() -> None:
    """The next one is met once the first has left, and nobody once all have."""
    alike = Alike()
    alike.learn([])
    for uid in ("u1", "u2"):
        alike.born("ann", "f", uid)
    met = [alike.oldest("ann", "f")]
    for uid in ("u1", "u2"):
        alike.moved(left(uid))
        met.append(alike.oldest("ann", "f"))
    assert (met, alike.oldest("bob", "f")) == (["u1", "u2", None], None)


def other(uid: str) -> Task:
    """A task of another kind."""
    task = fresh(uid)
    return msgspec.structs.replace(task, asked=msgspec.structs.replace(task.asked, prompt="else"))


def left(uid: str) -> Task:
    """That task, canceling."""
    return msgspec.structs.replace(fresh(uid), state=State.CANCELING)
