"""Agreements, budgets and holds: who may begin what, and when another attempt may not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from safelight.books import corrected, moved, opened
from safelight.purse import DAY_MS, Purse, date_of
from safelight.quoting import quote_of
from safelight.registry import Priced, Resolution
from safelight_protocol.charges import saved, unknown
from safelight_protocol.codes import Refused
from safelight_protocol.events import Charge
from safelight_protocol.inputs import CancelAsked, Faulted, Finished, GaveUp, Lost, Progressed
from safelight_protocol.prices import Price, Terms
from safelight_protocol.quotes import Quote
from safelight_protocol.task import Asked, Resolved, Task
from tests.doubles.lives import ERROR, NOW, fresh, result

EACH = 3000
PRICE = Price(rates={"image": EACH})


class Now:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms


def quote(purse: Purse, price: Price | None = PRICE, *, vip: bool = False, n: int = 1) -> Quote:
    """What such a request costs, as ann would be told."""
    named: dict[str, Any] = {"requested": "m", "model": "m", "provider": "p", "backend": None}
    resolved = Resolved(**named, params={}, seed=1, n=n)
    asked = Asked(kind="image", prompt="x")
    resolution = Resolution(asked=asked, resolved=resolved, priced=Priced(price, vip))
    return quote_of(resolution, purse, "ann", None)


def purse(per_day: float | None = None, **budgets: float) -> Purse:
    """One at the time NOW."""
    return Purse(per_day, budgets, lambda: NOW)


def code_of(one: Purse, given: int | None, **about: Any) -> str:
    """How a request is answered: `held` and how much, or the code of its refusal."""
    try:
        terms = one.take("u", "ann", quote(one, **about), given)
    except Refused as refused:
        return refused.code.name
    return f"held {terms.hold}"


ANSWERS: dict[str, tuple[float | None, int | None, dict[str, Any], str]] = {
    "nobody agreed": (None, None, {}, "payment_required"),
    "max_cost is enough": (None, EACH, {}, "held 3000"),
    "more than enough holds the price only": (None, 10 * EACH, {}, "held 3000"),
    "max_cost is too little": (None, EACH - 1, {}, "payment_required"),
    "a budget is an agreement": (0.003, None, {}, "held 3000"),
    "the budget is too small": (0.0029, None, {}, "payment_required"),
    "a budget too small by the least": (0.002999, None, {}, "payment_required"),
    "max_cost does not widen a budget": (0.0029, EACH, {}, "payment_required"),
    "a budget does not widen max_cost": (1.0, EACH - 1, {}, "payment_required"),
    "a budget of nothing": (0, None, {}, "payment_required"),
    "vip": (None, None, {"vip": True}, "vip_required"),
    "vip with max_cost": (None, EACH, {"vip": True}, "held 3000"),
    "vip with a budget": (1.0, None, {"vip": True}, "held 3000"),
    "vip for nothing": (None, None, {"vip": True, "price": Price(rates={})}, "vip_required"),
    "vip for nothing, agreed": (None, 0, {"vip": True, "price": Price(rates={})}, "held 0"),
    "no price": (None, None, {"price": None}, "payment_required"),
    "no price, a limit": (None, 500, {"price": None}, "held 500"),
    "no price, agreed to nothing": (None, 0, {"price": None}, "payment_required"),
    "no upper bound, agreed to less than the least": (
        *(None, 6, {"price": Price(rates={"second": 5, "run": 7})}),
        "payment_required",
    ),
    "no upper bound, agreed to the least": (
        *(None, 7, {"price": Price(rates={"second": 5, "run": 7})}),
        "held 7",
    ),
    "a budget does not cover what nobody knows": (1.0, None, {"price": None}, "payment_required"),
    "no price, a limit within the budget": (1.0, 500, {"price": None}, "held 500"),
    "no price, a limit beyond it": (0.0001, 500, {"price": None}, "payment_required"),
    "no upper bound": (1.0, None, {"price": Price(rates={"second": 5})}, "payment_required"),
    "four pictures": (None, 4 * EACH, {"n": 4}, "held 12000"),
}


@pytest.mark.parametrize(("per_day", "given", "about", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_who_may_begin(
    per_day: float | None, given: int | None, about: dict[str, Any], answer: str
) -> None:
    """A priced or VIP model needs max_cost that covers it, or a budget that does."""
    assert code_of(purse(per_day), given, **about) == answer


def test_a_refusal_has_the_quote() -> None:
    """Whoever is refused is told what it costs, and what would do."""
    one = purse()
    with pytest.raises(Refused) as caught:
        one.take("u", "ann", quote(one), None)
    told: Any = caught.value.extra["quote"]
    assert told["high_micros"] == EACH and told["price"]["rates"] == {"image": EACH}
    assert caught.value.details == [
        {"field": "max_cost", "found": "nothing", "expected": "0.003 or more"}
    ]


def test_a_budget_of_ones_own_comes_first() -> None:
    """Everyone's budget is for those who have none."""
    one = purse(0, ann=1.0)
    assert (one.budget("ann"), one.budget("bob")) == (1_000_000, 0)


def test_the_last_cent_goes_once() -> None:
    """What is held is not left; a task that is written again is held once."""
    one = purse(0.005)
    early = quote(one)
    one.take("u", "ann", quote(one), None)
    one.take("u", "ann", quote(one), None)
    assert (one.left("ann"), one.held("ann")) == (2000, EACH)
    with pytest.raises(Refused) as refused:
        one.take("v", "ann", early, None)
    told: Any = refused.value.extra["quote"]
    assert told["budget"]["left_micros"] == 2000, "as it is now, not as it was quoted"
    one.drop("u")
    one.take("v", "ann", quote(one), None)
    assert one.left("ann") == 2000


def task_of(hold: int = EACH, cap: int | None = None, **more: Any) -> Task:
    """A task of ann's with these terms, claimed."""
    named: dict[str, Any] = {"requested": "m", "model": "m", "provider": "p", "backend": None}
    terms = Terms(hold, hold, cap)
    resolved = Resolved(**named, params={}, seed=1, n=1, price=PRICE, terms=terms)
    given = {"owner": "ann", "resolved": resolved, "deadline": NOW + 1, "handle": "h"} | more
    return msgspec.structs.replace(fresh(), **given)


def unpriced(cap: int) -> Task:
    """One of a model whose price nobody knows: all that was agreed to is held."""
    task = task_of(cap)
    return msgspec.structs.replace(
        task,
        resolved=msgspec.structs.replace(task.resolved, price=UNSET, terms=Terms(cap, None, cap)),
    )


def faulted(charge: Charge) -> Faulted:
    """A failure that would be tried again."""
    return Faulted(ERROR, NOW + 1, charge=charge)


def going_over(charge: Charge, each: int) -> Faulted:
    """The same, and an equal at that price is to run next."""
    cheaper = msgspec.structs.replace(task_of().resolved, price=Price(rates={"image": each}))
    return Faulted(ERROR, NOW + 1, charge=charge, via=cheaper)


CHARGED = Charge("charged", EACH, reason="one image")
RETRIES: dict[str, tuple[Task, Any, bool]] = {
    "free": (task_of(cap=EACH), faulted(Charge("free")), True),
    "paid, with room": (task_of(cap=2 * EACH), faulted(CHARGED), True),
    "paid, without": (task_of(cap=2 * EACH - 1), faulted(CHARGED), False),
    "unknown counts as the most it may be": (task_of(cap=EACH), faulted(unknown("?")), False),
    "unknown, with room": (task_of(cap=2 * EACH), faulted(unknown("?")), True),
    "paid before": (task_of(cap=2 * EACH, spent=CHARGED), faulted(CHARGED), False),
    "lost and paid": (task_of(cap=EACH), Lost(ERROR, NOW, CHARGED), False),
    "an equal that costs less": (task_of(cap=EACH + 10), going_over(CHARGED, 10), True),
    "an equal that costs more": (task_of(cap=EACH + 10), going_over(CHARGED, 11), False),
    "the budget is no more": (task_of(), faulted(CHARGED), False),
    "the budget is no more, nothing spent": (task_of(), faulted(Charge("free")), True),
    "no price, and unknown": (unpriced(cap=EACH), faulted(unknown("?")), False),
    "no price, and free": (unpriced(cap=EACH), faulted(Charge("free")), True),
    "no end of an attempt": (task_of(cap=0), Progressed(0.5), True),
    "without terms": (fresh(), faulted(unknown("?")), True),
}


@pytest.mark.parametrize(("task", "happening", "may"), RETRIES.values(), ids=RETRIES)
def test_another_attempt_within_the_agreement(task: Task, happening: Any, may: bool) -> None:
    """It begins only if what was spent and what it may cost stay within max_cost."""
    came_to = purse().allowed(task, happening)
    if may:
        assert came_to is happening
        return
    assert isinstance(came_to, GaveUp) and came_to.charge == happening.charge
    assert came_to.error.code == "cost_limit" and came_to.error.message.startswith(ERROR.message)


@pytest.mark.parametrize(("budget", "may"), [(0.006, True), (0.005999, False)])
def test_another_attempt_within_the_budget(budget: float, may: bool) -> None:
    """What is left of the day counts, with what this task holds."""
    one = purse(budget)
    terms = one.take("u", "ann", quote(one), None)
    task = task_of(terms.hold)
    assert (one.allowed(task, faulted(CHARGED)) == faulted(CHARGED)) is may


def test_what_is_about_to_be_booked_is_nobody_elses() -> None:
    """Between another attempt's agreement and its line on disk the last one's cost is kept
    from creates; asked again it is kept once, and the line takes its place."""
    one = purse(0.009)
    task = task_of(one.take("u", "ann", quote(one), None).hold)
    for _ in range(2):
        assert one.allowed(task, faulted(CHARGED)) == faulted(CHARGED)
        assert one.left("ann") == EACH
    one.book(moved(task, task, faulted(CHARGED), NOW))
    assert one.left("ann") == EACH


def test_a_new_day_begins_with_nothing_spent() -> None:
    """Charges count on their day (UTC); what is held is held over midnight."""
    now = Now()
    one = Purse(1.0, {}, now)
    one.take("u", "ann", quote(one), None)
    task = task_of()
    one.book(moved(task, task, faulted(CHARGED), now.ms))
    assert one.left("ann") == 1_000_000 - 2 * EACH
    now.ms += DAY_MS
    assert one.left("ann") == 1_000_000 - EACH
    allowance = one.allowance("ann")
    assert allowance is not None
    assert (allowance.day, allowance.spent_micros) == (date_of(now.ms // DAY_MS), 0)


def test_a_correction_gives_back_what_was_feared() -> None:
    """An unknown charge counts as its bound until it is learnt."""
    one = purse(1.0)
    task = task_of()
    (line,) = moved(task, task, faulted(unknown("?")), NOW)
    one.book((line,))
    assert (line.amount, one.left("ann")) == (0, 1_000_000 - EACH)
    correction = corrected(line, Charge("charged", 1000, reason="the bill"), NOW + 5)
    one.book((correction,))
    assert (correction.amount, one.left("ann")) == (1000, 1_000_000 - 1000)


def test_the_lines_of_a_task() -> None:
    """A hold at its birth, a charge for each attempt, and a release at its end."""
    task = task_of()
    ended = msgspec.structs.replace(task, state="completed")
    lines = [
        *opened(task),
        *moved(task, task, faulted(unknown("?")), NOW),
        *moved(task, ended, Finished(result(task, NOW), CHARGED), NOW),
    ]
    told = [(line.entry, line.amount, line.counts) for line in lines]
    assert told == [
        ("hold", EACH, EACH),
        ("charge", 0, EACH),
        ("charge", EACH, EACH),
        ("release", -EACH, -EACH),
    ]
    canceled = msgspec.structs.replace(task, state="canceled")
    (line,) = moved(task, canceled, CancelAsked(), NOW)
    assert (line.entry, line.amount) == ("release", -EACH), "of what waited in the queue"
    assert moved(fresh(), fresh(), Finished(result(fresh(), NOW)), NOW) == ()
    assert opened(fresh()) == ()


def test_a_charge_counts_on_the_day_on_which_its_attempt_ended() -> None:
    """Not on that on which its task was made, nor on that of an earlier attempt."""
    task, later = task_of(), NOW + 2 * DAY_MS
    days = [line.day for line in moved(task, task, faulted(CHARGED), later)]
    assert days == [later // DAY_MS]
    assert [line.day for line in opened(task)] == [NOW // DAY_MS]


def test_every_attempt_that_was_claimed_has_its_line() -> None:
    """Also one that cost nothing; what only waited has none."""
    task = task_of()
    (line,) = moved(task, task, faulted(Charge("free")), NOW)
    assert (line.entry, line.amount, line.verdict, bool(line.reason)) == ("charge", 0, "free", True)
    waiting = task_of(deadline=None, handle=None)
    assert moved(waiting, waiting, GaveUp(ERROR, Charge("free")), NOW) == ()


def test_what_a_cancel_saves_is_what_it_did_not_cost() -> None:
    """Less what was used by then; never less than nothing, and nothing that is not known."""
    assert saved(Charge("charged", 1000), task_of()) == EACH - 1000
    assert saved(Charge("charged", 2 * EACH), task_of()) == 0
    assert saved(unknown("?"), task_of()) is UNSET
