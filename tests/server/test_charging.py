"""What an attempt cost: said, worked out, counted by us, or not known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from safelight.charging import NO_PRICE, SILENCE, charge_of, files_made
from safelight.providers.base import Account, Again, Done, Ended, Gone, Never, Unclear
from safelight_protocol.charges import FREE
from safelight_protocol.events import Charge
from safelight_protocol.prices import Price, Terms, used
from safelight_protocol.snapshot import opening
from safelight_protocol.task import Task
from tests.doubles.lives import ARTIFACT, CHARGED, fresh

PICTURES = Price(rates={"image": 3000})
BOTH = Price(rates={"image": 3000, "input_token": 2_000_000})
CLIPS = Price(rates={"video_second": 50_000})


def priced(price: Price | None, **params: Any) -> Task:
    """A task of a model with this price; None is one that bills and tells none."""
    task = fresh()
    kept = UNSET if price is None else price
    ran = msgspec.structs.replace(task.resolved, price=kept, terms=Terms(9000), params=params)
    return msgspec.structs.replace(task, resolved=ran)


def done(**counts: Any) -> Done:
    """An end that tells what was used."""
    return Done(usage=used(counts))


CASES: dict[str, tuple[Any, Task, dict[str, int], str, int]] = {
    "all of it told": (done(image=2), priced(PICTURES), {}, "charged", 6000),
    "two units told": (done(image=1, input_token=100), priced(BOTH), {}, "charged", 3200),
    "the pictures counted by us": (
        done(input_token=100),
        priced(BOTH),
        {"image": 2},
        "estimated",
        6200,
    ),
    "nothing told, all counted": (Done(), priced(PICTURES), {"image": 2}, "estimated", 6000),
    "nothing told, nothing made": (Done(), priced(PICTURES), {}, "unknown", 0),
    "tokens cannot be counted by us": (done(image=1), priced(BOTH), {"image": 1}, "unknown", 3000),
    "a clip's length": (Done(), priced(CLIPS, duration=4), {"video": 1}, "estimated", 200_000),
    "a clip of no known length": (Done(), priced(CLIPS), {"video": 1}, "unknown", 0),
    "a run is one": (Done(), priced(Price(rates={"run": 5})), {}, "estimated", 5),
    "no price": (done(image=2), priced(None), {}, "unknown", 0),
    "a price of nothing": (done(image=2), priced(Price(rates={})), {}, "free", 0),
    "a run that was left": (
        Ended(Charge("estimated", reason="canceled"), used({"image": 1})),
        priced(PICTURES),
        {},
        "estimated",
        3000,
    ),
    "a run that was left, not all of it told": (
        Ended(Charge("estimated", reason="canceled"), used({"image": 1})),
        priced(BOTH),
        {},
        "unknown",
        3000,
    ),
    "a run that was left, at no price": (
        Ended(Charge("estimated", reason="canceled"), used({"image": 1})),
        priced(Price(rates={})),
        {},
        "free",
        0,
    ),
    "its own charge wins": (
        Done(CHARGED, used({"image": 9})),
        priced(PICTURES),
        {},
        "charged",
        CHARGED.amount_micros,
    ),
    "stopped, and told": (Ended(usage=used({"image": 0})), priced(PICTURES), {}, "charged", 0),
    "stopped in silence": (Ended(), priced(PICTURES), {"image": 1}, "unknown", 0),
    "failed, and told": (
        Again("x", "y", usage=used({"image": 1})),
        priced(PICTURES),
        {},
        "charged",
        3000,
    ),
    "failed in silence": (Never("x", "y"), priced(PICTURES), {}, "unknown", 0),
    "failed for free": (Never("x", "y", charge=FREE), priced(PICTURES), {}, "free", 0),
    "lost": (Gone("x"), priced(PICTURES), {}, "unknown", 0),
    "accounted later": (Account(usage=used({"image": 3})), priced(PICTURES), {}, "charged", 9000),
}


@pytest.mark.parametrize(
    ("outcome", "task", "made", "verdict", "amount"), CASES.values(), ids=CASES
)
def test_what_an_attempt_cost(
    outcome: Any, task: Task, made: dict[str, int], verdict: str, amount: int
) -> None:
    """Charged if the provider told all that is priced, estimated where we counted part of it,
    free only for a reason, and unknown with what is known of it."""
    charge = charge_of(outcome, task, True, made)
    assert (charge.verdict, charge.amount_micros) == (verdict, amount)
    assert charge.reason or verdict == "free"


@pytest.mark.parametrize("outcome", [Done(), Ended(), Again("x", "y"), Gone("x"), Unclear("x")])
def test_what_was_not_begun_is_free(outcome: Any) -> None:
    """And so is whatever a provider does that never bills."""
    assert charge_of(outcome, priced(PICTURES), False) == FREE
    assert charge_of(outcome, fresh(), False) == FREE


def test_silence_of_a_provider_that_bills_is_no_gift() -> None:
    """Also where no price is kept with the task."""
    assert charge_of(Done(), fresh(), True) == Charge("unknown", reason=SILENCE)


def test_a_charge_says_how_it_came_about() -> None:
    """What was used is told in decimal, and in words with the price."""
    charge = charge_of(done(image=1, input_token=100), priced(BOTH), True)
    assert charge.usage == {"image": "1", "input_token": "100"}
    assert charge.reason == "1 image at $0.003, 100 input tokens at $2.00 a million"
    counted = charge_of(done(input_token=100), priced(BOTH), True, {"image": 1})
    assert counted.reason.endswith("; images counted by us") and counted.usage == {
        "input_token": "100"
    }
    part = charge_of(done(image=1), priced(BOTH), True)
    assert part.reason == "its provider did not say how many input tokens it used"
    assert charge_of(done(image=1), priced(None), True).reason == NO_PRICE
    read = Price(rates={"input_token": 2_000_000})
    cached = charge_of(done(input_token=1, cached_token=4), priced(read), True)
    assert cached.amount_micros == 10
    assert cached.reason.endswith(
        "1 input token at $2.00 a million, 4 cached tokens at $2.00 a million"
    )


def test_files_are_counted_by_attempt() -> None:
    """Those of an earlier attempt are not charged again."""
    assert files_made(None, 1) == {}
    earlier = msgspec.structs.replace(ARTIFACT, attempt=1)
    now = msgspec.structs.replace(ARTIFACT, attempt=2)
    seen = msgspec.structs.replace(opening(fresh()), artifacts=(earlier, now, now))
    assert files_made(seen, 2) == {"image": 2}
