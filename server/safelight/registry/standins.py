"""What a request runs as at an equal host: the same in all that its owner chose and agreed to.

An equal that costs more than was agreed to is none: what is held for the task must be enough
wherever it runs. Which rows are equal stands in equals.py.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from safelight_protocol.prices import UNITS, Price
from safelight_protocol.task import Resolved

from .resolving import backend_for, priced_of
from .roster import Roster
from .rows import ModelRow


def standins(roster: Roster, resolved: Resolved) -> tuple[Resolved, ...]:
    """What else a resolved request may run as, here and today, the first choice first."""
    home = roster.row(resolved.model)
    found = []
    for name in () if home is None else roster.equals(resolved.model):
        row = roster.row(name)
        if row is None or not roster.can_run(row) or (row.vip and not (home and home.vip)):
            continue
        price = _price(roster, row, resolved)
        if price is None:
            continue
        found.append(
            msgspec.structs.replace(
                resolved,
                model=row.name,
                provider=row.provider,
                backend=backend_for(roster, row, None),
                price=price,
            )
        )
    return tuple(found)


def _price(roster: Roster, row: ModelRow, agreed: Resolved) -> Price | UnsetType | None:
    """What it costs there; None if that is more than was agreed to, or might be."""
    priced = priced_of(roster, row)
    if priced is None:
        return row.priced or UNSET
    if priced.price is None:  # nobody knows: as nobody knew before, and that was agreed to
        knew = agreed.terms is UNSET or agreed.terms.bound is not None
        return None if knew or agreed.price is not UNSET else UNSET
    known = Price(rates={}) if agreed.price is UNSET else agreed.price
    is_dearer = any(_is_dearer(unit, priced.price, known) for unit in UNITS)
    return None if is_dearer else priced.price


def _is_dearer(unit: str, price: Price, known: Price) -> bool:
    """Whether one of a unit costs more, or more of it may be used than was reckoned with."""
    rate, most = price.rate(unit), known.most.get(unit)
    is_longer = most is not None and price.most.get(unit, most + 1) > most
    return rate > known.rate(unit) or bool(rate and is_longer)
