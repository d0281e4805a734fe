"""Breakers, pauses, holds, limits, equals and restarts against one rule: nobody who could
run, here or at an equal, waits for somebody to look.

The loop that claims is the real one, but for its waiting: a round is made when it was woken, or
its pause is over, and never otherwise. Behind that a round that nobody asked for must find
nothing to do. Time is a number that the machine moves, backwards too.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest

from safelight.dispatch import Dispatcher, host_for
from safelight.patience import Patience, Rules
from safelight.providers.base import Again, Done, Gone, Never, Outcome
from safelight.retry import Dice, RetryPolicy
from safelight.turns import Turns
from safelight_protocol import lifecycle
from safelight_protocol.inputs import Finished, Happening
from safelight_protocol.lifecycle import Effect
from safelight_protocol.task import Resolved, State, Task
from tests.doubles.lives import NOW, fresh, resolved, result

PLACES = {"north": 2, "south": 2}
LIMITS = {"north/x": 1}
EQUALS = {"north/x": "south/x", "north/y": "south/y", "south/x": "north/x", "south/y": "north/y"}
RULES = Rules(faults=2, open_seconds=30.0, most_seconds=120.0)
ROUNDS = 50
SEEDS, STEPS = 30, 150
DICE = Dice(lambda: 0.5, lambda: 1)

OUTCOMES: dict[str, Outcome] = {
    "done": Done(),
    "ill": Again("provider_failed", "ill", elsewhere=True),
    "failed": Again("provider_failed", "the model failed"),
    "throttled": Again("throttled", "too many", 40.0, elsewhere=True),
    "our key": Never("provider_refused", "our key", elsewhere=True),
    "invalid": Never("invalid_input", "no such size"),
    "lost": Gone("nobody knows it"),
}


def runs(model: str) -> Resolved:
    """What a request for a model resolves to."""
    return resolved(model=model, requested=model, provider=model.partition("/")[0])


def equals(one: Resolved) -> tuple[Resolved, ...]:
    """The same at the other host."""
    return (runs(EQUALS[one.model]),)


class Kept:
    """A live task, as much of it as the loop asks for."""

    def __init__(self, task: Task) -> None:
        self.task, self.known = task, True


class Guard:
    """Stands for the house's: keeps what the loop begins."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, partial[Any]]] = []

    def start(self, uid: str, name: str, work: partial[Any]) -> None:
        """It is done behind the round."""
        self.begun.append((uid, name, work))


class Nowhere:
    """Stands for the backends: there are none."""

    def url(self, name: str | None) -> None:
        """No address."""


class House:
    """What lives over a restart is the tasks; all else is built anew."""

    def __init__(self) -> None:
        self.now = NOW
        self.live: dict[str, Kept] = {}
        self.policy = RetryPolicy(attempts=4)
        self.awake_at: int | None = NOW
        self.open()

    def open(self) -> None:
        """A start: who was under way keeps the place, who waits is not read yet."""
        self.guard = Guard()
        self.dispatcher = Dispatcher(PLACES, limits=LIMITS)
        self.patience = Patience(self.dispatcher, RULES, equals, lambda: self.now)
        others: Any = (None, None, None)
        queue: Any = (self.dispatcher, self.patience, Nowhere(), self.guard)
        rest: Any = (self.live, None, lambda: self.now)
        self.turns = Turns(*queue, *others, *rest)
        for uid, one in self.live.items():
            task, one.known = one.task, False
            where = (host_for(task.ran), task.ran.model)
            if task.state is State.QUEUED:
                mine = {"owner": task.owner, "model": where[1]}
                self.dispatcher.enqueue(uid, where[0], task.not_before or 0, **mine)
            else:
                self.dispatcher.occupy(uid, *where, self.now)
        self.turns.wake()

    def come(self, task: Task) -> None:
        """A new task."""
        self.live[task.uid] = Kept(task)
        where = {"host": host_for(task.resolved), "model": task.resolved.model}
        if self.dispatcher.join(task.uid, limit=NOW + 10**12, owner=task.owner, **where):
            self.turns.wake()

    def end(self, uid: str, outcome: Outcome) -> None:
        """What became of an attempt, as the runner takes it in."""
        task = self.live[uid].task
        self.patience.heard(task, outcome)
        if isinstance(outcome, Done):
            return self._move(uid, Finished(result(task, self.now)))
        via = None
        if isinstance(outcome, Again | Never) and outcome.elsewhere and self._goes_on(task):
            via = self.patience.elsewhere(task)
        told: Any = outcome
        self._move(uid, self.policy.verdict(task, told, self.now, DICE, via=via))

    def _goes_on(self, task: Task) -> bool:
        return self.policy.has_another(task)

    def cancel(self, uid: str) -> None:
        """It ends, wherever it is."""
        del self.live[uid]
        self.turns.release(uid)

    def _move(self, uid: str, happening: Happening) -> None:
        step = lifecycle.step(self.live[uid].task, happening, self.now)
        self.live[uid].task = step.task
        if step.effect is Effect.ENQUEUE:
            self.turns.enqueue(step.task)
        elif step.effect is Effect.RELEASE:
            self.cancel(uid)

    def settle(self) -> None:
        """Let the loop do whatever it was woken for, or whose time has come."""
        for _ in range(ROUNDS):
            if not self.turns._ready.is_set() and (self.awake_at or self.now + 1) > self.now:
                return
            self.turns._ready.clear()
            self.turns.round(self.now)
            pause = self.turns.pause()
            self.awake_at = None if pause is None else self.now + round(pause * 1000)
            self.carry_out()
        raise AssertionError("the loop runs hot")

    def carry_out(self) -> None:
        """Do what the loop has begun."""
        while self.guard.begun:
            uid, name, work = self.guard.begun.pop(0)
            if uid not in self.live:
                continue
            if name == "recall":
                self.live[uid].known = True
                self.turns._recalled.discard(uid)
                self.turns.wake()
            elif name == "claim":
                self._move(uid, work.args[1])
                self.patience.accepted(self.live[uid].task)


class Patient:
    """What happens to the house, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.house = House()
        self.made = 0
        self.down: set[str] = set()

    def _running(self) -> list[str]:
        live = self.house.live
        return sorted(uid for uid, one in live.items() if one.task.state is not State.QUEUED)

    def step(self) -> None:
        """One thing, and what the loop makes of it."""
        rules = (self.come, self.end, self.cancel, self.fall_or_rise, self.pass_time)
        rule = self.chance.choices((*rules, self.restart), (8, 8, 1, 1, 4, 0.3))[0]
        rule()
        self.house.settle()
        self.nobody_waits_for_a_look()
        self.nobody_waits_beside_a_free_place()

    def come(self) -> None:
        """A new task; one of four says where it runs, and does not go elsewhere."""
        self.made += 1
        owner, model = self.chance.choice(("ann", "bob")), self.chance.choice(sorted(EQUALS))
        task = fresh(f"t{self.made}", owner=owner, resolved=runs(model))
        wish = "mine" if self.chance.random() < 0.25 else None
        asked = msgspec.structs.replace(task.asked, backend=wish)
        self.house.come(msgspec.structs.replace(task, asked=asked))

    def end(self) -> None:
        """A provider says what became of an attempt."""
        if running := self._running():
            how = OUTCOMES[self.chance.choice(sorted(OUTCOMES))]
            self.house.end(self.chance.choice(running), how)

    def cancel(self) -> None:
        """Somebody asked for its end."""
        if self.house.live:
            self.house.cancel(self.chance.choice(sorted(self.house.live)))

    def fall_or_rise(self) -> None:
        """A host goes down, or is back."""
        host = self.chance.choice(sorted(PLACES))
        self.down ^= {host}
        self.house.dispatcher.hold(host, "down" if host in self.down else None)
        self.house.turns.wake()

    def pass_time(self) -> None:
        """Time passes, and the loop is called when it said it would be; or the clock is set
        back, and whoever waits for a breaker does not wait the longer for it."""
        house = self.house
        seconds = self.chance.choice((1, 5, 31, 121, -3600))
        if seconds < 0:
            house.now += seconds * 1000
            house.turns.wake()
            return
        end = house.now + seconds * 1000
        while house.awake_at is not None and house.awake_at <= end:
            house.now = max(house.now, house.awake_at)
            house.settle()
        house.now = end

    def restart(self) -> None:
        """Nothing is kept but the tasks."""
        self.house.open()
        for host in self.down:
            self.house.dispatcher.hold(host, "down")

    def nobody_waits_for_a_look(self) -> None:
        """A round that nobody asked for begins nothing, and sends nobody elsewhere. It may read
        a task that was never read: who is first changes with who was taken."""
        house = self.house
        before = house.turns.statistics()
        house.turns.round(house.now)
        assert {name for _, name, _ in house.guard.begun} <= {"recall"}
        assert house.turns.statistics() == before
        house.carry_out()
        house.settle()

    def nobody_waits_beside_a_free_place(self) -> None:
        """As the machine counts for itself: at its own host, and at an idle equal."""
        house = self.house
        busy = Counter[str]()
        lanes = Counter[tuple[str, str]]()
        for uid in self._running():
            ran = house.live[uid].task.ran
            busy[host_for(ran)] += 1
            lanes[host_for(ran), ran.model] += 1
        assert all(busy[host] <= PLACES[host] for host in PLACES)
        assert all(count <= LIMITS.get(model, 9) for (_, model), count in lanes.items())
        for uid in house.live:
            waiting = house.dispatcher.waiting(uid)
            if waiting is None or waiting.not_before > house.now or waiting.host in self.down:
                continue
            key = (waiting.host, waiting.model)
            limit = 1 if key in house.patience._breakers else LIMITS.get(waiting.model, 9)
            if key not in house.patience._open:
                assert busy[key[0]] >= PLACES[key[0]] or lanes[key] >= limit
            elif house.live[uid].task.asked.backend is None:
                there = EQUALS[waiting.model]
                host = there.partition("/")[0]
                shut = host in self.down or (host, there) in house.patience._open
                assert shut or busy[host] >= PLACES[host] or lanes[host, there]

    def all_end(self) -> None:
        """Nobody starves: once all are well, all end."""
        house = self.house
        for host in self.down:
            house.dispatcher.hold(host, None)
        house.turns.wake()
        for _ in range(len(house.live) + 20):
            house.now += 7_200_000
            house.settle()
            for uid in self._running():
                house.end(uid, Done())
                house.settle()
        assert house.live == {}
        assert house.turns.statistics()["waiting"] == house.turns.statistics()["running"] == 0


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nobody_who_could_run_waits_to_be_looked_at(seed: int) -> None:
    """Whatever happens, in whatever order; and in the end all have ended."""
    patient = Patient(seed)
    for _ in range(STEPS):
        patient.step()
    patient.all_end()
