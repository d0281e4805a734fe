"""One timer for many deadlines: who is looked at when, in virtual time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from safelight.edges.patience import Patience
from safelight.edges.wheel import Wheel
from tests.simulation.loop import run


class Silent:
    """Somebody with a deadline, who notes when it was looked at."""

    def __init__(self, *deadlines: float) -> None:
        self.slot: int | None = None
        self.looks: list[float] = []
        self._deadlines = list(deadlines)

    def look(self, now: float) -> float:
        """Noted; the next of the deadlines, or never."""
        self.looks.append(now)
        return self._deadlines.pop(0) if self._deadlines else math.inf


def test_everybody_is_looked_at_after_the_deadline_and_soon() -> None:
    """Never before, and at most one slot late; who says when next is looked at then."""

    async def main() -> None:
        wheel = Wheel()
        once, twice, late = Silent(), Silent(7.5), Silent()
        wheel.watch(late, 30.2)
        wheel.watch(once, 2.0)
        wheel.watch(twice, 2.1)
        await asyncio.sleep(100)
        assert (once.looks, twice.looks, late.looks) == ([2.0], [3.0, 8.0], [31.0])
        assert len(wheel) == 0

    run(main)


def test_who_is_forgotten_is_not_looked_at() -> None:
    """Nor is it held, and forgetting twice is fine; others in the slot stay."""

    async def main() -> None:
        wheel = Wheel()
        gone, stays = Silent(), Silent()
        for one in (gone, stays):
            wheel.watch(one, 5.0)
        wheel.forget(gone)
        wheel.forget(gone)
        assert len(wheel) == 1
        await asyncio.sleep(10)
        assert (gone.looks, stays.looks) == ([], [5.0])

    run(main)


def test_who_has_no_deadline_is_not_watched() -> None:
    """A poll shows that its client lives; there is nothing to look for."""

    async def main() -> None:
        wheel = Wheel()
        wheel.watch(Silent(), math.inf)
        assert len(wheel) == 0

    run(main)


def judged(untaken: list[int], writes: Callable[[Patience], None] = lambda _: None) -> float:
    """When a client is given up whose untaken bytes are these at each look, 30 s apart."""
    given_up: list[float] = []

    async def main() -> float:
        loop = asyncio.get_running_loop()
        left = iter(untaken)
        patience = Patience(30.0, lambda: next(left), lambda: given_up.append(loop.time()))
        writes(patience)
        await asyncio.sleep(30.0 * len(untaken))
        patience.end()
        return given_up[0] if given_up else math.inf

    return float(run(main))


def test_who_takes_nothing_is_given_up() -> None:
    """At the end of its time."""
    assert judged([100, 100]) == 30.0


def test_who_takes_a_little_has_as_long_again() -> None:
    """As often as less is untaken than before."""
    assert judged([100, 99, 98, 98]) == 90.0


def test_what_is_written_meanwhile_is_not_held_against_it() -> None:
    """More is untaken than before, and yet some was taken."""
    assert judged([100, 149, 149], lambda patience: patience.wrote(50)) == 60.0
