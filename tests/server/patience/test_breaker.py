"""The breaker's table, cell by cell, and what each does to who waits."""

from __future__ import annotations

import itertools

import pytest

from safelight.dispatch import Dispatcher
from safelight.patience import Patience, Rules
from safelight.patience.breaker import TABLE, Breaker, Cause, Fact, Gate, why
from safelight.providers.base import Again, Done, Ended, Never, Outcome, Unclear
from safelight_protocol.task import Task
from tests.doubles.lives import NOW, fresh, resolved

RULES = Rules(faults=3, open_seconds=30.0, most_seconds=100.0)
KEY = ("acme", "acme/x")
SICK = Again("provider_failed", "ill", elsewhere=True)


def brought_to(gate: Gate, cause: Cause = Cause.FAULTS) -> Breaker:
    """A breaker there, whose pause ends in 30 seconds from NOW."""
    breaker = Breaker()
    if gate is not Gate.CLOSED:
        if cause is Cause.FAULTS:
            for _ in range(RULES.faults):
                breaker.hear(Fact.FAULT, NOW, RULES)
        else:
            breaker.hear(Fact.WAIT, NOW, RULES, NOW + 30_000)
    if gate is Gate.TRIAL:
        breaker.hear(Fact.TIME, NOW + 30_000, RULES)
    assert breaker.gate is gate
    return breaker


LEADS = {
    (Gate.CLOSED, Fact.FAULT): Gate.CLOSED,  # the first of three
    (Gate.CLOSED, Fact.WAIT): Gate.OPEN,
    (Gate.CLOSED, Fact.ACCEPTED): Gate.CLOSED,
    (Gate.CLOSED, Fact.GOOD): Gate.CLOSED,
    (Gate.CLOSED, Fact.TIME): Gate.CLOSED,
    (Gate.OPEN, Fact.FAULT): Gate.OPEN,
    (Gate.OPEN, Fact.WAIT): Gate.OPEN,
    (Gate.OPEN, Fact.ACCEPTED): Gate.OPEN,
    (Gate.OPEN, Fact.GOOD): Gate.TRIAL,
    (Gate.OPEN, Fact.TIME): Gate.TRIAL,
    (Gate.TRIAL, Fact.FAULT): Gate.OPEN,
    (Gate.TRIAL, Fact.WAIT): Gate.OPEN,
    (Gate.TRIAL, Fact.ACCEPTED): Gate.TRIAL,
    (Gate.TRIAL, Fact.GOOD): Gate.CLOSED,
    (Gate.TRIAL, Fact.TIME): Gate.TRIAL,
}


@pytest.mark.parametrize(("gate", "fact"), list(itertools.product(Gate, Fact)))
def test_every_cell_leads_where_it_should(gate: Gate, fact: Fact) -> None:
    """Fifteen cells, none left out."""
    assert LEADS.keys() == TABLE.keys()
    breaker = brought_to(gate)
    breaker.hear(fact, NOW + 30_000, RULES, NOW + 90_000)
    assert breaker.gate is LEADS[gate, fact]


def test_it_opens_with_the_last_of_so_many_in_a_row() -> None:
    """A good one in between begins the count anew."""
    breaker = Breaker()
    for fact in (Fact.FAULT, Fact.FAULT, Fact.GOOD, Fact.FAULT, Fact.FAULT):
        breaker.hear(fact, NOW, RULES)
        assert breaker.gate is Gate.CLOSED
    breaker.hear(Fact.FAULT, NOW, RULES)
    assert (breaker.gate, breaker.until) == (Gate.OPEN, NOW + 30_000)


def test_each_trial_that_fails_doubles_the_pause() -> None:
    """Up to the most; after a good one it is short again."""
    breaker, now, pauses = brought_to(Gate.OPEN), NOW, []
    for _ in range(3):
        now = breaker.until
        breaker.hear(Fact.TIME, now, RULES)
        breaker.hear(Fact.FAULT, now, RULES)
        pauses.append(breaker.until - now)
    assert pauses == [60_000, 100_000, 100_000]
    breaker.hear(Fact.TIME, breaker.until, RULES)
    breaker.hear(Fact.GOOD, now, RULES)
    for _ in range(3):
        breaker.hear(Fact.FAULT, now, RULES)
    assert breaker.until - now == 30_000


def test_a_pause_that_was_asked_for_ends_with_the_first_request_that_is_taken() -> None:
    """A provider that is throttled is well: nobody need wait for the end of a trial. One that
    failed has to finish something first."""
    throttled = brought_to(Gate.TRIAL, Cause.THROTTLED)
    throttled.hear(Fact.ACCEPTED, NOW, RULES)
    assert throttled.gate is Gate.CLOSED
    ill = brought_to(Gate.TRIAL)
    ill.hear(Fact.ACCEPTED, NOW, RULES)
    assert ill.gate is Gate.TRIAL


def test_of_two_pauses_the_later_counts() -> None:
    """Several requests under way may each be told to wait."""
    breaker = Breaker()
    for seconds in (20, 60, 40):
        breaker.hear(Fact.WAIT, NOW, RULES, NOW + seconds * 1000)
    assert breaker.until == NOW + 60_000


def test_the_reason_says_until_when() -> None:
    """In the words for each cause; a closed one, or one on trial, holds nobody."""
    ill, throttled = brought_to(Gate.OPEN), brought_to(Gate.OPEN, Cause.THROTTLED)
    assert why(KEY, ill) == "breaker of acme/x on acme until 22:13:50 UTC, after 3 faults in a row"
    assert why(KEY, throttled) == (
        "acme/x on acme is asked to wait by its provider until 22:13:50 UTC"
    )
    assert why(KEY, Breaker()) is why(KEY, brought_to(Gate.TRIAL)) is None


class Bench:
    """Patience with a clock that a test sets, and two places."""

    def __init__(self) -> None:
        self.now = NOW
        self.dispatcher = Dispatcher({"acme": 2})
        self.patience = Patience(self.dispatcher, RULES, lambda resolved: (), lambda: self.now)
        self.woken = 0
        self.patience.wake = self._wake

    def _wake(self) -> None:
        self.woken += 1

    def hear(self, *outcomes: Outcome) -> None:
        """Attempts that ended so, one after the other."""
        for outcome in outcomes:
            self.patience.heard(task(), outcome)

    def wait(self, *uids: str, model: str = "acme/x") -> None:
        """These tasks come."""
        for uid in uids:
            self.dispatcher.enqueue(uid, "acme", owner="ann", model=model)


def task() -> Task:
    """One that runs as KEY."""
    return fresh(resolved=resolved(provider="acme", model="acme/x"), claimed_at=NOW)


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        pytest.param(SICK, True, id="verified"),
        pytest.param(Never("provider_refused", "our key", elsewhere=True), False, id="our key"),
        pytest.param(Never("model_not_found", "none", elsewhere=True), False, id="no such model"),
        pytest.param(Never("provider_failed", "ill", elsewhere=True), True, id="ill for good"),
        pytest.param(Again("throttled", "too many", elsewhere=True), True, id="429 without a time"),
        pytest.param(Again("provider_failed", "the model failed"), False, id="the model"),
        pytest.param(Never("invalid_input", "no such size"), False, id="the caller"),
        pytest.param(Unclear("nobody knows"), False, id="in doubt"),
        pytest.param(Ended(), False, id="cancelled"),
    ],
)
def test_only_verified_faults_of_the_provider_count(outcome: Outcome, counts: bool) -> None:
    """What a caller did wrong, a doubt or a cancel opens nothing, however often."""
    bench = Bench()
    bench.hear(*[outcome] * 3)
    bench.wait("a")
    assert (bench.dispatcher.take(NOW) == []) is counts


def test_time_outs_count() -> None:
    """An attempt past its deadline is a fault of who was to make it."""
    bench = Bench()
    for _ in range(3):
        bench.patience.timed_out(task())
    assert bench.patience.statistics()["breakers_open"] == 1


def test_an_open_breaker_holds_one_model_and_loses_nobody() -> None:
    """Others at the host go on; who waits is told why, tried one by one, and then all go."""
    bench = Bench()
    bench.hear(SICK, SICK, SICK)
    bench.wait("a", "b", "c")
    bench.wait("other", model="acme/y")
    assert bench.dispatcher.take(bench.now) == ["other"]
    assert bench.dispatcher.reason("acme", "ann", "acme/x").startswith("breaker of acme/x")
    assert bench.patience.due() == NOW + 30_000
    bench.now += 30_000
    bench.patience.refresh(bench.now)
    assert bench.dispatcher.take(bench.now) == ["a"]
    bench.dispatcher.remove("other")
    assert bench.dispatcher.take(bench.now) == [], "one at a time"
    bench.dispatcher.remove("a")
    bench.hear(Done())
    assert bench.dispatcher.take(bench.now) == ["b", "c"]
    assert bench.woken == 3
    assert bench.patience.due() is None


def test_a_trial_that_tells_nothing_is_followed_by_another() -> None:
    """A task that is cancelled in it holds nobody up."""
    bench = Bench()
    bench.hear(SICK, SICK, SICK)
    bench.wait("a", "b")
    bench.now += 30_000
    bench.patience.refresh(bench.now)
    assert bench.dispatcher.take(bench.now) == ["a"]
    bench.dispatcher.remove("a")
    bench.hear(Ended())
    assert bench.dispatcher.take(bench.now) == ["b"]


def test_a_429_with_a_time_holds_until_then_without_a_burst() -> None:
    """One fault is enough, nobody is sent before, and then one first."""
    bench = Bench()
    bench.hear(Again("throttled", "too many", 12.0, elsewhere=True))
    bench.wait("a", "b")
    bench.patience.refresh(bench.now + 11_999)
    assert bench.dispatcher.take(bench.now + 11_999) == []
    bench.now += 12_000
    bench.patience.refresh(bench.now)
    assert bench.dispatcher.take(bench.now) == ["a"]
    bench.patience.accepted(task())
    assert bench.dispatcher.take(bench.now) == ["b"]


def test_a_pause_without_an_end_is_cut() -> None:
    """Whoever asks for a year is tried again in six hours."""
    bench = Bench()
    bench.hear(Again("throttled", "too many", 1e12))
    assert bench.patience.due() == NOW + 6 * 3600 * 1000


def test_a_breaker_that_closed_is_forgotten() -> None:
    """Nothing is kept for models that are well."""
    bench = Bench()
    bench.hear(SICK, Done(), SICK, SICK, SICK)
    bench.now += 30_000
    bench.patience.refresh(bench.now)
    bench.hear(Done())
    assert bench.patience._breakers == {}
    assert bench.patience.statistics()["breakers_opened"] == 1
