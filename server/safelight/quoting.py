"""What a request would cost, and whether its owner has agreed to that, as it is told.

Puts together what the registry says of a price and what the purse says of a budget. Takes
nothing and writes nothing.
"""

from __future__ import annotations

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.quotes import Bounds, Consent, Quote, bounds
from safelight_protocol.task import Task

from .purse import Purse
from .registry import Resolution

NO_PRICE = "no price of this model is known here, and its provider bills"
FREE = "the model costs nothing"


def quote_of(resolution: Resolution, purse: Purse, owner: str, max_micros: int | None) -> Quote:
    """What a new task of this would cost; `max_micros` is what the request agrees to."""
    quote = _plain(resolution, purse, owner)
    if resolution.priced is None:
        return quote
    try:
        purse.terms(owner, quote, max_micros)
    except Refused as refused:
        consent = msgspec.structs.replace(quote.consent, why=refused.message)
    else:
        why = "the budget covers it" if max_micros is None else "max_cost covers it"
        consent = msgspec.structs.replace(quote.consent, given=True, why=why)
    return msgspec.structs.replace(quote, consent=consent)


def quote_of_task(task: Task, purse: Purse) -> Quote:
    """What a request costs that is this task already: nothing more."""
    ran = task.ran
    return Quote(
        low_micros=0,
        high_micros=0,
        basis=f"this request is task {task.id} already; nothing is begun or billed for it",
        model=ran.model,
        provider=ran.provider,
        price=ran.price or None,
        consent=Consent(needed=False, given=True, vip=False, why="nothing new is begun"),
        budget=purse.allowance(task.owner),
        task_id=task.id,
    )


def _plain(resolution: Resolution, purse: Purse, owner: str) -> Quote:
    ran, priced = resolution.resolved, resolution.priced
    found = Bounds(0, 0, FREE)
    if priced is not None and priced.price is None:
        found = Bounds(0, None, NO_PRICE)
    elif priced is not None and priced.price is not None:
        found = bounds(priced.price, resolution.asked, ran)
    needed = priced is not None
    vip = priced is not None and priced.vip
    return Quote(
        low_micros=found.low,
        high_micros=found.high,
        basis=found.basis,
        model=ran.model,
        provider=ran.provider,
        price=None if priced is None else priced.price,
        consent=Consent(needed=needed, given=not needed, vip=vip, why=FREE if not needed else ""),
        budget=purse.allowance(owner),
    )
