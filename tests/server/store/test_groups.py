"""Who comes into a group, what a stale member costs the others, and what is not taken for one.

What is written and refused is the store's contract (test_contract_*.py); here it is counted
what that takes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from safelight.store import Change, Fenced, Store, StoreTrouble, open_store
from safelight.store.visit import AT_ONCE
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, changed, fresh
from tests.doubles.sulking import Sulky, once
from tests.doubles.writes import Writing, change, creation, written

CLAIMED = happened.Claimed(NOW + 60_000)
CROWD = 16


def running(store: Store) -> Callable[[int], Awaitable[Writing]]:
    """Puts a running task of a number into the store."""
    return lambda n: written(store, f"u{n:03}", CLAIMED)


def text(task: Task) -> Change:
    """One more event of a running task."""
    return change(task, lifecycle.step(task, happened.Wrote("a"), NOW))


@pytest.mark.parametrize(("crowd", "turns"), [(CROWD, 1), (4 * CROWD, 5)])
async def test_those_who_ask_again_when_they_are_answered_are_one_group(
    tmp_path: Path, crowd: int, turns: int
) -> None:
    """Half of them begin while the others are written; they do not take turns for ever, though
    their requests need some turns of the loop to come."""
    sizes: list[int] = []
    numbers = iter(range(5 * crowd))
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def ask() -> None:
        number = next(numbers, None)
        if number is None:
            return done.set()
        store.hand(creation(fresh(f"u{number}")), lambda _: travel(turns))

    def travel(left: int) -> None:
        loop.call_soon(*((travel, left - 1) if left > 1 else (ask,)))

    async with open_store(tmp_path, NOW, on_group=sizes.append) as store, asyncio.timeout(10):
        for _ in range(crowd // 2):
            ask()
        while not sizes:  # they are on their way
            await anyio.lowlevel.checkpoint()
        for _ in range(crowd // 2):
            ask()
        await done.wait()
    assert sizes[:4] == [crowd // 2, crowd, crowd, crowd]


async def test_one_who_fails_to_hear_keeps_nobody_else_from_it(tmp_path: Path) -> None:
    """Its defect is told to the loop, and the writer goes on."""
    loop, troubles = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, told: troubles.append(told["exception"]))
    heard: asyncio.Future[Any] = loop.create_future()
    async with open_store(tmp_path, NOW) as store, asyncio.timeout(10):
        store.hand(creation(fresh("u1")), lambda _: heard.result())
        store.hand(creation(fresh("u2")), heard.set_result)
        assert (await heard).task.uid == "u2"
        assert (await store.put(creation(fresh("u3")))).fresh
    assert [type(trouble) for trouble in troubles] == [asyncio.InvalidStateError]


@pytest.mark.parametrize("place", [0, 5, CROWD - 1])
async def test_a_stale_member_is_found_by_halves(tmp_path: Path, place: int) -> None:
    """The others of its group are written in few transactions, not in one each."""
    disk = Sulky()
    commits: list[str] = []
    async with open_store(tmp_path, NOW, connect=disk.connect) as store:
        tasks = [(await written(store, f"u{n}", CLAIMED)).task for n in range(CROWD)]
        tasks[place] = changed(tasks[place], claim=0)

        def count(statement: str) -> None:
            commits.extend([statement] if statement == "COMMIT" else [])

        disk.before = count
        outcomes = await asyncio.gather(
            *(store.put(text(task)) for task in tasks), return_exceptions=True
        )
        disk.content()
        assert [n for n, one in enumerate(outcomes) if isinstance(one, Fenced)] == [place]
        assert len(commits) == 4  # of 8, 4, 2 and 1


async def test_a_fence_that_cannot_be_asked_is_no_answer(tmp_path: Path) -> None:
    """An ill disk in the place of the fence is trouble, which may pass; the task is not lost."""
    disk = Sulky()
    async with open_store(tmp_path, NOW, connect=disk.connect) as store:
        task = (await written(store, "u1", CLAIMED)).task
        disk.before = once("changes()", sqlite3.SQLITE_IOERR)
        with pytest.raises(StoreTrouble):
            await store.put(text(task))
        assert (await store.put(text(task))).seq == 3


async def test_a_large_group_is_written_to_its_last_member(tmp_path: Path) -> None:
    """More members than one statement takes: each is on disk, with its event, and a stale one
    among the last is found too."""
    crowd = 2 * AT_ONCE + 3
    async with open_store(tmp_path, NOW) as store:
        tasks = [task.task for task in await asyncio.gather(*map(running(store), range(crowd)))]
        stale = crowd - 2
        tasks[stale] = changed(tasks[stale], claim=0)
        before = store.statistics()["groups"]
        outcomes = await asyncio.gather(
            *(store.put(text(task)) for task in tasks), return_exceptions=True
        )
        assert store.statistics()["groups"] == before + 1
        assert [n for n, one in enumerate(outcomes) if isinstance(one, Fenced)] == [stale]
        stored = await store.read.tasks([task.uid for task in tasks])
        assert [stored[task.uid].seq for task in tasks] == [
            2 if n == stale else 3 for n in range(crowd)
        ]
        for n, task in enumerate(tasks):
            told = await store.read.events(task.uid, 2, 9)
            assert len(told) == (n != stale)
