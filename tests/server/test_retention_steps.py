"""Retention in steps: what one transaction takes at most, and what is seen between two."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safelight.retention import EVENTS_PER_STEP, REMOVALS_PER_STEP
from tests.doubles.desk import Desk, desk_in, ended


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path) as made:
        yield made


async def test_a_long_log_goes_after_its_task_in_steps(desk: Desk, tmp_path: Path) -> None:
    """What a removal has left of a log is deleted by the next pass, so many events in each
    transaction, and nobody sees any of it meanwhile."""

    def on_disk() -> int:
        with sqlite3.connect(tmp_path / "safelight.sqlite3") as database:
            (count,) = database.execute("SELECT count(*) FROM events").fetchone()
        database.close()
        return int(count)

    await desk.expire(await ended(desk.store, words=3 * EVENTS_PER_STEP))
    kept = [on_disk()]

    async def look() -> None:
        kept.append(on_disk())
        assert await desk.seqs("u1") == []

    desk.between = look
    retention = desk.retention()
    await retention.sweep()
    assert kept[-1] == 0 < kept[0] == retention.statistics()["swept_events"]
    assert max(a - b for a, b in itertools.pairwise(kept)) <= EVENTS_PER_STEP


async def test_tasks_expire_a_few_at_a_time(desk: Desk) -> None:
    """No step removes more than its bound, and the pass goes on until all are gone."""
    for n in range(2 * REMOVALS_PER_STEP + 1):
        await ended(desk.store, f"u{n}", words=0)
    desk.after(3600.0)
    left: list[int] = []

    async def look() -> None:
        left.append(len(await desk.store.read.page("ann", None, 99)))

    desk.between = look
    await desk.retention(log=None, task=0.0).sweep()
    assert left[-1] == 0
    steps = itertools.pairwise([2 * REMOVALS_PER_STEP + 1, *left])
    assert all(a - b <= REMOVALS_PER_STEP for a, b in steps)
