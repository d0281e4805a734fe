"""What the health of a backend means for who waits for it: held, told, and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, cast

import anyio
import anyio.abc
import pytest

from safelight.backends import Directory, Health, Rhythm, Unreachable, Wanted
from safelight.dispatch import Dispatcher, host_of
from safelight.orchestrator import Orchestrator
from safelight.patience import Patience, Rules
from safelight.providers.base import Again
from safelight.waits import FRONT, MOST, STRETCH, TELL_SECONDS, Waits
from safelight_protocol.events import Eta
from tests.doubles.lives import NOW, fresh, resolved
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


class Told(NamedTuple):
    """What a task heard of its wait."""

    reason: str | None
    eta: Eta | None


class Desk:
    """In the orchestrator's place: it holds hosts, and notes what tasks are told."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.told: list[tuple[str, str]] = []
        self.known: dict[str, Told] = {}

    def hold(self, host: str, reason: str | None) -> None:
        """Pass it on."""
        self.dispatcher.hold(host, reason)

    async def tell_waiting(self, uid: str, reason: str, eta: Eta | None = None) -> None:
        """Note it."""
        self.told.append((uid, reason))
        self.known[uid] = Told(reason, eta)

    def told_to(self, uid: str) -> Told | None:
        """What it heard last."""
        return self.known.get(uid)

    async def guarded(self, uid: str, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it."""
        await work()


class House:
    """The parts, a backend, and time that passes when the test says so."""

    def __init__(self) -> None:
        self.backend = Moody()
        self.dispatcher = Dispatcher({HOST: 1})
        self.patience = Patience(self.dispatcher, Rules(), lambda resolved: (), self.clock)
        self.desk = Desk(self.dispatcher)
        self.directory = Directory({"gpu": self.backend}, clock=lambda: NOW, rhythm=RHYTHM)
        self.slept: list[float] = []
        self.asleep = asyncio.Event()
        self.morning = asyncio.Event()
        self.seen = asyncio.Event()

    def clock(self) -> int:
        """Always the same."""
        return NOW

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
        queue = (house.dispatcher, house.patience)
        clock = house.clock
        waits = Waits(house.directory, *queue, orchestrator, group, house.sleep, clock)
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


class Rounds:
    """A house whose rounds the test makes itself, its one backend up and its place taken."""

    def __init__(self) -> None:
        self.now = NOW
        self.dispatcher = Dispatcher({"acme": 1})
        clock = self._clock
        self.patience = Patience(self.dispatcher, Rules(), lambda resolved: (), clock)
        self.desk = Desk(self.dispatcher)
        desk = cast(Orchestrator, self.desk)
        nobody = cast(anyio.abc.TaskGroup, None)  # it is for news of backends
        queue = (self.dispatcher, self.patience)
        directory = Directory({}, clock=clock)
        self.waits = Waits(directory, *queue, desk, nobody, anyio.sleep, clock)
        self.dispatcher.occupy("busy", "acme", "x", NOW)

    def _clock(self) -> int:
        return self.now

    def come(self, uid: str, owner: str = "ann") -> None:
        """A task that hears at once why it waits."""
        outlook = self.patience.newcomer("acme", owner, "x", self.now)
        self.dispatcher.join(uid, "acme", 10**15, owner=owner, model="x", told_at=self.now)
        self.desk.known[uid] = Told(*outlook)

    def end(self, uid: str) -> None:
        """It leaves."""
        self.dispatcher.remove(uid)
        self.dispatcher.take(self.now)

    async def round(self, seconds: float = TELL_SECONDS) -> list[tuple[str, str]]:
        """What is told after that time."""
        self.now += round(seconds * 1000)
        self.desk.told.clear()
        await self.waits.round("acme")
        return list(self.desk.told)


async def test_a_new_reason_is_told_in_the_next_round() -> None:
    """Of those for whom it changed, and to nobody twice."""
    house = Rounds()
    for uid in ("a", "b", "c"):
        house.come(uid)
    assert await house.round() == []
    house.dispatcher.remove("b")
    assert await house.round() == [("c", "acme is busy (1 of 1 places), behind 1 of yours")]
    assert await house.round() == []
    house.end("busy")
    assert await house.round() == [("c", "acme is busy (1 of 1 places)")]


async def test_nobody_is_told_twice_in_five_seconds() -> None:
    """Also not who has just come."""
    house = Rounds()
    house.come("a")
    house.come("b")
    house.dispatcher.remove("a")
    assert await house.round(4.9) == []
    assert [uid for uid, _ in await house.round(0.1)] == ["b"]
    house.come("c", owner="bob")
    house.patience.heard(
        fresh(resolved=resolved(provider="acme", model="x")), Again("throttled", "wait", 60.0)
    )
    assert await house.round(4.9) == []
    assert {uid for uid, _ in await house.round(0.1)} == {"b", "c"}


async def test_a_range_is_told_when_its_bucket_changes() -> None:
    """Not with every second that passes; and that it is no longer known is told, too."""
    house = Rounds()
    house.come("a")
    house.patience.learn([(("acme", "x"), took) for took in range(20_000, 40_000, 1_000)])
    assert [uid for uid, _ in await house.round()] == ["a"]
    first = house.desk.known["a"].eta
    assert first is not None and first.low < 50 < first.high
    told = []
    for _ in range(30):
        told += await house.round()
    assert 2 <= len(told) <= 8, "steps of one, two and five, and its end"
    assert house.desk.known["a"].eta is None


async def test_who_has_not_been_read_is_not_told() -> None:
    """After a start nobody is read only to be told what nobody asked for."""
    house = Rounds()
    house.come("a")
    house.come("b")
    del house.desk.known["b"]
    house.dispatcher.remove("a")
    assert await house.round() == []


async def test_a_round_looks_at_so_many_and_the_next_goes_on() -> None:
    """The front of a long line each time; of the rest one stretch after the other."""
    house = Rounds()
    for n in range(1_000):
        house.come(f"t{n}")
        house.desk.known[f"t{n}"] = Told("something else", None)
    seen = [len(await house.round()) for _ in range(4)]
    assert seen == [FRONT + STRETCH, STRETCH, STRETCH, 1_000 - FRONT - 3 * STRETCH]
    assert await house.round() == []


async def test_a_round_goes_on_with_the_lines_of_other_owners() -> None:
    """However many of them there are, each is told in its turn."""
    house = Rounds()
    for n in range(MOST + 10):
        house.come(f"t{n}", owner=f"owner{n}")
        house.desk.known[f"t{n}"] = Told("something else", None)
    assert len(await house.round()) == MOST
    assert len(await house.round()) == 10


async def test_a_clock_that_is_set_back_silences_nobody() -> None:
    """Who was told at a time that is now to come is told what is new all the same."""
    rounds = Rounds()
    rounds.come("a")
    rounds.come("b")
    rounds.now -= 3_600_000
    rounds.dispatcher.remove("a")
    assert await rounds.round() == [("b", "acme is busy (1 of 1 places)")]
