"""When a task will have ended, as a range: pure arithmetic over what is known.

Before a task stand others, whose run times are expected one by one where they are few, and
on average where they are many; so many places work them off. Its own run comes on top. The
range is what nearly all of the like needed, and as told instants it never rises while nothing
has changed. Milliseconds throughout. Knows no task and no clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from math import sqrt
from typing import NamedTuple

from safelight_protocol.events import Eta, timestamp

from .history import Spread

SURE = 1.8
"""Deviations of the waiting time that are allowed for to both sides."""

BURSTS = 2.0
"""How many come together on average, which makes their number less sure."""

STEPS = (1, 2, 5)

Range = tuple[int, int]
"""Two instants between which the end is expected."""


class Wait(NamedTuple):
    """How long until a task is taken, and the deviation of that."""

    expected: float
    deviation: float


NONE = Wait(0.0, 0.0)


class Each(NamedTuple):
    """What is expected of one run: its length, and the deviation of that."""

    mean: float
    deviation: float


def mixed(parts: Iterable[tuple[int, Each]]) -> Each:
    """What is expected of a run of which it is only known how many there are of each sort."""
    parts = list(parts)
    count = sum(number for number, _ in parts)
    mean = sum(number * each.mean for number, each in parts) / count
    squares = sum(number * (each.mean**2 + each.deviation**2) for number, each in parts) / count
    return Each(mean, sqrt(max(0.0, squares - mean**2)))


def wait(places: int, left: Sequence[Each], ahead: Sequence[Each]) -> Wait:
    """Until one of the places is free, `left` being what the running ones still need and
    `ahead` those who have their turn before, in their order."""
    free = places - len(left)
    if len(ahead) < free:
        return NONE
    ends = [each.mean for each in left] + [0.0] * max(0, free)
    heapq.heapify(ends)
    for each in ahead:
        heapq.heappushpop(ends, ends[0] + each.mean)
    spread = sum(each.deviation**2 for each in (*left, *ahead))
    return Wait(ends[0], sqrt(spread) / max(1, places))


def long_wait(places: int, left: Sequence[Each], ahead: int, each: Each) -> Wait:
    """The same where so many have their turn before that only their mean counts."""
    residual = (each.mean**2 + each.deviation**2) / (2 * each.mean) if each.mean else 0.0
    work = sum(one.mean for one in left) + ahead * each.mean - (places - 1) * residual
    spread = sum(one.deviation**2 for one in left) + ahead * each.deviation**2
    return Wait(max(0.0, work / places), sqrt(spread) / places)


def later(waits: Wait, come: float, each: Each, places: int) -> Wait:
    """With those who come only now and have their turn before, too; so many are expected."""
    more = come * each.mean / places
    spread = BURSTS * come * (each.mean**2 + each.deviation**2) / places**2
    return Wait(waits.expected + more, sqrt(waits.deviation**2 + spread))


def queued(now: int, waits: Wait, run: Spread) -> Range:
    """The range of one that waits."""
    middle = waits.expected + run.middle
    around = SURE * waits.deviation
    low = middle - sqrt(around**2 + (run.middle - run.low) ** 2)
    high = middle + sqrt(around**2 + (run.high - run.middle) ** 2)
    return now + round(max(low, run.low)), now + round(high)


def running(now: int, elapsed: int, progress: float | None, left: Spread | None) -> Range | None:
    """The range of one that runs: by what it has done of itself if it says so, else by how
    long the others took that had run so long. None where neither is known."""
    if progress is not None and 0.05 <= progress < 1.0 and elapsed > 0:
        rest = elapsed * (1 - progress) / progress
        margin = 0.15 + 0.35 * (1 - progress)
        return now + round(rest * (1 - margin)), now + round(rest * (1 + margin))
    return None if left is None else (now + round(left.low), now + round(left.high))


def promised(before: Range | None, reckoned: Range | None, now: int) -> Range | None:
    """What may be told, given what was told before while nothing has changed since: neither
    end is later than it was. None once the time that was told has passed."""
    if before is None:
        return reckoned
    low, high = before
    if reckoned is not None:
        low, high = min(low, reckoned[0]), min(high, reckoned[1])
    return None if high <= now else (low, high)


def from_now(expected: Range | None, now: int) -> Eta | None:
    """The range in seconds from now on."""
    if expected is None:
        return None
    low, high = (max(0, at - now) / 1000 for at in expected)
    return Eta(low, high, timestamp(now))


def bucket(eta: Eta | None) -> int:
    """Ranges of one bucket are as good as equal: steps of 1, 2 and 5 of the later end."""
    if eta is None:
        return -1
    bounds = (step * 10**power for power in range(7) for step in STEPS)
    return sum(1 for bound in bounds if eta.high >= bound)
