"""What the health of a backend means for who waits for it: held, told, and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from safelight.backends import Directory, Health, Rhythm, Unreachable, Wanted
from safelight.dispatch import Dispatcher, host_of
from safelight.orchestrator import Orchestrator
from safelight.waits import TELL_SECONDS, Waits
from tests.doubles.lives import NOW
from tests.doubles.served import PATIENCE

HOST = host_of("comfyui", "gpu")
RHYTHM = Rhythm(up_seconds=3600, first_seconds=3600, most_seconds=7200)


class Moody:
    """A backend that is as the test says."""

    name, label, type, url = "gpu", "GPU", "comfyui", "http://gpu"

    def __init__(self) -> None:
        self.error: str | None = None

    async def health(self) -> Health:
        """Up, or the error."""
        if self.error is not None:
            raise Unreachable(self.error)
        return Health(status="up")

    async def checkpoints(self) -> list[str]:
        """None."""
        return []

    async def check(self, wanted: Wanted) -> None:
        """Everything passes."""


class Desk:
    """In the orchestrator's place: it holds hosts, and notes what tasks are told."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.told: list[tuple[str, str]] = []

    def hold(self, host: str, reason: str | None) -> None:
        """Pass it on."""
        self.dispatcher.hold(host, reason)

    async def tell_waiting(self, uid: str, reason: str) -> None:
        """Note it."""
        self.told.append((uid, reason))

    async def guarded(self, uid: str, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it."""
        await work()


class House:
    """The parts, a backend, and time that passes when the test says so."""

    def __init__(self) -> None:
        self.backend = Moody()
        self.dispatcher = Dispatcher({HOST: 1})
        self.desk = Desk(self.dispatcher)
        self.directory = Directory({"gpu": self.backend}, clock=lambda: NOW, rhythm=RHYTHM)
        self.slept: list[float] = []
        self.asleep = asyncio.Event()
        self.morning = asyncio.Event()
        self.seen = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Until the test lets time pass."""
        self.slept.append(seconds)
        self.asleep.set()
        await self.morning.wait()
        self.morning.clear()

    async def look(self, error: str | None) -> None:
        """Let it be so, and have it seen."""
        self.backend.error = error
        self.seen.clear()
        self.directory.suspect("gpu")
        async with asyncio.timeout(PATIENCE):
            await self.seen.wait()

    async def rest(self) -> None:
        """Return once somebody has told, and waits before the next time."""
        async with asyncio.timeout(PATIENCE):
            await self.asleep.wait()
        self.asleep.clear()


@asynccontextmanager
async def housed() -> AsyncIterator[House]:
    """Started, and the backend seen to be up."""
    house = House()
    orchestrator: Orchestrator = house.desk  # type: ignore[assignment]
    async with anyio.create_task_group() as group:
        waits = Waits(house.directory, house.dispatcher, orchestrator, group, house.sleep)
        waits.begin()
        assert house.dispatcher.reason(HOST) == "gpu has not been asked yet how it is"

        def news(name: str) -> None:
            waits.news(name)
            house.seen.set()

        house.directory.start(group, news)
        async with asyncio.timeout(PATIENCE):
            await house.seen.wait()
        yield house
        group.cancel_scope.cancel()


async def test_nothing_is_taken_before_it_was_asked() -> None:
    """From the first good answer on it is."""
    async with housed() as house:
        house.dispatcher.enqueue("a", HOST)
        assert house.dispatcher.take(NOW) == ["a"]


async def test_a_dead_host_is_held_and_its_line_is_told() -> None:
    """Each of those who wait, once, with the reason; and nobody is taken."""
    async with housed() as house:
        for uid in "ab":
            house.dispatcher.enqueue(uid, HOST)
        await house.look("gone")
        await house.rest()
        reason = house.directory.reason("gpu")
        assert reason is not None and reason.startswith("gpu is down, asked again at 20")
        assert house.desk.told == [("a", reason), ("b", reason)]
        assert house.dispatcher.take(NOW) == []


async def test_who_waits_is_told_at_most_once_in_a_while() -> None:
    """Whatever changes meanwhile is told afterwards, as it is by then; nothing new is not."""
    async with housed() as house:
        for uid in "ab":
            house.dispatcher.enqueue(uid, HOST)
        await house.look("gone")
        await house.rest()
        first = len(house.desk.told)
        await house.look(None)
        assert house.dispatcher.take(NOW) == ["a"], "it is released at once"
        await house.look("gone again")
        await house.look(None)
        assert len(house.desk.told) == first
        house.morning.set()
        await house.rest()
        assert house.desk.told[first:] == [("b", "gpu is busy (1 of 1 places)")]
        house.morning.set()
        assert house.slept == [TELL_SECONDS] * 2


@pytest.mark.parametrize("error", [None, "gone"])
async def test_what_is_no_news_is_not_told(error: str | None) -> None:
    """The same answer again changes nothing for anybody."""
    async with housed() as house:
        house.dispatcher.enqueue("a", HOST)
        await house.look(error)
        if error is not None:
            await house.rest()
            house.morning.set()
        told = list(house.desk.told)
        await house.look(None if error is None else error)
        assert [one for one in house.desk.told if one not in told] == []
