"""What is learnt of run times: quantiles, what is left, and how long an attempt may take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.patience import Rules
from safelight.patience.history import ENOUGH, KEPT, SOME, History, Times

KEY = ("acme", "acme/x")
RULES = Rules(factor=3.0, floor_seconds=10.0, attempt_seconds=600.0)


def times(*took: int) -> Times:
    """Those run times."""
    made = Times()
    for one in took:
        made.add(one)
    return made


def history(took: int, count: int) -> History:
    """So many attempts that took as long."""
    made = History(RULES)
    for _ in range(count):
        made.add(KEY, took)
    return made


def test_a_few_attempts_say_nothing_yet() -> None:
    """Neither of when the next one ends, nor of how long it may take."""
    assert times(*[1000] * (SOME - 1)).spread() is None
    assert times(*[1000] * SOME).spread() is not None
    assert history(30_000, ENOUGH - 1).limit(KEY) == 600.0
    assert history(30_000, ENOUGH).limit(KEY) == 90.0


def test_a_limit_has_a_floor_and_a_ceiling() -> None:
    """A quick model is not cut off for one slow answer, and the setting is the most."""
    assert history(100, ENOUGH).limit(KEY) == 10.0
    assert history(500_000, ENOUGH).limit(KEY) == 600.0


def test_others_are_not_judged_by_it() -> None:
    """The same model at another host has a history of its own."""
    assert history(1000, ENOUGH).limit(("other", "acme/x")) == 600.0


def test_a_model_that_gets_slower_is_not_cut_off_for_ever() -> None:
    """Each time-out doubles what the next attempt may take, until it may take all there is;
    what completes then is learnt, and narrows it again."""
    learnt = history(10_000, 100)
    limits = []
    for _ in range(6):
        limits.append(learnt.limit(KEY))
        learnt.timed_out(KEY)
    assert limits == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0]
    for _ in range(KEPT):
        learnt.add(KEY, 70_000)
    assert learnt.limit(KEY) == 210.0


def test_only_the_last_ones_count() -> None:
    """What a model was long ago is forgotten."""
    made = times(*[90_000] * KEPT, *[1000] * KEPT)
    spread = made.spread()
    assert spread is not None and spread.high == 1000


@given(st.lists(st.integers(0, 10**7), min_size=SOME, max_size=3 * KEPT))
def test_a_spread_is_in_order_and_of_the_last(took: list[int]) -> None:
    """Whatever was seen: low, middle and high stand in order, within what was seen last."""
    spread = times(*took).spread()
    assert spread is not None
    last = took[-KEPT:]
    assert min(last) <= spread.low <= spread.middle <= spread.high <= max(last)
    assert min(last) - 1e-6 <= spread.mean <= max(last) + 1e-6


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=100), st.integers(0, 2 * 10**6))
def test_what_is_left_is_never_negative(took: list[int], elapsed: int) -> None:
    """Also for one that has run longer than all before it."""
    mean, deviation = times(*took).rest(elapsed)
    assert mean >= 0 and deviation >= 0
    left = times(*took).left(elapsed)
    assert left is None or 0 <= left.low <= left.high


@pytest.mark.parametrize(("elapsed", "middle"), [(0, 550), (500, 300)])
def test_what_is_left_is_as_of_those_that_took_longer(elapsed: int, middle: int) -> None:
    """The longer it has run, the more of the quick ones are out of the question."""
    left = times(*range(100, 1001, 100), *range(100, 1001, 100)).left(elapsed)
    assert left is not None and left.middle == pytest.approx(middle)
