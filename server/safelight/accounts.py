"""What an owner has spent: totals by day and by model, the budget, and the lines behind them.

Reads the ledger, which outlives its tasks; decides nothing. Days are UTC. Amounts are in
millionths of a US dollar; what was charged in another currency is among the lines, and in
no total.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from safelight_protocol.codes import Refused
from safelight_protocol.events import timestamp
from safelight_protocol.fields import invalid
from safelight_protocol.identity import shown
from safelight_protocol.quotes import Allowance

from .purse import Purse, date_of, day_of
from .store import Entry, Store, Total

DAYS = 30
"""The days that are shown to whoever names none, today the last of them."""

UNKNOWN_SHOWN = 50
EPOCH = datetime.date(1970, 1, 1).toordinal()
FIRST = datetime.date.min.toordinal() - EPOCH
"""No day is told that is before it."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A sum: how many attempts have a charge, and how many of these are estimated, or not
    known to this day."""

    amount_micros: int
    charges: int
    estimated: int
    unknown: int


class SpentOnDay(Spent, frozen=True, kw_only=True):
    """What one day came to."""

    day: str


class SpentOnModel(Spent, frozen=True, kw_only=True):
    """What one model came to."""

    model: str
    provider: str


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the ledger. The amounts of holds and releases come to what is held, those
    of charges and corrections to what was spent. A correction adds to the charge of its
    attempt, and counts on that charge's day."""

    entry: Literal["hold", "charge", "release", "correction"]
    task_id: str
    attempt: int
    amount_micros: int
    currency: str
    kind: str
    model: str
    provider: str
    backend: str | None
    prediction_id: str | None
    usage: dict[str, str] | None
    verdict: str | None
    reason: str
    at: str
    day: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner spent from one day to another, both included. `unknown` has the newest
    charges that nobody knows yet; `entries`, where they were asked for, a page of lines, the
    last day first and the newest of each first, and `next` the `before` of the following page."""

    first: str = msgspec.field(name="from")
    to: str
    currency: Literal["USD"] = "USD"
    total_micros: int
    held_micros: int
    budget: Allowance | None
    days: list[SpentOnDay]
    models: list[SpentOnModel]
    unknown: list[LedgerLine]
    entries: list[LedgerLine] | UnsetType = UNSET
    next: str | UnsetType | None = UNSET


class Accounts:
    """Reads over one owner's part of the ledger."""

    def __init__(self, store: Store, purse: Purse, clock: Callable[[], int]) -> None:
        self.store = store
        self.purse = purse
        self._clock = clock

    async def usage(self, owner: str, first: str | None, last: str | None) -> Usage:
        """The sums of some days. Raises Refused `invalid` for what is no day."""
        start, end = self._days(first, last)
        totals = await self.store.read.ledger.totals(owner, start, end)
        unknown = await self.store.read.ledger.unknown(owner, start, end, UNKNOWN_SHOWN)
        return Usage(
            first=date_of(start),
            to=date_of(end),
            total_micros=sum(total.amount for total in totals),
            held_micros=self.purse.held(owner),
            budget=self.purse.allowance(owner),
            days=_by_day(totals),
            models=_by_model(totals),
            unknown=[_shown(line) for line in unknown],
        )

    async def entries(
        self, owner: str, first: str | None, last: str | None, before: int | None, limit: int
    ) -> Usage:
        """The same with a page of lines."""
        start, end = self._days(first, last)  # once: midnight may come in between
        usage = await self.usage(owner, date_of(start), date_of(end))
        behind = 2**62 if before is None else before
        lines = await self.store.read.ledger.lines(owner, start, end, behind, limit)
        following = str(lines[-1][0]) if len(lines) == limit else None
        shown_lines = [_shown(line) for _, line in lines]
        return msgspec.structs.replace(usage, entries=shown_lines, next=following)

    def _days(self, first: str | None, last: str | None) -> tuple[int, int]:
        today = day_of(self._clock())
        end = today if last is None else _day("to", last)
        start = max(FIRST, end - DAYS + 1) if first is None else _day("from", first)
        if start > end:
            raise _no_day("from", first, f"a day up to {date_of(end)}")
        return start, end


def _by_day(totals: list[Total]) -> list[SpentOnDay]:
    days: dict[int, list[Total]] = {}
    for total in totals:
        days.setdefault(total.day, []).append(total)
    return [SpentOnDay(day=date_of(day), **_sums(found)) for day, found in days.items()]


def _by_model(totals: list[Total]) -> list[SpentOnModel]:
    """The dearest first."""
    models: dict[tuple[str, str], list[Total]] = {}
    for total in totals:
        models.setdefault((total.model, total.provider), []).append(total)
    made = [
        SpentOnModel(model=model, provider=provider, **_sums(found))
        for (model, provider), found in models.items()
    ]
    return sorted(made, key=lambda one: (-one.amount_micros, one.model))


def _sums(totals: Iterable[Total]) -> dict[str, int]:
    counted = {"amount_micros": 0, "charges": 0, "estimated": 0, "unknown": 0}
    for total in totals:
        counted["amount_micros"] += total.amount
        counted["charges"] += total.charges
        counted["estimated"] += total.estimated
        counted["unknown"] += total.unknown
    return counted


def _shown(line: Entry) -> LedgerLine:
    entry: Any = line.entry
    return LedgerLine(
        entry=entry,
        task_id=line.id,
        attempt=line.attempt,
        amount_micros=line.amount,
        currency=line.currency,
        kind=line.kind,
        model=line.model,
        provider=line.provider,
        backend=line.backend,
        prediction_id=line.handle,
        usage=None if line.usage is None else msgspec.json.decode(line.usage),
        verdict=line.verdict,
        reason=line.reason,
        at=timestamp(line.at),
        day=date_of(line.day),
    )


def _day(field: str, text: str) -> int:
    try:
        if len(text) != len("2026-11-21"):
            raise ValueError(text)
        return datetime.date.fromisoformat(text).toordinal() - EPOCH
    except ValueError:
        raise _no_day(field, text, "a day such as 2026-11-21") from None


def _no_day(field: str, found: str | None, expected: str) -> Refused:
    return invalid([{"field": field, "found": shown(found), "expected": expected}])
