"""What a task costs: its end tells the charges of all its attempts, added up once each."""

from __future__ import annotations

import pytest

from safelight_protocol import events as wire
from safelight_protocol import inputs as happened
from safelight_protocol.charges import FREE, MAX_REASON, added, unknown, whole
from safelight_protocol.events import Charge
from safelight_protocol.inputs import Happening
from tests.doubles.lives import CHARGED, ERROR, NOW, events, example, fresh, lived, result

CLAIMED, CANCEL = example(happened.Claimed), example(happened.CancelAsked)
SILENT = unknown("its provider did not say")
FINISHED_FREE = happened.Finished(result(fresh(), NOW))


def faulted(charge: Charge) -> Happening:
    """An attempt that failed, at this price."""
    return happened.Faulted(ERROR, NOW + 1, charge=charge)


def charge_of(*happenings: Happening) -> Charge:
    """What the end of such a life tells."""
    end = events(lived(fresh(), happenings))[-1]
    assert isinstance(end, wire.Completed | wire.Failed | wire.Canceled)
    return end.charge


ENDS: dict[str, tuple[Happening, ...]] = {
    "refused outright": (CLAIMED, happened.GaveUp(ERROR)),
    "given up while it waits": (happened.GaveUp(ERROR),),
    "cancelled while it waits": (CANCEL,),
    "stopped": (CLAIMED, CANCEL, happened.Stopped()),
    "lost during a cancel": (CLAIMED, CANCEL, example(happened.Lost)),
    "finished for nothing": (CLAIMED, FINISHED_FREE),
}
"""Ends of a second attempt, or before it, that cost nothing themselves."""


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("earlier", [CHARGED, SILENT], ids=["charged", "unknown"])
def test_an_earlier_attempt_is_not_forgotten(earlier: Charge, end: tuple[Happening, ...]) -> None:
    """However a task ends that had an attempt on a bill, its end is not free."""
    told = charge_of(CLAIMED, faulted(earlier), *end)
    assert (told.verdict, told.amount_micros) == (earlier.verdict, earlier.amount_micros)
    assert told.reason == f"attempt 1: {earlier.reason}"


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_nothing_on_a_bill_is_free(end: tuple[Happening, ...]) -> None:
    """A free attempt leaves nothing behind for the end."""
    assert charge_of(CLAIMED, faulted(FREE), *end) == FREE


def test_a_loss_is_kept_like_a_fault() -> None:
    """An attempt that was lost after it was begun may be on a bill too."""
    lost = happened.Lost(ERROR, NOW + 1, charge=SILENT)
    assert charge_of(CLAIMED, lost, CLAIMED, FINISHED_FREE).verdict == "unknown"


def test_each_attempt_is_added_once() -> None:
    """Amounts add up over every attempt, the last one included, and each is named."""
    told = charge_of(
        CLAIMED,
        faulted(CHARGED),
        CLAIMED,
        faulted(FREE),
        CLAIMED,
        faulted(CHARGED),
        CLAIMED,
        example(happened.Finished),
    )
    assert (told.verdict, told.amount_micros) == ("charged", 120_000)
    assert told.reason == "attempt 1: one image; attempt 3: one image; attempt 4: one image"


def test_one_attempt_is_told_as_it_is() -> None:
    """The charge of a task that needed one attempt is its provider's own words."""
    assert charge_of(CLAIMED, example(happened.Finished)) == CHARGED


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ("charged", "estimated", "estimated"),
        ("estimated", "charged", "estimated"),
        ("charged", "unknown", "unknown"),
        ("unknown", "charged", "unknown"),
        ("unknown", "estimated", "unknown"),
    ],
)
def test_the_sum_is_as_sure_as_its_least_sure_part(first: str, second: str, verdict: str) -> None:
    """What is known is still added: with `unknown` the amount is what is known of it."""
    amounts = {"charged": 5, "estimated": 5, "unknown": 0}
    parts = [Charge(v, amounts[v], "EUR" if amounts[v] else "USD") for v in (first, second)]
    told = whole(added(None, parts[0], 1), parts[1], 2)
    assert told.verdict == verdict
    assert (told.amount_micros, told.currency) == (amounts[first] + amounts[second], "EUR")
    assert told.reason == f"attempt 1: {first}; attempt 2: {second}"


def test_two_currencies_do_not_add_up() -> None:
    """The sum is unknown, and its reason has what was not added."""
    told = whole(added(None, CHARGED, 1), Charge("charged", 7, "EUR", "a frame"), 2)
    assert (told.verdict, told.amount_micros, told.currency) == ("unknown", 40_000, "USD")
    assert told.reason.endswith("attempt 2: a frame (7 millionths of EUR, not added)")


def test_a_long_reason_is_cut() -> None:
    """What a task keeps of each attempt is bounded."""
    spent = added(None, unknown("x" * 10_000), 1)
    assert spent is not None and len(spent.reason) < MAX_REASON + 20
