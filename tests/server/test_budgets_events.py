"""What one event of a running task costs on its way from the provider to the followers.

Counted, never timed: encodes, statements, visits to the database's thread, asyncio tasks,
log lines, calls and memory. A number that rises here is paid by every event of every task.
"""

from __future__ import annotations

import asyncio
import gc
import io
import sys
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from safelight import telemetry
from safelight.edges.context import Context
from safelight.providers.base import Moved
from safelight.store import Store, database, open_store
from safelight_protocol.events import encode_event
from tests.doubles.served import Served, served
from tests.doubles.ticking import Ticking

EVENTS = 100
CROWD = 16
"""A power of two, so that their events go in as one statement."""


class Tap:
    """A connection that counts what is asked of it: visits to its thread, and statements."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.visits = 0
        self.statements: list[str] = []

    async def execute_all(self, statements: Any, done: Any) -> None:
        """Several statements in one visit."""
        self.visits += 1
        self.statements += [statement for statement, _ in statements]
        await self._connection.execute_all(statements, done)

    async def execute_fetchall(self, statement: str, *bound: Any) -> Any:
        """One statement, one visit."""
        self.visits += 1
        self.statements.append(statement)
        return await self._connection.execute_fetchall(statement, *bound)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Running:
    """A server with tasks that run and tell nothing until `report` is called."""

    def __init__(self, house: Served, provider: Ticking, writing: list[Tap]) -> None:
        self.context: Context = house.context
        self.writing = writing[0]
        self.reports = provider.reports
        self._made = 0

    async def move(self, place: int = 0) -> None:
        """One progress event of one task, on disk and told."""
        self._made += 1
        await self.reports[place](Moved(0.5, self._made, None, "a word"))

    async def at_once(self) -> None:
        """One of every task, together."""
        async with asyncio.TaskGroup() as group:
            for place in range(len(self.reports)):
                group.create_task(self.move(place))


@asynccontextmanager
async def running(folder: Path, tasks: int, **settings: Any) -> AsyncIterator[Running]:
    """So many tasks at their providers, the first events of each behind them."""
    provider, writing = Ticking(), list[Tap]()

    async def connect(path: Path, *, read_only: bool = False) -> Any:
        tap = Tap(await database.connect(path, read_only=read_only))
        if not read_only:
            writing.append(tap)
        return tap

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Store]:
        async with open_store(directory, now, connect=connect) as store:
            yield store

    options = {"scripted_provider": provider, "scripted_as": "local", "local_concurrency": 64}
    async with served(folder, opened=opened, **options, **settings) as house:
        for n in range(tasks):
            await house.create(id=f"t{n}", model="local/paint")
        async with asyncio.timeout(10):
            while len(provider.reports) < tasks:  # noqa: ASYNC110
                await asyncio.sleep(0)
        inside = Running(house, provider, writing)
        await inside.at_once()
        yield inside


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """How often each function is called in this thread meanwhile, ours and C's, by its name."""
    seen: Counter[str] = Counter()

    def note(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            seen[frame.f_code.co_name] += 1
        elif event == "c_call":
            seen[getattr(arg, "__qualname__", repr(arg))] += 1

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


async def test_an_event_is_encoded_once(tmp_path: Path) -> None:
    """The bytes that are stored are those that are told; nothing makes them again."""
    async with running(tmp_path, 1) as inside:
        await inside.move()
        with calls() as seen:
            for _ in range(EVENTS):
                await inside.move()
        assert seen[encode_event.__name__] == EVENTS


async def test_an_event_is_encoded_once_when_a_follower_takes_it(tmp_path: Path) -> None:
    """A follower is given the bytes that were made for the disk."""
    async with running(tmp_path, 1) as inside:
        task = await inside.context.orchestrator.find("local", "t0")
        with calls() as seen:
            await inside.move()
            (entry,) = await inside.context.log.read(task.uid, task.seq, 10)
        assert (seen[encode_event.__name__], entry.seq) == (1, task.seq + 1)


@pytest.mark.parametrize("tasks", [1, CROWD])
async def test_a_group_of_events_is_as_many_statements_as_one(tmp_path: Path, tasks: int) -> None:
    """Begin, the tasks by their fence, whether all were found, events, commit: in one visit,
    however many events there are."""
    async with running(tmp_path, tasks) as inside:
        await inside.at_once()
        inside.writing.visits, inside.writing.statements = 0, []
        before: Any = inside.context.statistics()["groups"]
        await inside.at_once()
        assert inside.context.statistics()["groups"] == before + 1
        words = [statement.split()[0] for statement in inside.writing.statements]
        assert words == ["BEGIN", "UPDATE", "SELECT", "INSERT", "COMMIT"]
        assert inside.writing.visits == 1


async def test_a_step_forward_writes_no_column_that_has_an_index(tmp_path: Path) -> None:
    """An event that only brings its task forward leaves state, ends and owners alone: only
    the position of the change is in an index."""
    async with running(tmp_path, 1) as inside:
        await inside.move()
        inside.writing.statements = []
        await inside.move()
        (update,) = (one for one in inside.writing.statements if one.split()[0] == "UPDATE")
        written = update.partition("FROM")[0]
        assert "changed" in written
        assert not [name for name in ("state", "ended_at", "owner") if f"{name} =" in written]


async def test_an_event_starts_no_task_of_its_own(tmp_path: Path) -> None:
    """Nothing is scheduled for an event but what its commit calls back."""
    async with running(tmp_path, 1) as inside:
        await inside.move()
        started: list[str] = []

        def make(
            loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any
        ) -> asyncio.Task[Any]:
            started.append(work.__qualname__)
            return asyncio.Task(work, loop=loop, **more)

        loop = asyncio.get_running_loop()
        loop.set_task_factory(make)
        try:
            for _ in range(EVENTS):
                await inside.move()
        finally:
            loop.set_task_factory(None)
        assert started == []


async def test_an_event_wakes_its_task_and_its_gallery_once(tmp_path: Path) -> None:
    """One wake of each topic for an event, and none of any other."""
    async with running(tmp_path, 2) as inside:
        task = await inside.context.orchestrator.find("local", "t0")
        other = await inside.context.orchestrator.find("local", "t1")
        woken: Counter[str] = Counter()
        for topic in (task.uid, other.uid, "tasks:local"):
            inside.context.subscriptions.follow(topic, lambda topic=topic: woken.update([topic]))
        place = 0 if await told_by(inside, 0, task.uid) else 1
        woken.clear()
        for _ in range(EVENTS):
            await inside.move(place)
        assert woken == {task.uid: EVENTS, "tasks:local": EVENTS}


async def told_by(inside: Running, place: int, uid: str) -> bool:
    """Whether that report is the task's."""
    before = inside.context.log.recent(uid, 0, 1000) or []
    await inside.move(place)
    return len(inside.context.log.recent(uid, 0, 1000) or []) > len(before)


async def test_an_event_is_no_line_of_the_log(tmp_path: Path) -> None:
    """What happens a thousand times a second is counted, not printed, even at `debug`."""
    async with running(tmp_path, 1) as inside:
        await inside.move()
        said = io.StringIO()
        telemetry.configure("debug", "json", said, strict=True)
        for _ in range(EVENTS):
            await inside.move()
        assert said.getvalue() == ""


async def test_an_event_is_few_calls(tmp_path: Path) -> None:
    """From the provider's report to the wake, with the commit's part of the loop, about a
    hundred and fifty calls, C's among them; it was above two hundred and fifty."""
    async with running(tmp_path, CROWD) as inside:
        await inside.at_once()
        with calls() as seen:
            for _ in range(10):
                await inside.at_once()
        assert seen.total() / (10 * CROWD) < 200, seen.most_common(40)


async def test_events_leave_no_memory_behind(tmp_path: Path) -> None:
    """Once the tail is full an event takes the place of another."""
    async with running(tmp_path, 1, tail_events=16) as inside:
        for _ in range(EVENTS):
            await inside.move()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(EVENTS):
            await inside.move()
        gc.collect()
        assert sys.getallocatedblocks() - before < EVENTS
