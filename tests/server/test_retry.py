"""What follows from an outcome: the next attempt and its time, or the end."""

from __future__ import annotations

import pytest

from safelight.providers.base import Again, Ended, Gone, Never, Unclear
from safelight.retry import Dice, RetryPolicy
from safelight_protocol.charges import FREE
from safelight_protocol.events import Charge, error_data
from safelight_protocol.inputs import Faulted, GaveUp, InDoubt, Lost, Stopped
from tests.doubles.lives import CHARGED, NOW, asked, changed, fresh, resolved

POLICY = RetryPolicy(attempts=4, losses=2, base_seconds=2.0, max_seconds=5.0)
AGAIN = Again("provider_failed", "it broke")
ERROR = error_data("provider_failed", "it broke", retryable=True)


def dice(share: float = 0.0) -> Dice:
    """Dice that always fall the same."""
    return Dice(lambda: share, lambda: 99)


def waited(faults: int, share: float, after_seconds: float | None = None) -> int:
    """Milliseconds until the next attempt."""
    outcome = Again("provider_failed", "it broke", after_seconds)
    verdict = POLICY.verdict(fresh(faults=faults, attempt=faults + 1), outcome, NOW, dice(share))
    assert isinstance(verdict, Faulted)
    return verdict.retry_at - NOW


@pytest.mark.parametrize(
    ("faults", "least", "most"), [(0, 1_000, 2_000), (1, 2_000, 4_000), (2, 2_500, 5_000)]
)
def test_the_wait_doubles_up_to_its_bound(faults: int, least: int, most: int) -> None:
    """Half of each wait is drawn: never at once, and never past the longest."""
    assert (waited(faults, 0.0), waited(faults, 1.0)) == (least, most)
    assert waited(faults, 0.5) == (least + most) / 2


WISHES = [(0.5, 1_000), (1.5, 1_500), (90.0, 90_000), (1e9, 21_600_000)]


@pytest.mark.parametrize(("wish", "wait"), WISHES)
def test_a_provider_may_ask_for_more(wish: float, wait: int) -> None:
    """Its own wish is a floor, also beyond our longest wait; less than ours is not taken, nor
    more than six hours."""
    assert waited(0, 0.0, wish) == wait


def test_faults_are_given_up_at_last() -> None:
    """The last attempt's fault is the end, free, and says that it may be asked for again."""
    verdict = POLICY.verdict(fresh(faults=3, attempt=4), AGAIN, NOW, dice(0.5))
    assert verdict == GaveUp(ERROR, FREE)
    assert POLICY.verdict(fresh(faults=2, attempt=9), AGAIN, NOW, dice(0.0)) == Faulted(
        ERROR, NOW + 2_500
    )


def test_one_attempt_means_no_retry() -> None:
    """Who wants a single attempt has its fault at once."""
    once = RetryPolicy(attempts=1)
    assert once.verdict(fresh(), AGAIN, NOW, dice(0.0)) == GaveUp(ERROR, FREE)


def test_a_loss_is_started_again_at_once() -> None:
    """What is gone and free needs no pause."""
    verdict = POLICY.verdict(fresh(), Gone("the server restarted"), NOW, dice(1.0))
    assert verdict == Lost(error_data("lost", "the server restarted", retryable=True), NOW)


@pytest.mark.parametrize(
    ("attempt", "faults", "again"),
    [(1, 0, True), (2, 0, True), (3, 0, False), (5, 3, True), (6, 3, False)],
)
def test_losses_are_counted_without_faults(attempt: int, faults: int, again: bool) -> None:
    """Two losses are allowed, whatever faults lie between them; the third is the end."""
    verdict = POLICY.verdict(fresh(attempt=attempt, faults=faults), Gone("gone"), NOW, dice(0.0))
    assert isinstance(verdict, Lost if again else GaveUp)
    assert isinstance(verdict, Lost | GaveUp) and verdict.error.code == "lost"


def test_what_fails_for_good_is_the_end() -> None:
    """No further attempt, with the provider's own code and charge, and no hope held out."""
    verdict = POLICY.verdict(fresh(), Never("invalid_input", "too dark", CHARGED), NOW, dice(0.0))
    error = error_data("invalid_input", "too dark", retryable=False)
    assert verdict == GaveUp(error, CHARGED)


def test_what_cannot_be_told_is_not_guessed() -> None:
    """Nothing is started again where a second one could be billed."""
    assert POLICY.verdict(fresh(), Unclear("no answer"), NOW, dice(0.0)) == InDoubt()


def test_a_stop_is_a_stop() -> None:
    """A prediction that was stopped ends with what it cost."""
    charge = Charge(verdict="estimated", amount_micros=5)
    assert POLICY.verdict(fresh(), Ended(charge), NOW, dice(0.0)) == Stopped(charge)


CONFLICT = Again("seed_conflict", "seen before", fresh_seed=True)


def test_a_seed_of_ours_is_replaced() -> None:
    """A seed that is refused is drawn anew, and nothing else is: the pause is the same."""
    verdict = POLICY.verdict(fresh(), CONFLICT, NOW, dice())
    error = error_data("seed_conflict", "seen before", retryable=True)
    assert verdict == Faulted(error, NOW + 1_000, seed=99)
    other = POLICY.verdict(fresh(), AGAIN, NOW, dice())
    assert isinstance(other, Faulted) and other.seed is None


def test_a_seed_of_theirs_is_not() -> None:
    """A refused seed that the caller chose is the end at once, with what can be done."""
    verdict = POLICY.verdict(fresh(asked=asked(seed=7)), CONFLICT, NOW, dice())
    assert isinstance(verdict, GaveUp)
    assert (verdict.error.code, verdict.error.retryable) == ("seed_conflict", False)
    assert verdict.error.message == "seen before; choose another seed or leave it open"


def test_conflicts_end_at_the_limit_too() -> None:
    """A provider that refuses every seed is given up like any other fault."""
    verdict = POLICY.verdict(fresh(faults=3, attempt=4), CONFLICT, NOW, dice())
    assert isinstance(verdict, GaveUp) and verdict.error.code == "seed_conflict"


@pytest.mark.parametrize("tries", [3, 64, 100_000])
def test_the_pause_is_bounded_however_often_it_is_tried(tries: int) -> None:
    """No number of tries makes a pause longer than the longest, or breaks the arithmetic."""
    assert POLICY.pause(tries, 1.0) == 5.0


@pytest.mark.parametrize(
    "outcome",
    [
        Again("throttled", "too many", 60.0, elsewhere=True),
        Never("provider_refused", "our key", elsewhere=True),
    ],
)
def test_an_equal_host_is_asked_at_once(outcome: Again | Never) -> None:
    """Its attempt waits for nothing, and what was for good was of the other host only."""
    via = resolved(provider="south")
    found = RetryPolicy().verdict(fresh(), outcome, NOW, dice(), via=via)
    assert isinstance(found, Faulted)
    assert (found.retry_at, found.via, found.error.retryable) == (NOW, via, True)


def test_an_equal_host_is_no_further_attempt() -> None:
    """The last fault is the last one, however many hosts there are."""
    via = resolved(provider="south")
    last = changed(fresh(), faults=2)
    outcome = Never("provider_refused", "our key", elsewhere=True)
    assert isinstance(RetryPolicy().verdict(last, outcome, NOW, dice(), via=via), GaveUp)
