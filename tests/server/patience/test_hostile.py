"""What patience makes of clocks that are set back, of long runs, of owners that come and go,
and of tasks that may not go where others may."""

from __future__ import annotations

from typing import Any, cast

import anyio
import pytest

from safelight.backends import Directory
from safelight.care import Live
from safelight.dispatch import Dispatcher
from safelight.guard import Guard
from safelight.patience import Patience, Rules
from safelight.patience.breaker import Breaker, Cause, Fact, Gate
from safelight.patience.history import ENOUGH, History
from safelight.providers.base import Again, Done
from safelight.turns import Turns
from safelight_protocol.task import Resolved
from tests.doubles.lives import NOW, asked, fresh, resolved

RULES = Rules(faults=2, open_seconds=30.0, most_seconds=120.0)
HOUR = 3_600_000
SICK = Again("provider_failed", "ill", elsewhere=True)
THROTTLED = Again("throttled", "too many", 10.0, elsewhere=True)


def runs(model: str) -> Resolved:
    """What a request for a model resolves to: `north/x` runs in the north."""
    return resolved(model=model, provider=model.partition("/")[0])


class Room:
    """Two hosts with a place each, whose `x` are equal; the clock is set by the test."""

    def __init__(self) -> None:
        self.now = NOW
        self.dispatcher = Dispatcher({"north": 1, "south": 1})
        equal = {"north/x": "south/x", "south/x": "north/x"}
        self.patience = Patience(
            self.dispatcher,
            RULES,
            lambda one: (runs(equal[one.model]),) if one.model in equal else (),
            lambda: self.now,
        )

    def hear(self, model: str, *outcomes: Again | Done) -> None:
        """Attempts that ended so."""
        for outcome in outcomes:
            self.patience.heard(fresh(resolved=runs(model), claimed_at=NOW), outcome)

    def come(self, *uids: str, model: str, owner: str = "ann") -> None:
        """These tasks come."""
        for uid in uids:
            host = model.partition("/")[0]
            self.dispatcher.join(uid, host, NOW + 10**9, owner=owner, model=model)

    def learn(self, model: str, took: int, count: int = 8) -> None:
        """So many attempts that took as long."""
        self.patience.learn([((model.partition("/")[0], model), took)] * count)


@pytest.mark.parametrize("back", [1, 5, HOUR])
def test_a_clock_that_is_set_back_breaks_no_range(back: int) -> None:
    """By a millisecond or by an hour: who comes then is told one, and none that counts the
    hour as a wait."""
    room = Room()
    room.learn("north/x", 10_000)
    for turn in range(4):
        for owner in ("ann", "bob"):
            room.patience.newcomer("north", owner, "north/x", room.now)
            room.come(f"{owner}{turn}", model="north/x", owner=owner)
    room.dispatcher.take(room.now)
    room.now -= back
    for _ in range(4):
        told = room.patience.newcomer("north", "ann", "north/x", room.now).eta
        assert told is not None and 0 <= told.low <= told.high < 400
        room.now += 1


def test_a_breaker_does_not_wait_for_an_hour_that_was_taken_back() -> None:
    """It is tried when the loop looks next, instead of an hour later."""
    room = Room()
    room.hear("north/x", SICK, SICK)
    room.now -= HOUR
    room.patience.refresh(room.now)
    room.come("a", model="north/x")
    assert room.dispatcher.take(room.now) == ["a"]


def test_what_was_told_at_birth_does_not_rise_either() -> None:
    """The one before it takes longer than any did; a task that stands still is not told a
    later end than it was born with."""
    room = Room()
    room.learn("north/x", 10_000)
    room.come("first", model="north/x")
    room.dispatcher.take(room.now)
    room.now += 11_000
    born = room.patience.newcomer("north", "ann", "north/x", room.now).eta
    assert born is not None
    room.come("second", model="north/x")
    room.patience.promised("second", born, room.now)
    waiting = room.dispatcher.waiting("second")
    assert waiting is not None
    for passed in (1_000, 5_000, 9_000):
        told = room.patience.outlook(waiting, room.now + passed).eta
        assert told is not None
        assert told.high + passed / 1000 <= born.high
        assert told.low + passed / 1000 <= max(born.low, passed / 1000)


def test_no_attempt_is_cut_off_that_takes_as_long_as_one_did() -> None:
    """One in a hundred takes many times as long as the others: the limit is never below the
    longest of those that are remembered."""
    history = History(Rules(factor=3.0, floor_seconds=10.0, attempt_seconds=600.0))
    history.add(("acme", "x"), 300_000)
    for _ in range(10 * ENOUGH - 1):
        history.add(("acme", "x"), 2_000)
    assert history.limit(("acme", "x")) == 360.0
    history.add(("acme", "x"), 2_000)
    assert history.limit(("acme", "x")) == 10.0


def test_a_429_does_not_make_an_ill_model_well() -> None:
    """One that opened because of faults closes with a success, not with a request that is
    taken, whatever its provider asks for meanwhile."""
    for ill in (Gate.OPEN, Gate.TRIAL):
        breaker = Breaker()
        breaker.hear(Fact.FAULT, NOW, RULES)
        breaker.hear(Fact.FAULT, NOW, RULES)
        if ill is Gate.TRIAL:
            breaker.hear(Fact.TIME, NOW + 30_000, RULES)
        breaker.hear(Fact.WAIT, NOW + 30_000, RULES, NOW + 40_000)
        assert (breaker.gate, breaker.cause, breaker.until) == (
            Gate.OPEN,
            Cause.FAULTS,
            NOW + 40_000,
        )
        breaker.hear(Fact.TIME, NOW + 40_000, RULES)
        breaker.hear(Fact.ACCEPTED, NOW + 40_000, RULES)
        gates = [breaker.gate]
        breaker.hear(Fact.GOOD, NOW + 40_000, RULES)
        assert [*gates, breaker.gate] == [Gate.TRIAL, Gate.CLOSED]


def test_who_waits_there_for_another_breaker_takes_no_place_from_who_comes_over() -> None:
    """Two breakers at once: the place of the equal is free, though a line stands there."""
    room = Room()
    room.hear("north/x", SICK, SICK)
    room.hear("south/y", SICK, SICK)
    room.come("y1", "y2", model="south/y")
    room.come("a", model="north/x")
    room.patience.detour(lambda uid: runs("north/x" if uid == "a" else "south/y"))
    assert room.dispatcher.take(room.now) == ["a"]
    assert room.dispatcher.host("a") == "south"
    over = room.patience.gone_over("a")
    assert over is not None and over.model == "south/x"


def test_who_may_not_go_keeps_nobody_else_from_going() -> None:
    """The head of a held line said where it runs; those behind it go over, in their order."""
    room = Room()
    room.hear("north/x", THROTTLED)
    room.come("stays", "goes", "waits", model="north/x")
    room.patience.detour(lambda uid: None if uid == "stays" else runs("north/x"))
    assert room.dispatcher.take(room.now) == ["goes"]
    assert room.dispatcher.waiting("stays") is not None


async def test_who_named_a_backend_waits_for_it() -> None:
    """While its breaker is open the others who wait there go over, and that one stays."""
    room, nobody = Room(), cast(Any, None)
    live = {
        uid: Live(fresh(uid, resolved=runs("north/x"), asked=asked(backend=backend)))
        for uid, backend in (("stays", "mine"), ("goes", None))
    }
    room.hear("north/x", THROTTLED)
    room.come(*live, model="north/x")
    async with anyio.create_task_group() as group:
        guard = Guard(group, nobody, lambda: "x")
        backends = Directory({}, clock=lambda: room.now)
        turns = Turns(
            *(room.dispatcher, room.patience, backends, guard, nobody, nobody, nobody),
            *(live, nobody, lambda: room.now),
        )
        turns.round(room.now)
        group.cancel_scope.cancel()
    assert room.dispatcher.host("goes") == "south"
    stays = room.dispatcher.waiting("stays")
    assert stays is not None and stays.host == "north"


def test_an_equal_whose_host_is_down_is_no_way_out() -> None:
    """A fault is tried again at home, instead of waiting for a host that takes nobody."""
    room = Room()
    task = fresh(resolved=runs("north/x"))
    room.dispatcher.hold("south", "south is down")
    assert room.patience.elsewhere(task) is None
    room.dispatcher.hold("south", None)
    assert room.patience.elsewhere(task) == runs("south/x")


@pytest.mark.parametrize("held", [True, False])
def test_nothing_is_kept_of_owners_who_come_and_go(held: bool) -> None:
    """Behind a full host, or one that is held, ten thousand of them leave again before their
    turn: what is kept is as much as waits."""
    dispatcher = Dispatcher({"acme": 1})
    dispatcher.hold("acme", "down" if held else None)
    dispatcher.enqueue("runs", "acme", owner="zoe", model="x")
    dispatcher.take(NOW)
    dispatcher.enqueue("stays", "acme", owner="zoe", model="x")
    for number in range(10_000):
        dispatcher.enqueue(f"t{number}", "acme", owner=f"owner{number}", model="x")
        dispatcher.remove(f"t{number}")
    assert dispatcher.entries() < 200
    assert len(dispatcher._hosts["acme"].owners) < 100
    dispatcher.hold("acme", None)
    dispatcher.remove("runs")
    assert dispatcher.take(NOW) == ["stays"]


def test_nothing_is_kept_of_owners_behind_a_long_run() -> None:
    """Each of them comes to an empty line and leaves it again."""
    dispatcher = Dispatcher({"acme": 1})
    dispatcher.occupy("runs", "acme", "x", NOW)
    for number in range(1_000):
        dispatcher.enqueue(f"t{number}", "acme", owner=f"owner{number}", model="x")
        dispatcher.remove(f"t{number}")
    assert len(dispatcher._hosts["acme"].owners) < 100


def test_who_named_a_backend_does_not_go_over() -> None:
    """Also not after a verified fault of it."""
    named = fresh(resolved=runs("north/x"), asked=asked(backend="mine"))
    assert Room().patience.elsewhere(named) is None


def test_what_was_followed_again_teaches_nothing() -> None:
    """A restart is in its time."""
    room = Room()
    for _ in range(ENOUGH):
        task = fresh(resolved=runs("north/x"), claimed_at=NOW - 1_000)
        room.patience.heard(task, Done(), whole=False)
    assert room.patience.statistics()["models_learnt"] == 0
