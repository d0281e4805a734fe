"""What a start and a page cost does not grow with what has ended.

Counted, not timed: every statement by SQLite's trace, and every step of its machine by the
progress handler. A step is at most one row that is looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks import scale
from safelight.gallery import Gallery
from safelight.log import Log
from safelight.store import Store, database, open_store
from tests.doubles.lives import NOW

LIVE = 20
SIZES = (200, 2_000)


class Meter:
    """Counts what connections are asked and how far SQLite goes for it."""

    def __init__(self) -> None:
        self.statements = 0
        self.steps = 0

    async def connect(self, path: Path, *, read_only: bool = False) -> database.Handle:
        """A connection that counts from its first question on."""
        connection = await database.connect(path, read_only=read_only)
        await connection.set_trace_callback(self._told)
        await connection.set_progress_handler(self._stepped, 1)
        return connection

    def _told(self, statement: str) -> None:
        self.statements += 1

    def _stepped(self) -> int:
        self.steps += 1
        return 0

    def lap(self) -> tuple[int, int]:
        """The statements and steps since the last lap."""
        counted = self.statements, self.steps
        self.statements = self.steps = 0
        return counted


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Databases that differ in the number of ended tasks only."""
    made = []
    for tasks in SIZES:
        made.append(tmp_path_factory.mktemp(f"of-{tasks}"))
        scale.build(made[-1], tasks + LIVE, LIVE, others=3)
    return made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Store, Meter]]:
    """The store in a folder, and what its opening has cost."""
    meter = Meter()
    async with open_store(folder, NOW, connect=meter.connect) as store:
        yield store, meter


async def test_a_start_reads_what_is_live(folders: list[Path]) -> None:
    """Ten times as many ended tasks are not one step more, from the opening to the last
    task that is taken into care; and of the live ones no event is read."""
    costs = []
    for folder in folders:
        async with opened(folder) as (store, meter):
            assert len(await store.read.live()) == LIVE
            costs.append(meter.lap())
    assert costs[0] == costs[1]
    assert costs[0][1] < 100 * LIVE


async def test_a_page_costs_the_same_at_any_depth(folders: list[Path]) -> None:
    """At the first page, in the middle and near the end, of few tasks and of ten times as
    many: the same statements, and hardly a step more."""
    costs = []
    for folder, size in zip(folders, SIZES, strict=True):
        async with opened(folder) as (store, meter):
            gallery = Gallery(store, Log(store))
            for before in (size, size // 2, 60):
                meter.lap()
                page = await gallery.page("local", str(before), 20)
                assert len(page.tasks) == 20
                costs.append(meter.lap())
    assert len({statements for statements, _ in costs}) == 1
    steps = [steps for _, steps in costs]
    assert max(steps) < 1.1 * min(steps)


async def test_changes_cost_the_same_from_any_position(folders: list[Path]) -> None:
    """Who comes back after long reads as many rows for his next changes as who was away
    for a moment."""
    costs = []
    for folder, size in zip(folders, SIZES, strict=True):
        async with opened(folder) as (store, meter):
            for position in (0, size // 2, size - 60):
                meter.lap()
                assert len(await store.read.changes("local", position, 20)) == 20
                costs.append(meter.lap())
    assert len({statements for statements, _ in costs}) == 1
    assert max(steps for _, steps in costs) < 1.1 * min(steps for _, steps in costs)
