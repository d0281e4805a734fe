"""Many tasks, several owners and a few places, in a time of their own: how long ranges hold.

Stands for the server around dispatcher and patience: tasks come, are claimed, run for as long
as chance says, and hear of their range when they come and every five seconds. No clock and no
loop: an event after the other. What is unlike the truth: claims and ends take no time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from random import Random
from statistics import median

import msgspec

from safelight.dispatch import Dispatcher
from safelight.patience import Patience, Rules
from safelight.providers.base import Done
from safelight_protocol.events import Eta
from tests.doubles.lives import NOW, fresh, resolved

ROUND_MS = 5000


class Visit(msgspec.Struct):
    """One task: who sent it, when, how long it runs, what it was told first, and its end."""

    uid: str
    owner: str
    model: str
    came: int
    runs: int
    told_at: int | None = None
    told: Eta | None = None
    ended: int | None = None

    @property
    def inside(self) -> bool:
        """Whether it ended in the range that it was told first."""
        assert self.told is not None and self.told_at is not None and self.ended is not None
        took = (self.ended - self.told_at) / 1000
        return self.told.low - 0.05 <= took <= self.told.high + 0.05

    @property
    def width(self) -> float:
        """Seconds."""
        assert self.told is not None
        return self.told.high - self.told.low


def visits(
    count: int, seed: int, *, owners: int, places: int, load: float, deviation: float
) -> list[Visit]:
    """Tasks of two models that come in bursts; `load` is the share of the places they fill."""
    chance = Random(seed)
    usual = {"acme/quick": 12_000.0, "acme/slow": 40_000.0}
    models = chance.choices(list(usual), weights=[3, 1], k=count)
    pause = (12_000.0 * 3 + 40_000.0) / 4 / places / load
    made, now = [], NOW
    while len(made) < count:
        burst = min(chance.choice([1, 1, 1, 2, 4]), count - len(made))
        now += round(chance.expovariate(1 / (pause * burst)))
        owner = f"owner{chance.randrange(owners)}"
        for _ in range(burst):
            model = models[len(made)]
            runs = round(usual[model] * chance.lognormvariate(0, deviation))
            made.append(Visit(f"t{len(made)}", owner, model, now, runs))
    return made


class Room:
    """`after` is called behind each event, with the time."""

    def __init__(self, places: int) -> None:
        self.now = NOW
        self.dispatcher = Dispatcher({"acme": places})
        clock = self._clock
        self.patience = Patience(self.dispatcher, Rules(), lambda resolved: (), clock)
        self.visits: dict[str, Visit] = {}
        self._begun: dict[str, int] = {}

    def _clock(self) -> int:
        return self.now

    def play(self, visits: list[Visit]) -> Iterator[int]:
        """One event after the other, until all have ended; yields the time of each."""
        events = [(one.came, number, one.uid) for number, one in enumerate(visits)]
        events.append((NOW + ROUND_MS, -1, "round"))
        heapq.heapify(events)
        self.visits = {one.uid: one for one in visits}
        while any(one.ended is None for one in visits):
            self.now, number, uid = heapq.heappop(events)
            if uid == "round":
                self._round()
                heapq.heappush(events, (self.now + ROUND_MS, -1, "round"))
            elif uid in self._begun:
                self._end(self.visits[uid])
            else:
                self._come(self.visits[uid])
            for taken in self.dispatcher.take(self.now):
                self._begun[taken] = self.now
                heapq.heappush(events, (self.now + self.visits[taken].runs, number, taken))
            yield self.now

    def _come(self, visit: Visit) -> None:
        outlook = self.patience.newcomer("acme", visit.owner, visit.model, self.now)
        self._hear(visit, outlook.eta)
        limit = self.now + 10**9
        mine = {"owner": visit.owner, "model": visit.model, "told_at": self.now}
        self.dispatcher.join(visit.uid, "acme", limit, **mine)

    def _round(self) -> None:
        for visit in self.visits.values():
            waiting = self.dispatcher.waiting(visit.uid)
            if waiting is not None:
                self._hear(visit, self.patience.outlook(waiting, self.now).eta)

    def _hear(self, visit: Visit, eta: Eta | None) -> None:
        if visit.told is None and eta is not None:
            visit.told, visit.told_at = eta, self.now

    def _end(self, visit: Visit) -> None:
        visit.ended = self.now
        ran = resolved(model=visit.model, provider="acme")
        task = fresh(visit.uid, resolved=ran, claimed_at=self._begun[visit.uid])
        self.patience.heard(task, Done())
        self.dispatcher.remove(visit.uid)


def figures(visits: list[Visit]) -> tuple[int, float, float]:
    """How many were told a range, the share that ended inside, and the median width in
    median run times."""
    told = [one for one in visits if one.told is not None]
    inside = sum(one.inside for one in told) / len(told)
    width = median(one.width for one in told) / (median(one.runs for one in told) / 1000)
    return len(told), inside, width
