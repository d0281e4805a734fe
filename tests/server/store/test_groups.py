"""What a stale member costs the others of its group, and what is not taken for one.

What is written and refused is the store's contract (test_contract_*.py); here it is counted
what that takes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from safelight.store import Change, Fenced, StoreTrouble, open_store
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, changed
from tests.doubles.sulking import Sulky, once
from tests.doubles.writes import change, written

CLAIMED = happened.Claimed(NOW + 60_000)
CROWD = 16


def text(task: Task) -> Change:
    """One more event of a running task."""
    return change(task, lifecycle.step(task, happened.Wrote("a"), NOW))


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
