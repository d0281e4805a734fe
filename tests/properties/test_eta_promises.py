"""Ranges that are told: they hold, and as instants they never rise while nothing changed."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.dispatch import Dispatcher, Waiting
from safelight.patience import Patience, Rules, eta
from safelight_protocol.events import Eta
from tests.doubles.lives import NOW, fresh, resolved
from tests.doubles.waiting_room import Room, figures, visits

RANGES = st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).map(
    lambda pair: (NOW + min(pair), NOW + max(pair))
)


@given(st.lists(st.tuples(RANGES, st.integers(0, 10**5)), min_size=1, max_size=30))
def test_a_promise_never_rises(found: list[tuple[eta.Range | None, int]]) -> None:
    """Whatever is reckoned later, and however much time passes; once its end has passed,
    nothing is told."""
    kept: eta.Range | None = None
    now = NOW
    for one, passed in found:
        now += passed
        told = eta.promised(kept, one, now)
        if kept is not None and told is not None:
            assert told[0] <= kept[0] and told[1] <= kept[1]
        if kept is not None and told is not None:
            assert told[1] > now
        kept = told if told is not None else kept


SPANS = st.lists(st.builds(eta.Each, st.floats(0, 1e6), st.floats(0, 1e6)), min_size=0, max_size=12)


@given(places=st.integers(1, 8), left=SPANS, ahead=SPANS)
def test_more_before_a_task_never_makes_it_earlier(
    places: int, left: list[eta.Each], ahead: list[eta.Each]
) -> None:
    """The wait grows with each one who stands before, and is none where a place is free."""
    left = left[:places]
    waits = [eta.wait(places, left, ahead[:count]).expected for count in range(len(ahead) + 1)]
    assert waits == sorted(waits)
    if len(left) < places:
        assert waits[0] == 0


class Line:
    """One place that is taken, a line before it, and a history to go by."""

    def __init__(self) -> None:
        self.now = NOW
        self.dispatcher = Dispatcher({"acme": 1})
        clock = self._clock
        self.patience = Patience(self.dispatcher, Rules(), lambda resolved: (), clock)
        self.patience.learn([(("acme", "x"), took) for took in range(5_000, 25_000, 1_000)])
        self.dispatcher.occupy("busy", "acme", "x", NOW)

    def _clock(self) -> int:
        return self.now

    def come(self, uid: str, owner: str = "ann") -> None:
        """One more."""
        self.dispatcher.enqueue(uid, "acme", owner=owner, model="x")

    def waiting(self, uid: str) -> Waiting:
        """Its stay in the queue."""
        found = self.dispatcher.waiting(uid)
        assert found is not None
        return found

    def instants(self, uid: str) -> tuple[float, float] | None:
        """Between which it is told to end."""
        told = self.patience.outlook(self.waiting(uid), self.now).eta
        return None if told is None else (told.low * 1000 + self.now, told.high * 1000 + self.now)


@settings(deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=12), st.integers(0, 3))
def test_who_waits_is_never_told_later_while_nothing_changed(
    passing: list[int], before: int
) -> None:
    """While the one that runs goes on for longer than any before it, say."""
    line = Line()
    for n in range(before + 1):
        line.come(f"t{n}")
    uid = f"t{before}"
    kept = line.instants(uid)
    assert kept is not None
    for passed in passing:
        line.now += passed
        told = line.instants(uid)
        if told is not None:
            assert told[0] <= max(kept[0], line.now) + 0.01 and told[1] <= kept[1] + 0.01
            kept = told


def test_a_change_may_be_told_later() -> None:
    """Another position is another promise."""
    line = Line()
    line.come("a0")
    line.come("a1")
    first = line.instants("a1")
    line.come("b0", owner="bob")
    line.come("b1", owner="bob")
    second = line.instants("a1")
    assert first is not None and second is not None and second[1] > first[1]


def test_nothing_is_told_of_what_is_not_known() -> None:
    """Of a model without a past, of one whose breaker is open, of a retry before its time."""
    line = Line()
    line.dispatcher.enqueue("new", "acme", owner="ann", model="y")
    line.come("known")
    line.dispatcher.enqueue("later", "acme", NOW + 9_000, owner="ann", model="x")
    assert line.instants("new") is None
    assert line.instants("known") is not None
    assert line.instants("later") is None
    line.dispatcher.hold_model("acme", "x", "breaker")
    assert line.instants("known") is None
    assert line.patience.newcomer("acme", "ann", "x", NOW).eta is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30_000), st.none() | st.floats(0, 1)), min_size=1, max_size=20
    )
)
def test_who_runs_is_never_told_later(reports: list[tuple[int, float | None]]) -> None:
    """Not when it stands still, and not when its steps become slower."""
    line = Line()
    task = fresh(resolved=resolved(provider="acme", model="x"), claimed_at=NOW)
    kept: tuple[float, float] | None = None
    for passed, progress in reports:
        line.now += passed
        told = line.patience.progressing(task, progress)
        if told is None:
            continue
        found = (told.low * 1000 + line.now, told.high * 1000 + line.now)
        if kept is not None:
            assert found[0] <= max(kept[0], line.now) + 0.01 and found[1] <= kept[1] + 0.01
        kept = found


def test_progress_tells_more_than_history() -> None:
    """One that is half done after ten seconds needs about ten more; one without a word of it
    is judged by the others."""
    line = Line()
    task = fresh(resolved=resolved(provider="acme", model="x"), claimed_at=NOW)
    line.now += 10_000
    told = line.patience.progressing(task, 0.5)
    assert told is not None and told.low < 10 < told.high < 15
    silent = fresh("u2", resolved=resolved(provider="acme", model="x"), claimed_at=NOW)
    told = line.patience.progressing(silent, None)
    assert told is not None and told.low < 7 < told.high <= 14


def test_a_promise_ends_with_the_attempt() -> None:
    """What was promised binds as long as the attempt is followed, and is forgotten then: by
    the one who leaves that attempt, not by one who leaves an earlier one."""
    line = Line()
    task = fresh(attempt=2, resolved=resolved(provider="acme", model="x"), claimed_at=NOW)
    line.now += 10_000
    assert line.patience.progressing(task, 0.5) is not None
    line.now += 60_000
    line.patience.left(fresh(attempt=1))
    assert line.patience.progressing(task, 0.5) is None
    line.patience.left(task)
    assert line.patience.progressing(task, 0.5) is not None


def test_too_little_progress_tells_nothing() -> None:
    """From five percent and a second on the progress of an attempt says when it ends."""
    assert eta.running(NOW, 10_000, 0.0499, None) is None
    assert eta.running(NOW, 10_000, 0.05, None) is not None
    line, found = Line(), []
    task = fresh(resolved=resolved(provider="acme", model="new"), claimed_at=NOW)
    for passed in (999, 1):
        line.now += passed
        found.append(line.patience.progressing(task, 0.5))
    assert found[0] is None and found[1] is not None


def test_buckets_are_steps_of_one_two_and_five() -> None:
    """Ranges of one bucket are no news."""
    highs = (0.5, 1.5, 3, 7, 15, 30, 70)
    assert [eta.bucket(Eta(0, high)) for high in highs] == list(range(7))
    assert eta.bucket(None) == -1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("places", "load"), [(4, 0.7), (8, 0.8)])
def test_of_500_tasks_most_end_as_they_were_told(places: int, load: float, seed: int) -> None:
    """Of five owners who come in bursts, with lognormal run times of two models: at least 80 of
    a hundred end inside the range that they were told first, and half of the ranges are no
    wider than twice the median run time."""
    tasks = visits(500, seed, owners=5, places=places, load=load, deviation=0.3)
    room = Room(places)
    for _ in room.play(tasks):
        pass
    told, inside, width = figures(tasks)
    print(f"{places} places, load {load}: {told} told, {inside:.0%} inside, width {width:.2f}")
    assert told >= 450
    assert inside >= 0.8
    assert width <= 2.0


PAGE = (Path(__file__).parents[2] / "docs/patience.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+), (\d+) % \| ([\d.]+) \| (\d+) %[^|]* \| ([\d.]+)", re.MULTILINE)
ROWS = [tuple(map(float, row)) for row in ROW.findall(PAGE)]


@pytest.mark.slow
@pytest.mark.parametrize(("places", "full", "deviation", "inside", "width"), ROWS)
def test_the_table_of_the_page_is_what_comes_of_it(
    places: float, full: float, deviation: float, inside: float, width: float
) -> None:
    """Each row of docs/patience.md is the mean of ten seeds of 500 tasks."""
    found = []
    for seed in range(10):
        told = {"places": int(places), "load": full / 100, "deviation": deviation}
        tasks = visits(500, seed, owners=5, **told)
        for _ in Room(int(places)).play(tasks):
            pass
        found.append(figures(tasks))
    assert mean(share for _, share, _ in found) * 100 == pytest.approx(inside, abs=1)
    assert mean(median for _, _, median in found) == pytest.approx(width, abs=0.1)


def test_the_page_has_its_rows() -> None:
    """All six of them are found, and played above."""
    assert len(ROWS) == 6
