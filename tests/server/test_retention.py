"""Retention: what goes, what stays, and that nobody waits for it."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from safelight.artifacts import Stray
from safelight.log import Place
from safelight.retention import (
    EVENTS_PER_STEP,
    STRAYS_SECONDS,
)
from safelight.store import Change, StoreTrouble
from safelight_protocol import inputs as happened
from safelight_protocol.codes import Refused
from safelight_protocol.events import decode_event
from safelight_protocol.task import Task
from tests.doubles.chronicle import Chronicle
from tests.doubles.desk import CLAIMED, FINISHED, WEEK, Desk, desk_in, ended
from tests.doubles.lives import ARTIFACT, NOW, changed, fresh
from tests.doubles.writes import Writing, create, living, written

AN_HOUR = 3_600_000


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path) as made:
        yield made


async def test_an_old_log_keeps_its_last_event(desk: Desk) -> None:
    """A week after the end only the terminal event is left, with its own seq; the row and
    the final snapshot stay, so the task can still be joined."""
    task = await ended(desk.store)
    desk.after(WEEK)
    retention = desk.retention()
    await retention.sweep()
    (row,) = await desk.store.read.events("u1", 0, 9)
    assert (row.seq, decode_event(row.body).status) == (task.seq, "completed")
    assert await desk.store.read.task("ann", task.id) == task
    assert (await desk.log.snapshot(task)).status == "completed"
    assert await desk.log.place(task, 0, None) == Place(task.seq - 1, gap=False)
    assert [entry.seq for entry in await desk.log.read("u1", task.seq - 1, 9)] == [task.seq]
    swept = retention.statistics()
    assert (swept["swept_events"], swept["swept_logs"], swept["swept_tasks"]) == (5, 1, 0)


async def test_what_is_young_or_runs_is_left_alone(desk: Desk) -> None:
    """A log whose task ended a moment too late stays whole, and so does one without end."""
    await ended(desk.store, "u1")
    await written(desk.store, "u2", CLAIMED, happened.Wrote("a"))
    desk.after(WEEK)
    desk.now -= 120_000
    groups = desk.store.statistics()["groups"]
    await desk.retention().sweep()
    assert len(await desk.seqs("u1")) == 6 and len(await desk.seqs("u2")) == 3
    assert desk.store.statistics()["groups"] == groups  # and nothing was written for it


async def test_never_is_never(desk: Desk) -> None:
    """Without a retention, logs and tasks stay."""
    await ended(desk.store)
    desk.after(100 * WEEK)
    await desk.retention(log=None, task=None).sweep()
    assert len(await desk.seqs("u1")) == 6


async def test_a_long_log_goes_in_steps(desk: Desk) -> None:
    """No transaction takes more rows than its bound, the oldest go first, and at every
    moment what is left has no hole."""
    task = await ended(desk.store, words=2 * EVENTS_PER_STEP)
    desk.after(WEEK)
    kept: list[list[int]] = [await desk.seqs("u1")]

    async def look() -> None:
        kept.append(await desk.seqs("u1"))

    desk.between = look
    await desk.retention().sweep()
    sizes = [len(seqs) for seqs in kept]
    assert max(a - b for a, b in itertools.pairwise(sizes)) <= EVENTS_PER_STEP
    assert all(seqs == list(range(task.seq - len(seqs) + 1, task.seq + 1)) for seqs in kept)
    assert sizes[-1] == 1 and len(sizes) >= 4


async def test_a_pass_that_breaks_off_is_gone_on_with(tmp_path: Path) -> None:
    """The process ends between two steps; the next start sweeps the rest."""
    async with desk_in(tmp_path) as desk:
        for n in range(120):
            await ended(desk.store, f"u{n}", words=0)
        desk.after(WEEK)

        async def stop() -> None:
            raise asyncio.CancelledError

        desk.between = stop
        with pytest.raises(asyncio.CancelledError):
            await desk.retention().sweep()
        left = [len(await desk.seqs(f"u{n}")) for n in range(120)]
        assert sorted(set(left)) == [1, 3]
    async with desk_in(tmp_path) as desk:
        desk.after(WEEK)
        retention = desk.retention()
        await retention.sweep()
        assert [len(await desk.seqs(f"u{n}")) for n in range(120)] == [1] * 120
        assert retention.statistics()["swept_logs"] == left.count(3)
        again = desk.store.statistics()["groups"]
        await retention.sweep()
        assert desk.store.statistics()["groups"] == again


async def test_a_reader_in_the_middle_is_told(desk: Desk) -> None:
    """Who was at event 2 when the log went gets no hole: the read is refused, and the
    same cursor is a gap; who was at the last event but one, or at the end, misses nothing."""
    task = await ended(desk.store)
    desk.after(WEEK)
    await desk.retention().sweep()
    with pytest.raises(Refused) as refused:
        await desk.log.read("u1", 2, 9)
    assert refused.value.code.name == "unavailable"
    for seq, gap in ((2, True), (task.seq - 1, False), (task.seq, False)):
        place = await desk.log.place(task, desk.log.cursor(seq), None)
        assert place == Place(task.seq if gap else seq, gap=gap)


async def test_a_tail_in_memory_goes_too(desk: Desk) -> None:
    """What readers get from memory is not more than what the next start would give."""
    book = Chronicle(desk.store, desk.log)
    task = await book.tell(await book.begin(), CLAIMED, FINISHED)
    assert desk.log.recent("u1", 0, 9)
    desk.after(WEEK)
    await desk.retention().sweep()
    assert desk.log.recent("u1", 0, 9) is None
    assert (await desk.log.snapshot(task)).seq == task.seq


async def test_a_swept_log_of_a_restored_copy_fools_nobody(tmp_path: Path) -> None:
    """A cursor of the lost history names an event of which only the successor is kept: it
    was written in a later run, so the reader is told that it missed something."""
    folder, copy = tmp_path / "data", tmp_path / "copy.sqlite3"
    async with desk_in(folder) as desk:
        writing = await written(desk.store, "u1", CLAIMED)
        with sqlite3.connect(folder / "safelight.sqlite3") as open_one:
            open_one.execute("VACUUM INTO ?", (str(copy),))
        open_one.close()
        await writing.move(happened.Wrote("lost"), happened.Wrote("lost too"))
        kept, lost = desk.log.cursor(2), [desk.log.cursor(seq) for seq in (3, 4)]
    for left in folder.glob("safelight.sqlite3*"):
        left.unlink()
    shutil.copy(copy, folder / "safelight.sqlite3")
    async with desk_in(folder) as desk:
        (task,) = await living(desk.store)
        again = Writing(desk.store, task)
        await again.move(happened.Wrote("x"), happened.Wrote("y"), FINISHED)
        assert again.task.seq == 5
        desk.after(WEEK)
        await desk.retention().sweep()
        for cursor in (kept, *lost):
            assert await desk.log.place(again.task, cursor, None) == Place(5, gap=True)
        own = desk.log.cursor(4)
        assert await desk.log.place(again.task, own, None) == Place(4, gap=False)


async def test_a_task_expires_with_all_that_it_had(desk: Desk) -> None:
    """After `task_retention` the row, log, snapshot and files' rows are gone, the tombstone
    is there, and neither id nor key can be taken again."""
    task = await ended(desk.store, "u1", id="x", key="k")
    young = await ended(desk.store, "u2")
    await desk.store.put(Change(before=young, after=changed(young, ended_at=NOW + 2 * AN_HOUR)))
    desk.after(3600.0)
    retention = desk.retention(task=3600.0)
    await retention.sweep()
    assert await desk.store.read.task("ann", task.id) is None
    assert await desk.store.read.is_gone("ann", "x")
    assert await desk.seqs("u1") == [] and len(await desk.seqs("u2")) == 6
    for options in ({"id": "x"}, {"key": "k"}):
        with pytest.raises(Refused) as refused:
            await create(desk.store, fresh("u3"), **options)
        assert refused.value.code.name == "gone"
    assert retention.statistics()["swept_tasks"] == 1


async def test_trouble_ends_a_pass_and_no_more(desk: Desk, capsys: Any) -> None:
    """A store in trouble is said in the log; the next pass does what is left."""
    task = await ended(desk.store)
    desk.after(WEEK)
    expire, tries = desk.expire, []

    async def fails_once(task: Task) -> None:
        tries.append(task.uid)
        if len(tries) == 1:
            raise StoreTrouble("the disk sulks")
        await expire(task)

    desk.expire = fails_once  # type: ignore[method-assign]
    retention = desk.retention(task=3600.0)
    await retention.sweep()
    assert await desk.store.read.task("ann", task.id) is not None
    await retention.sweep()
    assert await desk.store.read.task("ann", task.id) is None
    assert "retention.trouble" in capsys.readouterr().out


def put_file(desk: Desk, root: Path, name: str, hours_old: float) -> Path:
    """A file under a hash's name, last kept so long before the desk's clock."""
    path = root / "artifacts" / name[:2] / f"{name[2:]}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    then = desk.now / 1000 - hours_old * 3600
    os.utime(path, (then, then))
    return path


async def test_bytes_that_no_row_names_go(desk: Desk, tmp_path: Path) -> None:
    """An old file without a row goes, whatever its folder; one with a row, a young one, and
    what is none of our files or still being written stays."""
    await written(desk.store, "u1", CLAIMED, happened.Produced(ARTIFACT))
    named = put_file(desk, tmp_path, ARTIFACT.sha256, 50)
    strays = [put_file(desk, tmp_path, f"{n:02x}" * 32, 2) for n in (3, 200)]
    young = put_file(desk, tmp_path, "cd" * 32, 0.5)
    other = young.parent / "README.txt"
    incoming = tmp_path / "artifacts" / "incoming" / "half"
    for path in (other, incoming):
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    retention = desk.retention()
    await retention.sweep()
    assert [path.exists() for path in strays] == [False, False]
    assert all(path.exists() for path in (named, young, other, incoming))
    assert retention.statistics()["swept_files"] == 2


async def test_files_are_looked_through_once_an_hour(desk: Desk, tmp_path: Path) -> None:
    """The look through all files is not part of every pass."""
    retention = desk.retention()
    await retention.sweep()
    stray = put_file(desk, tmp_path, "ef" * 32, 2)
    await retention.sweep()
    assert stray.exists()
    desk.now += round(STRAYS_SECONDS * 1000)
    await retention.sweep()
    assert not stray.exists()


async def test_bytes_about_to_be_named_stay(desk: Desk, tmp_path: Path) -> None:
    """A pinned file is not even looked at; one that is kept again between the look and the
    removal is young again, and stays although its row came too late for the question."""
    kept = await desk.artifacts.keep(b"words", kind="text")
    os.utime(tmp_path / "artifacts" / kept.name, (0, 0))
    before = desk.now
    assert await desk.artifacts.idle(kept.sha256[:2], before) == []
    desk.artifacts.release(kept.sha256)
    assert await desk.artifacts.idle(kept.sha256[:2], before) == [Stray(kept.sha256, kept.name)]
    again = await desk.artifacts.keep(b"words", kind="text")
    desk.artifacts.release(again.sha256)
    assert not await desk.artifacts.sweep(Stray(kept.sha256, kept.name), before)
    assert (tmp_path / "artifacts" / kept.name).exists()
