"""Random readers of a log that grows, restarts and is restored: each sees it once, in order.

Readers keep a cursor as a client does, and nothing else. They read at any moment and as
much as they like and come back after restarts with a cursor of an earlier log. After a
restore from a copy they are told of a gap if they had seen what was lost (and may be told
of one if not: their log may be lost with it); without a restore there is no gap.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight_protocol import inputs as happened
from safelight_protocol.events import decode_event, encode_event
from safelight_protocol.inputs import Happening
from safelight_protocol.lifecycle import verdict
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task
from tests.doubles.chronicle import Chronicle, chronicle
from tests.doubles.lives import EXAMPLES, fresh

FILE = "safelight.sqlite3"
LIVELY = [one for one in EXAMPLES if not isinstance(one, happened.GaveUp | happened.Stopped)]
ACTS = st.one_of(
    st.tuples(st.just("tell"), st.lists(st.sampled_from(LIVELY), min_size=1, max_size=5)),
    st.tuples(st.just("read"), st.integers(0, 2)),
    st.tuples(st.just("come back"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["restart", "copy", "restore"]), st.none()),
)


def happens(task: Task, happening: Happening, place: int) -> Happening | None:
    """The input if it can move the task; a file has a name of its own each time."""
    if task.ended or verdict(task.state, type(happening)) in ("wrong", "late"):
        return None
    if not isinstance(happening, happened.Produced):
        return happening
    return happened.Produced(msgspec.structs.replace(happening.artifact, id=f"cap{place}"))


class Reader:
    """A client: its cursor, its snapshot, and every event it was told since the last gap."""

    def __init__(self) -> None:
        self.cursor = "0"
        self.snapshot: Snapshot = opening(fresh(id="u1"))
        self.told: list[bytes] = []
        self.gaps = 0

    @property
    def seq(self) -> int:
        return int(self.cursor.rpartition("-")[2])

    async def come_back(self, book: Chronicle, task: Task) -> None:
        """Join with the cursor; after a gap, begin again from the snapshot."""
        place = await book.log.place(task, self.cursor, None)
        assert place is not None
        if place.gap:
            self.snapshot = await book.log.snapshot(task)
            self.gaps, self.told = self.gaps + 1, []
        assert place.seq == (task.seq if place.gap else self.seq)
        self.cursor = book.log.cursor(place.seq)

    async def read(self, book: Chronicle, limit: int) -> None:
        """Take the next events, which must go on where the cursor is."""
        for entry in await book.log.read("u1", self.seq, limit):
            assert entry.seq == self.seq + 1
            self.told.append(entry.body)
            self.snapshot = fold(self.snapshot, decode_event(entry.body))
            self.cursor = book.log.cursor(entry.seq)


class World:
    """One data directory, its open store, and three readers."""

    def __init__(self, folder: Path, tail: int) -> None:
        self.folder, self.tail = folder, tail
        self.readers = [Reader() for _ in range(3)]
        self.history: list[bytes] = []
        self.copied: list[bytes] | None = None
        self.files = 0

    async def play(self, acts: list[tuple[str, Any]]) -> None:
        async with AsyncExitStack() as self.stack:
            await self.open()
            self.task = await self.book.begin()
            await self.note()
            for act, detail in acts:
                await self.do(act, detail)
            for reader in self.readers:
                await self.check(reader)

    async def do(self, act: str, detail: Any) -> None:
        match act:
            case "tell":
                for happening in detail:
                    await self.tell(happening)
            case "read":
                await self.readers[detail].read(self.book, limit=2)
            case "come back":
                await self.readers[detail].come_back(self.book, self.task)
            case "copy":
                self.copy()
            case "restart":
                await self.reopen()
            case "restore" if self.copied is not None:
                await self.reopen(restore=True)

    async def tell(self, happening: Happening) -> None:
        self.files += 1
        possible = happens(self.task, happening, self.files)
        if possible is not None:
            self.task = await self.book.tell(self.task, possible)
            await self.note()

    async def note(self) -> None:
        """Learn from the store itself what there is to be told."""
        rows = await self.book.store.read.events("u1", len(self.history), 9)
        self.history += [row.body for row in rows]
        assert len(self.history) == self.task.seq

    async def open(self) -> None:
        self.book = await self.stack.enter_async_context(chronicle(self.folder, self.tail))

    def copy(self) -> None:
        source = sqlite3.connect(self.folder / FILE)
        target = sqlite3.connect(self.folder.parent / "copy")
        source.backup(target)
        target.close()
        source.close()
        self.copied = list(self.history)

    async def reopen(self, *, restore: bool = False) -> None:
        """Stop and start, on the copy if so told; then every reader comes back."""
        await self.stack.aclose()
        if restore and self.copied is not None:
            shutil.copy(self.folder.parent / "copy", self.folder / FILE)
            self.history = list(self.copied)
        await self.open()
        task = await self.book.store.read.task("ann", "u1")
        assert task is not None
        self.task = task
        for reader in self.readers:
            await self.come_back(reader, restored=restore)

    async def come_back(self, reader: Reader, *, restored: bool) -> None:
        """Whoever has seen what is not is told of a gap; nobody is without need of one."""
        seen, gaps = reader.seq, reader.gaps
        begun = len(reader.told) == seen  # it has seen all from the first event on
        lost = begun and reader.told != self.history[:seen]
        await reader.come_back(self.book, self.task)
        assert not lost or reader.gaps == gaps + 1
        assert restored or reader.gaps == gaps

    async def check(self, reader: Reader) -> None:
        """In the end every reader has the whole history since its last gap, and its fold."""
        await reader.come_back(self.book, self.task)
        await reader.read(self.book, limit=1_000)
        assert reader.told == self.history[len(self.history) - len(reader.told) :]
        assert reader.gaps or reader.told == self.history
        assert reader.snapshot == await self.book.log.snapshot(self.task)
        assert reader.seq == len(self.history)


@settings(max_examples=25)
@given(st.lists(ACTS, min_size=4, max_size=15), st.sampled_from([1, 3, 1024]))
def test_every_reader_sees_one_history(acts: list[tuple[str, Any]], tail: int) -> None:
    """Whatever happens to the server between, nobody misses, repeats or mixes events unawares."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(World(Path(folder) / "data", tail).play(acts))


@settings(max_examples=15)
@given(st.lists(st.sampled_from(LIVELY), max_size=20))
def test_bytes_are_the_whole_event(happenings: list[Happening]) -> None:
    """What is stored as bytes is what is told: decoded and encoded again it is the same."""

    async def story(folder: Path) -> None:
        async with chronicle(folder) as book:
            task = await book.begin()
            for place, happening in enumerate(happenings):
                if possible := happens(task, happening, place):
                    task = await book.tell(task, possible)
            rows = await book.store.read.events("u1", 0, 1_000)
            assert [encode_event(decode_event(row.body)) for row in rows] == [r.body for r in rows]
            stored = await book.store.read.snapshots(["u1"])
            shown = msgspec.json.encode(await book.log.snapshot(task))
            assert stored == ({"u1": shown} if task.ended else {})

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))
