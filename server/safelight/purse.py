"""Who may spend what: agreements, budgets of a day (UTC), and what is held for live tasks.

The sums are in memory, rebuilt from the ledger at the start, and changed only in the order
of the writer: `take` is called inside its transaction, so of two creates that race for the
last cent one is refused; `book` with what was committed. What is unknown counts as the most
that it may be. Owns no line of the ledger (books.py makes those) and reads no price.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from safelight_protocol.charges import added, settled
from safelight_protocol.codes import Refused
from safelight_protocol.events import Charge, error_data, timestamp
from safelight_protocol.inputs import Faulted, GaveUp, Happening, Lost
from safelight_protocol.prices import Terms, in_dollars, micros_of
from safelight_protocol.quotes import Allowance, Quote, bound_of
from safelight_protocol.task import Resolved, Task

from .insist import insist
from .store import Entry, Store

DAY_MS = 86_400_000


def day_of(now: int) -> int:
    """The day (UTC) of a time, counted from 1970."""
    return now // DAY_MS


def date_of(day: int) -> str:
    """A day as people write it."""
    return timestamp(day * DAY_MS)[:10]


class Purse:
    """Budgets in US dollars: `per_day` is everyone's, `budgets` those of owners who have one
    of their own. None is no budget: then each request has to agree to its price. `on_booked`
    is called when there are new lines."""

    def __init__(
        self, per_day: float | None, budgets: Mapping[str, float], clock: Callable[[], int]
    ) -> None:
        self._per_day = None if per_day is None else micros_of(per_day)
        self._budgets = {owner: micros_of(dollars) for owner, dollars in budgets.items()}
        self._clock = clock
        self._held: dict[str, tuple[str, int]] = {}
        self._holding: Counter[str] = Counter()
        self._expected: dict[str, int] = {}
        self._coming: Counter[str] = Counter()
        self._day = day_of(clock())
        self._spent: Counter[str] = Counter()
        self.on_booked: Callable[[], None] = lambda: None

    async def load(self, store: Store) -> None:
        """Know what was held and spent before this start; to be awaited before any door opens."""
        for uid, owner, amount in await insist(store.read.ledger.held):
            self._hold(uid, owner, amount)
        self._spent = Counter(await insist(lambda: store.read.ledger.spent(self._today())))

    def budget(self, owner: str) -> int | None:
        """What an owner may spend on a day; None where no budget says so."""
        return self._budgets.get(owner, self._per_day)

    def left(self, owner: str) -> int | None:
        """What of it is left today, below 0 if it is overdrawn; None without a budget."""
        budget = self.budget(owner)
        self._today()
        if budget is None:
            return None
        return budget - self._spent[owner] - self._holding[owner] - self._coming[owner]

    def held(self, owner: str) -> int:
        """What is held for the owner's live tasks."""
        return self._holding[owner]

    def allowance(self, owner: str) -> Allowance | None:
        """The same as it is told."""
        budget, left = self.budget(owner), self.left(owner)
        if budget is None or left is None:
            return None
        spent, held = self._spent[owner], self._holding[owner]
        return Allowance(date_of(self._day), budget, spent, held, max(0, left))

    def terms(self, owner: str, quote: Quote, max_micros: int | None) -> Terms:
        """What the owner agrees to by a request that says `max_micros`. Raises Refused
        `payment_required` or `vip_required`, with the quote."""
        high, budget, left = quote.high_micros, self.budget(owner), self.left(owner)
        least = max(1, quote.low_micros) if high is None else high
        if max_micros is None and (high is None or budget is None):
            raise _unasked(quote, has_budget=budget is not None)
        if max_micros is not None and max_micros < least:
            raise _too_little(quote, max_micros)
        hold = high if high is not None else max_micros or 0
        if left is not None and hold > left:
            raise _overdrawn(quote, hold, max(0, left))
        return Terms(hold, high, max_micros)

    def take(self, uid: str, owner: str, quote: Quote, max_micros: int | None) -> Terms:
        """The terms of a task that is about to be written, what they say set aside for it;
        the same task again, since its transaction is tried again, is held once. Raises as
        `terms` does."""
        self.drop(uid)
        now = msgspec.structs.replace(quote, budget=self.allowance(owner))
        terms = self.terms(owner, now, max_micros)
        self._hold(uid, owner, terms.hold)
        return terms

    def drop(self, uid: str) -> None:
        """The task was not written, or has ended: nothing is held for it."""
        held = self._held.pop(uid, None)
        if held is not None:
            owner, amount = held
            self._holding[owner] -= amount
            if not self._holding[owner]:
                del self._holding[owner]  # owners come and go

    def book(self, entries: Iterable[Entry]) -> None:
        """Take in lines that are on disk."""
        days = {"correction": (self._today(),), "charge": (self._today(), day_of(self._clock()))}
        for entry in entries:
            if entry.entry in ("charge", "release"):
                self._expect(entry.uid, entry.owner, 0)
            if entry.entry == "release":
                self.drop(entry.uid)
            elif entry.day in days.get(entry.entry, ()):  # of a clock set back, too
                self._spent[entry.owner] += entry.counts
            self.on_booked()

    def allowed(self, task: Task, happening: Happening) -> Happening:
        """The same, or the end in its place where another attempt could cost more than was
        agreed to, or than the budget has left. What the last one may have cost is nobody
        else's from now on: its line is on disk only later."""
        if task.resolved.terms is UNSET or not isinstance(happening, Faulted | Lost):
            return happening
        via = happening.via if isinstance(happening, Faulted) else None
        charge = settled(happening.charge, task)
        self._expect(task.uid, task.owner, 0)
        objection = self._objection(task, charge, via)
        if objection is None:
            self._expect(task.uid, task.owner, feared(charge, task.resolved.terms))
            return happening
        message = f"{happening.error.message}; {objection}"
        return GaveUp(error_data("cost_limit", message, retryable=False), happening.charge)

    def statistics(self) -> dict[str, int]:
        """What is held at this moment, over all owners."""
        return {"held_micros": self._holding.total()}

    def _objection(self, task: Task, charge: Charge, via: Resolved | None) -> str | None:
        """Why no further attempt may begin, behind one that cost this; None if it may."""
        terms = task.resolved.terms
        assert terms is not UNSET, "who has none is not asked"
        so_far = added(task.spent, charge, task.attempt)
        spent = 0 if so_far is None else feared(so_far, terms)
        bound = bound_of(task, via)
        needed = terms.hold if bound is None else bound
        if terms.cap is not None and spent + needed > terms.cap:
            already = f"{in_dollars(spent)} of max_cost {in_dollars(terms.cap)} may be spent"
            return f"another attempt may cost {in_dollars(needed)}, and {already}"
        left = self.left(task.owner)
        if left is None and terms.cap is None and spent + needed > terms.hold:
            return f"another attempt may cost {in_dollars(needed)}, and the budget is no more"
        if left is not None and left + terms.hold < needed + feared(charge, terms):
            return f"another attempt may cost {in_dollars(needed)}, and the budget has less left"
        return None

    def _hold(self, uid: str, owner: str, amount: int) -> None:
        if amount:
            self._held[uid] = owner, amount
            self._holding[owner] += amount

    def _expect(self, uid: str, owner: str, amount: int) -> None:
        """So much of a task's is about to be booked; in the place of what was expected."""
        self._coming[owner] += amount - self._expected.pop(uid, 0)
        if amount:
            self._expected[uid] = amount
        if not self._coming[owner]:
            del self._coming[owner]

    def _today(self) -> int:
        """The day; with a new one nothing is spent yet. A clock that was set back begins none."""
        today = day_of(self._clock())
        if today > self._day:
            self._day = today
            self._spent.clear()
        return self._day


def feared(charge: Charge, terms: Terms | UnsetType) -> int:
    """What a charge may come to in millionths of a US dollar; what nothing limits, or what is
    other money, counts as all that was agreed to."""
    agreed = 0 if terms is UNSET else terms.hold
    if charge.currency != "USD":
        return agreed
    if charge.verdict == "unknown" and charge.at_most_micros is UNSET:
        return max(charge.amount_micros, agreed)
    return charge.ceiling


def _unasked(quote: Quote, *, has_budget: bool) -> Refused:
    """Nobody has agreed to the price."""
    if quote.high_micros is None:
        expected = "what it may cost at most, in US dollars: no price limits it"
        message = f"{quote.model} costs what nobody can say before ({quote.basis}). Send max_cost."
    else:
        expected = f"{in_dollars(quote.high_micros)[1:]} or more"
        cost = "" if quote.high_micros == 0 else f" It costs {_range_of(quote)}."
        whom = "is for owners who agree to it" if quote.consent.vip else "costs money"
        message = f"{quote.model} {whom}.{cost} Send max_cost {expected}."
    if has_budget:
        message += " A budget covers only what has a known limit."
    code = "vip_required" if quote.consent.vip else "payment_required"
    return _refused(code, message, "nothing", expected, quote)


def _too_little(quote: Quote, given: int) -> Refused:
    """What was agreed to does not do; to nothing at all nobody agrees to what is unknown."""
    if quote.high_micros is None:
        cost = f"{in_dollars(quote.low_micros)} or more, nobody can say how much"
        least = max(1, quote.low_micros)
    else:
        cost, least = in_dollars(quote.high_micros), quote.high_micros
    message = f"{quote.model} may cost {cost}: max_cost {in_dollars(given)} does not cover it."
    expected = f"{in_dollars(least)[1:]} or more"
    return _refused("payment_required", message, in_dollars(given)[1:], expected, quote)


def _overdrawn(quote: Quote, hold: int, left: int) -> Refused:
    needed, has = in_dollars(hold), in_dollars(left)
    message = f"{quote.model} may cost {needed}, and today's budget has {has} left (UTC)."
    wrong: dict[str, object] = {"field": "budget", "found": f"{has} left"}
    wrong["expected"] = f"{needed} or more"
    return _with_quote("payment_required", message, wrong, quote)


def _refused(code: str, message: str, found: str, expected: str, quote: Quote) -> Refused:
    wrong: dict[str, object] = {"field": "max_cost", "found": found, "expected": expected}
    return _with_quote(code, message, wrong, quote)


def _with_quote(code: str, message: str, wrong: dict[str, object], quote: Quote) -> Refused:
    consent = msgspec.structs.replace(quote.consent, given=False, why=message)
    told = msgspec.structs.replace(quote, consent=consent)
    return Refused(code, message, [wrong], quote=msgspec.to_builtins(told))


def _range_of(quote: Quote) -> str:
    """From the least to the most, in words."""
    low, high = quote.low_micros, quote.high_micros or 0
    return in_dollars(high) if low == high else f"{in_dollars(low)} to {in_dollars(high)}"
