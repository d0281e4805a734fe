"""How long attempts took that completed, by model and host: what may be expected of the next.

In memory, the last so many of each; a start seeds it from the store. Knows no clock and no
task. What took too long is not in here, since it never completed: it widens the limit
instead, so that a model that has become slower is not cut off for ever.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from itertools import accumulate
from math import sqrt

import msgspec

from .rules import Key, Rules

KEPT = 200
"""Attempts that are remembered of each model at each host."""

SOME = 8
"""Fewer than this say nothing yet about when the next one ends."""

ENOUGH = 20
"""Fewer than this are no ground to cut an attempt off."""

LATE = 0.2
"""The share of the longest run that is allowed for where a run is longer than that."""

LOW, HIGH, NEARLY_ALL = 0.06, 0.94, 0.98

WIDER, NARROWER = 2.0, 0.9
"""What a time-out, and what a completed attempt, does to a limit that was too tight."""


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds: what few go below, what one half does, what few go above; and moments."""

    low: float
    middle: float
    high: float
    mean: float
    deviation: float


class Times:
    """The last run times of one model at one host."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._came: deque[int] = deque()
        self._sorted: list[int] = []
        self._spread: Spread | None = None
        self._sums: list[int] = []
        self._squares: list[int] = []
        self.stretch = 1.0

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, took: int) -> None:
        """One more; the oldest goes if there are many."""
        self._came.append(took)
        insort(self._sorted, took)
        if len(self._came) > self._kept:
            oldest = self._came.popleft()
            del self._sorted[bisect_right(self._sorted, oldest) - 1]
        self._spread = None
        self._sums.clear()

    def quantile(self, share: float) -> float:
        """What that share of them did not exceed, between two of them in proportion."""
        place = share * (len(self._sorted) - 1)
        below = int(place)
        above = min(below + 1, len(self._sorted) - 1)
        low, high = self._sorted[below], self._sorted[above]
        return low + (high - low) * (place - below)

    def spread(self) -> Spread | None:
        """What they come to; None while they are too few."""
        if len(self._sorted) < SOME:
            return None
        if self._spread is None:
            mean = sum(self._sorted) / len(self._sorted)
            deviation = sqrt(sum((one - mean) ** 2 for one in self._sorted) / len(self._sorted))
            low, middle, high = (self.quantile(share) for share in (LOW, 0.5, HIGH))
            self._spread = Spread(low, middle, high, mean, deviation)
        return self._spread

    def rest(self, elapsed: int) -> tuple[float, float]:
        """What is left on average for one that has run so long, and the deviation of that; a
        little for one that has run longer than all before it."""
        place, count = bisect_right(self._sorted, elapsed), len(self._sorted)
        if place == count:
            late = LATE * self._sorted[-1] if self._sorted else 0.0
            return late, late
        if not self._sums:
            self._sums = list(accumulate(self._sorted, initial=0))
            self._squares = list(accumulate((one * one for one in self._sorted), initial=0))
        mean = (self._sums[-1] - self._sums[place]) / (count - place)
        squares = (self._squares[-1] - self._squares[place]) / (count - place)
        return mean - elapsed, sqrt(max(0.0, squares - mean**2))

    def left(self, elapsed: int) -> Spread | None:
        """The same of what is left for one that has run so long already: as of those that took
        longer than that. None if too few did."""
        place = bisect_right(self._sorted, elapsed)
        rest = Times()
        rest._sorted = [one - elapsed for one in self._sorted[place:]]
        return rest.spread() if len(rest) >= SOME // 2 and len(self) >= SOME else None


class History:
    """All of them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._times: dict[Key, Times] = {}

    def add(self, key: Key, took: int) -> None:
        """An attempt has completed in so many milliseconds."""
        times = self._times.setdefault(key, Times())
        times.add(max(took, 0))
        times.stretch = max(1.0, times.stretch * NARROWER)

    def times(self, key: Key) -> Times | None:
        """Those of a model at a host."""
        return self._times.get(key)

    def spread(self, key: Key) -> Spread | None:
        """What may be expected of its next attempt."""
        times = self._times.get(key)
        return None if times is None else times.spread()

    def learnt(self, enough: int) -> int:
        """Of how many models at hosts there are so many."""
        return sum(len(times) >= enough for times in self._times.values())

    def limit(self, key: Key) -> float:
        """How many seconds its next attempt may take."""
        rules, times = self._rules, self._times.get(key)
        if times is None or len(times) < ENOUGH:
            return rules.attempt_seconds
        usual = times.quantile(NEARLY_ALL) / 1000
        wide = max(rules.factor * usual, rules.floor_seconds) * times.stretch
        longest = times.quantile(1.0) / 1000 * (1 + LATE)
        return min(max(wide, longest), rules.attempt_seconds)

    def timed_out(self, key: Key) -> None:
        """An attempt was cut off: the next one gets twice as long."""
        times = self._times.get(key)
        if times is not None and self.limit(key) < self._rules.attempt_seconds:
            times.stretch *= WIDER
