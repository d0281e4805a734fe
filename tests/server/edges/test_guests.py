"""Seeing everybody out: in which order, how many at a time, and never longer than needed."""

from __future__ import annotations

from contextlib import ExitStack

from safelight.edges.guests import LEAST, STEP_SECONDS, Guests


class Departures:
    """Guests of a test: who went at which pause, and what a pause brings."""

    def __init__(self, count: int) -> None:
        self.guests = Guests()
        self.pauses: list[float] = []
        self.went: list[tuple[int, int]] = []
        self.stack = ExitStack()
        for number in range(count):
            self.come(number)

    def come(self, number: int) -> None:
        """One more."""
        go = lambda: self.went.append((number, len(self.pauses)))  # noqa: E731
        self.stack.enter_context(self.guests.staying(go))

    async def sleep(self, seconds: float) -> None:
        """Time is the number of pauses."""
        self.pauses.append(seconds)

    def groups(self) -> list[int]:
        """How many went before, between and after the pauses."""
        return [sum(at == n for _, at in self.went) for n in range(len(self.pauses) + 1)]


async def test_many_go_evenly_in_the_order_of_their_coming() -> None:
    """A thousand in two seconds: fifty at a time, nineteen pauses, the oldest first."""
    told = Departures(1000)
    await told.guests.see_out(2.0, told.sleep)
    assert [number for number, _ in told.went] == list(range(1000))
    assert told.groups() == [50] * 20
    assert told.pauses == [STEP_SECONDS] * 19


async def test_a_few_go_at_once() -> None:
    """Nobody is waited for when there is nobody to be spread."""
    told = Departures(LEAST)
    await told.guests.see_out(60.0, told.sleep)
    assert (told.groups(), told.pauses) == ([LEAST], [])
    empty = Departures(0)
    await empty.guests.see_out(60.0, empty.sleep)
    assert empty.pauses == []


async def test_without_time_all_go_at_once() -> None:
    """Zero seconds leave no room for a pause."""
    told = Departures(1000)
    await told.guests.see_out(0.0, told.sleep)
    assert (told.groups(), told.pauses) == ([1000], [])


async def test_whoever_left_alone_is_not_waited_for() -> None:
    """Once the last has gone by itself there are no more pauses."""
    told = Departures(50)

    async def all_leave(seconds: float) -> None:
        await told.sleep(seconds)
        told.stack.close()

    await told.guests.see_out(60.0, all_leave)
    assert (len(told.went), len(told.pauses), len(told.guests)) == (LEAST, 1, 0)


async def test_who_comes_meanwhile_goes_too() -> None:
    """At the latest with the last group; and who comes after it goes at once."""
    told = Departures(30)

    async def one_comes(seconds: float) -> None:
        await told.sleep(seconds)
        told.come(100 + len(told.pauses))

    await told.guests.see_out(3 * STEP_SECONDS, one_comes)
    assert len(told.pauses) == 2
    assert {number for number, _ in told.went} == {*range(30), 101, 102}
    told.come(200)
    assert told.went[-1][0] == 200
    assert len(told.guests) == 0
