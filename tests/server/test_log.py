"""The log that readers see: from memory or from the store, always the same events."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.log import ENDED_TAIL_BYTES, ENDED_TAILS, Log, Place
from safelight_protocol import inputs as happened
from safelight_protocol.codes import Refused
from safelight_protocol.events import decode_event
from safelight_protocol.frames import serializer_for
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task
from tests.doubles.chronicle import Chronicle, chronicle
from tests.doubles.lives import NOW, changed, example, fresh
from tests.doubles.writes import create

CLAIMED = happened.Claimed(NOW + 60_000)
FINISHED = example(happened.Finished)


def words(count: int) -> list[happened.Happening]:
    """So much text."""
    return [happened.Wrote(f"{n} ") for n in range(count)]


@pytest.fixture
async def book(tmp_path: Path) -> AsyncIterator[Chronicle]:
    """An open log whose tails hold four events."""
    async with chronicle(tmp_path, tail_events=4) as opened:
        yield opened


async def seqs(book: Chronicle, uid: str, after: int, limit: int = 99) -> list[int]:
    return [entry.seq for entry in await book.log.read(uid, after, limit)]


async def folded(book: Chronicle, task: Task) -> Snapshot:
    """The snapshot that the stored events lead to."""
    snapshot = opening(task)
    for row in await book.store.read.events(task.uid, 0, 10_000):
        snapshot = fold(snapshot, decode_event(row.body))
    return snapshot


async def test_a_reader_gets_what_comes_after(book: Chronicle) -> None:
    """From any place, in order, at most as many as asked for, the same from memory and store."""
    task = await book.tell(await book.begin(), CLAIMED, *words(8))
    for after in range(11):
        assert await seqs(book, "u1", after) == list(range(after + 1, 11))
        assert await seqs(book, "u1", after, 3) == list(range(after + 1, min(after + 4, 11)))
    stored = await book.store.read.events("u1", 0, 99)
    told = await book.log.read("u1", 0, 6) + await book.log.read("u1", 6, 99)
    assert [(e.seq, e.run, e.body) for e in told] == [(r.seq, r.run, r.body) for r in stored]
    assert task.seq == 10


async def test_memory_holds_only_the_tail(book: Chronicle) -> None:
    """Older events are not in memory; a reader up to date gets an empty answer from there."""
    await book.tell(await book.begin(), CLAIMED, *words(8))
    recent = book.log.recent
    assert recent("u1", 5, 9) is None
    assert [entry.seq for entry in recent("u1", 6, 9) or []] == [7, 8, 9, 10]
    assert [entry.seq for entry in recent("u1", 6, 2) or []] == [7, 8]
    assert (recent("u1", 10, 9), recent("u1", 12, 9), recent("u2", 0, 9)) == ([], [], None)


async def test_an_event_is_encoded_once(book: Chronicle) -> None:
    """Every follower of a topic shares one frame; another topic or version has its own."""
    await book.begin()
    (entry,) = await book.log.read("u1", 0, 9)
    (again,) = await book.log.read("u1", 0, 9)
    two, one = serializer_for("2.0.0"), serializer_for("1.0.0")
    frame = entry.frame(two, "task:x")
    assert again.frame(two, "task:x") is frame
    assert msgspec.json.decode(frame.message) == [
        None,
        None,
        "task:x",
        "progress",
        msgspec.json.decode(entry.body),
    ]
    others = (entry.frame(one, "task:x").message, entry.frame(two, "task:y").message)
    assert frame.message not in others


async def test_a_snapshot_is_the_fold_of_the_log(book: Chronicle) -> None:
    """At every moment of a life, from memory, after the end, and from the store."""
    task = await book.begin()
    for happening in (CLAIMED, happened.HandleSaved("p"), *words(3), FINISHED):
        task = await book.tell(task, happening)
        assert await book.log.snapshot(task) == await folded(book, task)
    assert (await book.log.snapshot(task)).status == "completed"


async def test_an_end_leaves_memory_at_last(book: Chronicle) -> None:
    """Tails of ended tasks are bounded in number; the store answers for the others."""
    tasks = [fresh(f"u{n}") for n in range(ENDED_TAILS + 2)]
    begun = await asyncio.gather(*map(book.begin, tasks))
    await asyncio.gather(*(book.tell(task, happened.CancelAsked()) for task in begun))
    assert [book.log.live_snapshot(uid) is None for uid in ("u0", "u1", "u2")] == [
        True,
        True,
        False,
    ]
    ended = await book.store.read.tasks(["u0", "u2"])
    shown = await book.log.snapshots([ended["u0"], ended["u2"]])
    assert [(uid, s.task_id, s.status) for uid, s in shown.items()] == [
        ("u0", "u0", "canceled"),
        ("u2", "u2", "canceled"),
    ]
    assert await seqs(book, "u0", 0) == [1, 2]


async def test_what_ended_is_bounded_in_bytes_too(book: Chronicle) -> None:
    """Long logs of ended tasks leave memory, the oldest first, and are read from the store;
    one that is dropped for another reason no longer counts."""
    words = happened.Wrote("w" * (ENDED_TAIL_BYTES // 2))
    for uid in ("u0", "u1", "u2"):
        task = await book.begin(fresh(uid))
        for happening in (CLAIMED, words, FINISHED):
            task = await book.tell(task, happening)
    assert [book.log.live_snapshot(uid) is None for uid in ("u0", "u1", "u2")] == [
        True,
        True,
        False,
    ]
    assert await seqs(book, "u0", 0) == [1, 2, 3, 4]
    book.log.forget("u2")
    task = await book.begin(fresh("u3"))
    for happening in (CLAIMED, words, FINISHED):
        task = await book.tell(task, happening)
    assert book.log.live_snapshot("u3") is not None


async def test_snapshots_come_in_the_order_of_their_tasks(book: Chronicle) -> None:
    """Live, ended and from the store, mixed as they were asked for; none is none."""
    tasks = [await book.begin(fresh(f"u{n}")) for n in range(4)]
    tasks[1] = await book.tell(tasks[1], happened.CancelAsked())
    shown = await book.log.snapshots(reversed(tasks))
    assert [snapshot.task_id for snapshot in shown.values()] == ["u3", "u2", "u1", "u0"]
    assert await book.log.snapshots([]) == {}


async def test_an_event_between_commit_and_telling_is_not_lost(book: Chronicle) -> None:
    """A task that is in the store and not yet in memory has the snapshot of its log."""
    task = await create(book.store)
    assert (await book.log.snapshot(task)).seq == 1
    assert book.log.live_snapshot("u1") is None


async def test_a_restart_brings_the_tail_back(tmp_path: Path) -> None:
    """The snapshot of a live task and its last events are those of before."""
    async with chronicle(tmp_path, 4) as book:
        task = await book.tell(await book.begin(), CLAIMED, *words(8))
        before, log = await book.log.snapshot(task), book.log.id
    async with chronicle(tmp_path, 4) as book:
        assert book.log.live_snapshot("u1") == before
        assert [entry.seq for entry in book.log.recent("u1", 6, 9) or []] == [7, 8, 9, 10]
        assert {entry.run for entry in book.log.recent("u1", 6, 9) or []} == {1}
        assert book.log.id != log
        await book.tell(task, *words(1))
        assert await seqs(book, "u1", 5) == [6, 7, 8, 9, 10, 11]


async def test_a_live_task_can_be_forgotten(book: Chronicle) -> None:
    """Its log is read from the store from then on, and nothing is missing."""
    task = await book.tell(await book.begin(), CLAIMED, *words(3))
    before = await book.log.snapshot(task)
    book.log.forget("u1")
    assert book.log.live_snapshot("u1") is None
    assert await seqs(book, "u1", 0) == [1, 2, 3, 4, 5]
    assert await book.log.snapshot(task) == before


async def test_a_deleted_task_leaves_nothing_in_memory(book: Chronicle) -> None:
    """Neither its snapshot nor its events."""
    task = await book.tell(await book.begin(), happened.CancelAsked())
    await book.delete(task)
    assert book.log.live_snapshot("u1") is None
    assert await seqs(book, "u1", 0) == []


async def test_a_deleted_task_does_not_take_others_along(book: Chronicle) -> None:
    """Deleted after it was found, it is left out among others, and alone it is `gone`."""
    other = await book.begin(fresh("u2"))
    task = await book.tell(await book.begin(), happened.CancelAsked())
    await book.delete(task)
    assert (await book.log.snapshots([task, other])).keys() == {"u2"}
    with pytest.raises(Refused) as refused:
        await book.log.snapshot(task)
    assert refused.value.code.name == "gone"


async def test_a_cursor_names_log_and_seq(book: Chronicle) -> None:
    """The same spelling at every door."""
    assert book.log.cursor(12) == f"{book.log.id}-12"


async def test_no_cursor_has_no_place(book: Chronicle) -> None:
    """Who says nothing gets the snapshot and what comes then: that is for the door to say."""
    assert await book.log.place(await book.begin(), None, None) is None


# What is asked for, with L for this log; the place at seq 6 of a task of which all is kept.
CURSORS = [
    ("L-0", None, Place(0, gap=False)),
    ("L-3", None, Place(3, gap=False)),
    ("L-6", None, Place(6, gap=False)),
    ("L-7", None, Place(6, gap=True)),
    (f"L-{10**14}", None, Place(6, gap=True)),
    ("other-3", None, Place(6, gap=True)),
    ("other-0", None, Place(0, gap=False)),
    ("-3", None, Place(6, gap=True)),
    (0, None, Place(0, gap=False)),
    ("0", None, Place(0, gap=False)),
    (3, None, Place(6, gap=True)),
    ("3", None, Place(6, gap=True)),
    (3, "L", Place(3, gap=False)),
    ("3", "L", Place(3, gap=False)),
    (3, "other", Place(6, gap=True)),
    (7, "L", Place(6, gap=True)),
    (2**70, "L", Place(6, gap=True)),
    ("L-3", "other", Place(3, gap=False)),
]


@pytest.mark.parametrize("tail", [1, 1024])
@pytest.mark.parametrize(("after", "log", "place"), CURSORS)
async def test_a_cursor_has_its_place(
    tmp_path: Path, tail: int, after: str | int, log: str | None, place: Place
) -> None:
    """What this log has told is gone on from; all else is a gap, at the snapshot's seq."""
    async with chronicle(tmp_path, tail) as book:
        task = await book.tell(await book.begin(), CLAIMED, *words(4))
        after = after.replace("L", book.log.id) if isinstance(after, str) else after
        log = book.log.id if log == "L" else log
        assert await book.log.place(task, after, log) == place


@pytest.mark.parametrize("after", ["", "L", "L-", "L-x", "L-1.5", "L-\u0663", "L-" + "9" * 16])
async def test_a_cursor_that_is_none_is_refused(book: Chronicle, after: str) -> None:
    """It is named, with the form that a cursor has."""
    with pytest.raises(Refused, match="a cursor") as refused:
        await book.log.place(await book.begin(), after, None)
    assert refused.value.details[0]["field"] == "after"


async def test_a_cursor_of_an_earlier_run_is_good(tmp_path: Path) -> None:
    """A restart changes the log's id, not its past: who was at any seq goes on from there."""
    cursors: list[str] = []
    task = fresh()
    for run in range(3):
        async with chronicle(tmp_path, tail_events=2) as book:
            task = await book.tell(task, *words(2)) if run else await book.begin(task)
            task = await book.tell(task, CLAIMED) if not run else task
            cursors += [book.log.cursor(seq) for seq in range(1, task.seq + 1)]
            for cursor in cursors:
                seq = int(cursor.rpartition("-")[2])
                assert await book.log.place(task, cursor, None) == Place(seq, gap=False)


async def test_a_log_vouches_only_for_what_it_saw(tmp_path: Path) -> None:
    """A seq that was written after the cursor's log had ended cannot have been told by it."""
    async with chronicle(tmp_path) as book:
        task, old = await book.tell(await book.begin(), CLAIMED), book.log.id
    async with chronicle(tmp_path) as book:
        task = await book.tell(task, *words(3))
        assert await book.log.place(task, f"{old}-2", None) == Place(2, gap=False)
        assert await book.log.place(task, f"{old}-3", None) == Place(5, gap=True)


async def test_an_ended_task_can_be_gone_on_from(tmp_path: Path) -> None:
    """Also when its tail is not in memory any more: at its end there is nothing left, no gap."""
    async with chronicle(tmp_path) as book:
        task = await book.tell(await book.begin(), CLAIMED, FINISHED)
        cursor = book.log.cursor(3)
    async with chronicle(tmp_path) as book:
        assert await book.log.place(task, cursor, None) == Place(3, gap=False)
        assert await book.log.place(task, cursor[:-1] + "1", None) == Place(1, gap=False)
        assert await seqs(book, "u1", 3) == []
        assert await seqs(book, "u1", 1) == [2, 3]


async def test_a_log_that_was_removed_says_so(book: Chronicle) -> None:
    """A task whose last event is gone was removed since it was found: nobody is told that only
    a part is missing. Whoever has its end needs nothing more."""
    removed = changed(fresh("removed"), seq=5)
    assert await book.log.place(removed, f"{book.log.id}-5", None) == Place(5, gap=False)
    for after in (f"{book.log.id}-3", 0):
        with pytest.raises(Refused) as refused:
            await book.log.place(removed, after, None)
        assert refused.value.code.name == "gone"


@pytest.mark.parametrize(
    ("after", "place"),
    [(0, Place(2, gap=False)), ("L-1", Place(6, gap=True)), ("L-2", Place(2, gap=False))],
)
async def test_what_is_not_kept_is_a_gap(tmp_path: Path, after: str | int, place: Place) -> None:
    """Older than the first event that is kept, a cursor gets the snapshot; 0 gets what is left."""
    async with chronicle(tmp_path, tail_events=1) as book:
        task = await book.tell(await book.begin(), CLAIMED, *words(4))
        sweeper = sqlite3.connect(tmp_path / "safelight.sqlite3", isolation_level=None)
        sweeper.execute("DELETE FROM events WHERE seq < 3")
        sweeper.close()
        after = after.replace("L", book.log.id) if isinstance(after, str) else after
        assert await book.log.place(task, after, None) == place


async def test_a_tail_is_built_once_for_all_who_come_back(book: Chronicle) -> None:
    """After a restart a thousand followers of a task cost its log one reading."""
    task = await book.tell(await book.begin(), CLAIMED, happened.HandleSaved("p"))
    reads: list[int] = []

    class Counted:
        """The store's reads, counted."""

        log, run = book.store.log, book.store.run
        read: Any

        async def events(self, uid: str, after: int, limit: int) -> Any:
            reads.append(after)
            return await book.store.read.events(uid, after, limit)

    store: Any = Counted()
    store.read = store
    log = Log(store)
    log.expect(task.uid)
    await asyncio.gather(*(log.recall(task) for _ in range(100)))
    assert reads == [0, task.seq]
    assert [entry.seq for entry in log.recent(task.uid, 0, 99) or []] == [1, 2]
