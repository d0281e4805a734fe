"""The fastlane: what its members are written, when, and how they leave it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safelight.edges.lanes import LAG, MOST, Lane, Lanes
from safelight.edges.voice import Voice
from safelight.subscriptions import Subscriptions
from safelight_protocol import inputs as happened
from safelight_protocol.frames import V2
from safelight_protocol.session import Session
from safelight_protocol.task import Task
from tests.doubles.chronicle import Chronicle, chronicle
from tests.doubles.lives import NOW, example

TOPIC = "task:t1"
FINISHED = example(happened.Finished)
VOICE = Voice(topic=TOPIC, serializer=V2(), session=Session(V2(), now=0.0))


class Reader:
    """A member that notes what it is written, and may stop taking after some writes."""

    def __init__(self, takes: int = 10**9) -> None:
        self.written: list[bytes] = []
        self.lane: Lane | None = None
        self.left_at: int | None = None
        self.failure: Exception | None = None
        self._takes = takes

    def write(self, frames: bytes) -> None:
        """As a line that is full after so many."""
        self.written.append(frames)
        if len(self.written) >= self._takes:
            self.fall_behind()

    def fail(self, defect: Exception) -> None:
        """Noted; who fails is hung up on, and leaves."""
        self.failure = defect
        self.fall_behind()

    def fall_behind(self) -> None:
        """Leave, with the lane's cursor."""
        if self.lane is not None:
            self.left_at = self.lane.cursor
            self.lane.leave(self)
            self.lane = None


class Unwilling(V2):
    """A serializer with a bug."""

    def encode_broadcast(self, *_: object) -> str:
        """The bug."""
        raise RuntimeError("no frame")


class Room:
    """A task that runs, and lanes over its log."""

    def __init__(self, book: Chronicle, task: Task) -> None:
        self.book = book
        self.task = task
        self.subscriptions = Subscriptions()
        self.lanes = Lanes(book.log, self.subscriptions)

    @property
    def seq(self) -> int:
        """The seq of the newest event."""
        return self.task.seq

    def enter(self, reader: Reader) -> Lane | None:
        """Try to, from the newest event on."""
        reader.lane = self.lanes.enter(reader, self.task.uid, VOICE, self.seq, reader.write)
        return reader.lane

    async def tell(self, *happenings: happened.Happening) -> None:
        """Commit, append and wake, as the orchestrator does."""
        for happening in happenings:
            self.task = await self.book.tell(self.task, happening)
            self.subscriptions.wake(self.task.uid)

    async def wires(self, after: int) -> bytes:
        """The frames of all events after a seq, as they travel."""
        entries = await self.book.log.read(self.task.uid, after, 10_000)
        return b"".join(entry.frame(V2(), TOPIC).wire for entry in entries)


@asynccontextmanager
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with chronicle(tmp_path) as book:
        task = await book.tell(await book.begin(), happened.Claimed(NOW + 60_000))
        yield Room(book, await book.tell(task, happened.HandleSaved("p")))


def steps(count: int) -> list[happened.Happening]:
    """Reports of progress."""
    return [happened.Progressed(n / 1000, n, 1000, None) for n in range(1, count + 1)]


def texts(*sizes: int) -> list[happened.Happening]:
    """Pieces of text of so many characters."""
    return [happened.Wrote("x" * size) for size in sizes]


@pytest.mark.parametrize("count", [1, 3, LAG - 1])
async def test_the_events_of_a_tick_are_one_write_for_each(tmp_path: Path, count: int) -> None:
    """Joined once: every member is given the very same bytes object."""
    async with room(tmp_path) as told:
        readers = [Reader() for _ in range(3)]
        assert all(told.enter(reader) for reader in readers)
        before = told.seq
        told.task = await told.book.tell(told.task, *steps(count))
        told.subscriptions.wake("u1")
        told.subscriptions.wake("u1")
        await asyncio.sleep(0)
        assert [len(reader.written) for reader in readers] == [1, 1, 1]
        assert readers[0].written[0] is readers[1].written[0] is readers[2].written[0]
        assert readers[0].written[0] == await told.wires(before)


@pytest.mark.parametrize("failing", [0, 1, 2])
async def test_a_bug_in_one_task_is_not_the_silence_of_others(
    tmp_path: Path, failing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose event cannot be framed pulls it and meets the bug there; the lanes that are
    flushed with it in one tick, before it and behind it, are written to."""
    async with room(tmp_path) as told:
        voices = [Voice(topic=f"task:{n}", serializer=V2(), session=VOICE.session) for n in "abc"]
        voices[failing] = Voice(topic="task:x", serializer=Unwilling(), session=VOICE.session)
        readers = [Reader() for _ in voices]
        for reader, voice in zip(readers, voices, strict=True):
            reader.lane = told.lanes.enter(reader, "u1", voice, told.seq, reader.write)
        await told.tell(*texts(5))
        await asyncio.sleep(0)
        assert [len(reader.written) for reader in readers] == [n != failing for n in range(3)]
        assert [reader.lane is None for reader in readers] == [n == failing for n in range(3)]
        assert "socket.defect" in capsys.readouterr().out


async def test_a_wake_without_news_writes_nothing(tmp_path: Path) -> None:
    """And lets nobody fall behind."""
    async with room(tmp_path) as told:
        reader = Reader()
        told.enter(reader)
        told.subscriptions.wake("u1")
        await asyncio.sleep(0)
        assert reader.written == []
        assert reader.lane is not None


async def test_whoever_is_full_falls_behind_alone(tmp_path: Path) -> None:
    """With the cursor of what it was written last; the others get the rest, once."""
    async with room(tmp_path) as told:
        full, easy = Reader(takes=1), Reader()
        told.enter(full)
        told.enter(easy)
        before = told.seq
        await told.tell(*texts(MOST // 2, MOST, 10))
        await asyncio.sleep(0)
        assert full.left_at is not None
        assert full.left_at < told.seq
        assert b"".join([*full.written, await told.wires(full.left_at)]) == await told.wires(before)
        assert b"".join(easy.written) == await told.wires(before)
        assert told.lanes.statistics() == {"lanes": 1, "laned": 1}


async def test_a_write_is_of_about_so_many_bytes(tmp_path: Path) -> None:
    """A tick of large events is several writes, none larger than the bound and one frame."""
    async with room(tmp_path) as told:
        reader = Reader()
        lane = told.enter(reader)
        assert lane is not None
        before = told.seq
        told.task = await told.book.tell(told.task, *texts(*[MOST // 3] * 9))
        lane.flush()
        assert len(reader.written) == 3
        assert max(map(len, reader.written)) < MOST + MOST // 3 + 1000
        assert b"".join(reader.written) == await told.wires(before)


async def test_a_backlog_is_pulled(tmp_path: Path) -> None:
    """As many events as a lag in one tick: nothing is written, everybody pulls instead."""
    async with room(tmp_path) as told:
        reader = Reader()
        lane = told.enter(reader)
        assert lane is not None
        before = told.seq
        told.task = await told.book.tell(told.task, *steps(LAG))
        lane.flush()
        assert (reader.written, reader.left_at) == ([], before)
        assert told.lanes.statistics() == {"lanes": 0, "laned": 0}
        assert told.subscriptions.statistics()["followers"] == 0


async def test_a_task_that_left_memory_lets_all_go(tmp_path: Path) -> None:
    """Deleted, or known better by the store: each looks for itself what became of it."""
    async with room(tmp_path) as told:
        reader = Reader()
        told.enter(reader)
        told.book.log.forget("u1")
        told.subscriptions.wake("u1")
        await asyncio.sleep(0)
        assert reader.left_at == told.seq
        assert told.enter(Reader()) is None


async def test_who_comes_late_in_a_tick_is_not_told_twice(tmp_path: Path) -> None:
    """What the others have not been written yet, and the newcomer has read, goes to them
    first; from then on all get the same."""
    async with room(tmp_path) as told:
        early, late = Reader(), Reader()
        told.enter(early)
        before = told.seq
        await told.tell(*steps(2))
        between = told.seq
        told.enter(late)
        await told.tell(*texts(5))
        await asyncio.sleep(0)
        assert b"".join(early.written) == await told.wires(before)
        assert b"".join(late.written) == await told.wires(between)


async def test_who_is_not_at_the_end_does_not_enter(tmp_path: Path) -> None:
    """There is something to pull first."""
    async with room(tmp_path) as told:
        reader = Reader()
        assert told.lanes.enter(reader, "u1", VOICE, told.seq - 1, reader.write) is None
        assert told.lanes.statistics() == {"lanes": 0, "laned": 0}


async def test_an_end_is_an_event_like_any_other(tmp_path: Path) -> None:
    """Followers of an ended task stay in their lane; nothing more comes until it is deleted."""
    async with room(tmp_path) as told:
        reader = Reader()
        told.enter(reader)
        before = told.seq
        await told.tell(FINISHED)
        await asyncio.sleep(0)
        assert b"".join(reader.written) == await told.wires(before)
        assert reader.lane is not None


class Broken(Reader):
    """A member whose line raises."""

    def write(self, frames: bytes) -> None:
        """The bug."""
        raise OSError("nowhere to write")


async def test_a_write_that_fails_is_one_readers(tmp_path: Path) -> None:
    """Those behind it in the lane are told all the same, and whoever fails is let go."""
    async with room(tmp_path) as told:
        before, broken, after = Reader(), Broken(), Reader()
        for reader in (before, broken, after):
            told.enter(reader)
        begin = told.seq
        await told.tell(*texts(5, 5))
        await asyncio.sleep(0)
        whole = await told.wires(begin)
        assert (b"".join(before.written), b"".join(after.written)) == (whole, whole)
        assert isinstance(broken.failure, OSError)
        assert told.lanes.statistics() == {"lanes": 1, "laned": 2}


async def test_a_bug_of_the_last_reader_is_heard(tmp_path: Path) -> None:
    """Also of one that fell behind in the very write that raised, and left nobody there."""

    class Full(Reader):
        def write(self, frames: bytes) -> None:
            self.fall_behind()
            raise OSError("full, and then nowhere to write")

    async with room(tmp_path) as told:
        full = Full()
        told.enter(full)
        await told.tell(*texts(5))
        await asyncio.sleep(0)
        assert isinstance(full.failure, OSError)
        assert full.left_at == told.seq
        assert told.lanes.statistics() == {"lanes": 0, "laned": 0}


async def test_readers_come_and_go(tmp_path: Path) -> None:
    """One, two, one, none, one: each is written what came while it was there, and the task is
    followed only as long as anybody is."""
    async with room(tmp_path) as told:
        first, second, third = Reader(), Reader(), Reader()
        begins = {}
        for reader, size in ((first, 1), (second, 2)):
            begins[reader] = told.seq
            told.enter(reader)
            await told.tell(*texts(size))
            await asyncio.sleep(0)
        first.fall_behind()
        await told.tell(*texts(3))
        await asyncio.sleep(0)
        second.fall_behind()
        assert told.subscriptions.statistics() == {"topics": 0, "followers": 0}
        await told.tell(*texts(4))
        begins[third] = told.seq
        told.enter(third)
        await told.tell(*texts(5))
        await asyncio.sleep(0)
        assert first.left_at == begins[first] + 2
        assert second.left_at == begins[second] + 2
        for reader, begin in begins.items():
            whole = await told.wires(begin)
            assert whole.startswith(b"".join(reader.written))
        assert [len(reader.written) for reader in begins] == [2, 2, 1]


async def test_a_lane_that_ended_lets_nobody_fall_behind(tmp_path: Path) -> None:
    """Who left it in the tick of a wake, and is in a lane again, stays there."""
    async with room(tmp_path) as told:
        reader = Reader()
        told.enter(reader)
        told.subscriptions.wake("u1")
        reader.fall_behind()
        told.enter(reader)
        told.book.log.forget("u1")
        await asyncio.sleep(0)
        assert reader.lane is not None


@pytest.mark.parametrize("count", [1, 2])
async def test_who_leaves_twice_ends_no_other_lane(tmp_path: Path, count: int) -> None:
    """Nor that which came in place of its own."""
    async with room(tmp_path) as told:
        readers, later = [Reader() for _ in range(count)], Reader()
        lanes = [told.enter(reader) for reader in readers]
        for _ in range(2):
            for reader, lane in zip(readers, lanes, strict=True):
                assert lane is not None
                lane.leave(reader)
            if later.lane is None:
                told.enter(later)
        before = told.seq
        assert told.lanes.statistics() == {"lanes": 1, "laned": 1}
        await told.tell(*texts(5))
        await asyncio.sleep(0)
        assert b"".join(later.written) == await told.wires(before)
