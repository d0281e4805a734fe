"""A database that was put back from a copy: no cursor and no position is fooled by it.

What went wrong elsewhere: a backup is restored, the log grows again, and a client that
had seen event 7 of the lost history goes on after event 7 of the new one. It never
learns that its picture is of a task that did not happen.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safelight.log import Place
from safelight_protocol import inputs as happened
from safelight_protocol.task import Task
from tests.doubles.chronicle import Chronicle, chronicle
from tests.doubles.lives import NOW
from tests.doubles.writes import living

CLAIMED = happened.Claimed(NOW + 60_000)
FILE = "safelight.sqlite3"


def words(*texts: str) -> list[happened.Happening]:
    return [happened.Wrote(text) for text in texts]


def copy(folder: Path) -> Path:
    """A copy of the database as it is, also while it is open: what a backup tool does."""
    made = folder.parent / "copy.sqlite3"
    source, target = sqlite3.connect(folder / FILE), sqlite3.connect(made)
    source.backup(target)
    target.close()
    source.close()
    return made


@asynccontextmanager
async def restored(folder: Path, made: Path) -> AsyncIterator[tuple[Chronicle, Task]]:
    """The store on the copy, with its task."""
    for left in folder.glob(f"{FILE}*"):
        left.unlink()
    shutil.copy(made, folder / FILE)
    async with chronicle(folder) as book:
        task = await book.store.read.task("ann", "u1")
        assert task is not None
        yield book, task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def place(book: Chronicle, task: Task, cursor: str) -> Place | None:
    return await book.log.place(task, cursor, None)


async def test_a_cursor_of_the_lost_part_is_a_gap(folder: Path) -> None:
    """Copied while it ran, gone on, restored, regrown past it: the seqs exist, and do not count."""
    async with chronicle(folder) as book:
        task = await book.tell(await book.begin(), CLAIMED, *words("a"))
        made, kept = copy(folder), book.log.cursor(3)
        await book.tell(task, *words("b", "c", "d"))
        lost = [book.log.cursor(seq) for seq in (4, 5, 6)]
    async with restored(folder, made) as (book, task):
        assert task.seq == 3
        for cursor in lost:
            assert await place(book, task, cursor) == Place(3, gap=True)
        task = await book.tell(task, *words("x", "y", "z", "and more"))
        for cursor in lost:
            assert await place(book, task, cursor) == Place(7, gap=True)
        assert await place(book, task, kept) == Place(3, gap=False)
        assert await place(book, task, book.log.cursor(5)) == Place(5, gap=False)


async def test_a_log_that_began_after_the_copy_is_unknown(folder: Path) -> None:
    """Its run is counted again, by another log: neither is taken for the other."""
    async with chronicle(folder) as book:
        await book.tell(await book.begin(), CLAIMED)
    made = copy(folder)
    async with chronicle(folder) as book:
        await book.tell(await task_of(book), *words("a", "b"))
        lost, run = book.log.cursor(3), book.store.run
    async with restored(folder, made) as (book, task):
        assert book.store.run == run
        task = await book.tell(task, *words("x", "y"))
        assert await place(book, task, lost) == Place(4, gap=True)
        assert await place(book, task, book.log.cursor(3)) == Place(3, gap=False)


async def test_a_copy_restored_twice_fools_nobody(folder: Path) -> None:
    """Three histories from one copy: each cursor is good in its own and in no other."""
    async with chronicle(folder) as book:
        await book.tell(await book.begin(), CLAIMED)
        made, common = copy(folder), book.log.cursor(2)
    cursors: list[str] = []
    for text in ("one", "two", "three"):
        async with restored(folder, made) as (book, task):
            task = await book.tell(task, *words(text))
            for cursor in cursors:
                assert await place(book, task, cursor) == Place(3, gap=True)
            cursors.append(book.log.cursor(3))
            assert await place(book, task, cursors[-1]) == Place(3, gap=False)
            assert await place(book, task, common) == Place(2, gap=False)


async def test_a_restored_end_is_another_end(folder: Path) -> None:
    """A task that had ended ends anew after the restore; only its new end is a place."""
    async with chronicle(folder) as book:
        task = await book.tell(await book.begin(), CLAIMED)
        made = copy(folder)
        await book.tell(task, happened.CancelAsked(), happened.Stopped())
        lost = book.log.cursor(4)
    async with restored(folder, made) as (book, task):
        task = await book.tell(task, *words("x"), happened.Stopped())
        assert task.ended and task.seq == 4
        assert await place(book, task, lost) == Place(4, gap=True)
        assert await place(book, task, book.log.cursor(4)) == Place(4, gap=False)


async def test_a_position_of_the_lost_part_is_a_gap(folder: Path) -> None:
    """The gallery's numbers come again after a restore, and are told apart as cursors are."""
    async with chronicle(folder) as book:
        task = await book.tell(await book.begin(), CLAIMED)
        made, log, kept = copy(folder), book.gallery.log, book.store.position
        await book.tell(task, *words("a", "b"))
        lost = book.store.position
        assert await book.gallery.covers(log, lost)
    async with restored(folder, made) as (book, task):
        await book.tell(task, *words("x", "y", "z"))
        assert book.store.position > lost
        assert await book.gallery.covers(log, kept)
        for position in range(kept + 1, lost + 1):
            assert not await book.gallery.covers(log, position)
        assert await book.gallery.covers(book.gallery.log, lost)


async def test_a_position_of_an_unknown_log_is_a_gap(folder: Path) -> None:
    """A start after the copy is forgotten with all its positions."""
    async with chronicle(folder) as book:
        await book.begin()
    made = copy(folder)
    async with chronicle(folder) as book:
        lost = book.gallery.log
    async with restored(folder, made) as (book, task):
        assert not await book.gallery.covers(lost, 1)
        await book.tell(task, CLAIMED)
        assert not await book.gallery.covers(lost, 1)


async def task_of(book: Chronicle) -> Task:
    """The one task."""
    (task,) = await living(book.store)
    return task
