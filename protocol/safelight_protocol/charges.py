"""What a task costs: the charges of its attempts, and what they come to together.

The end of a task tells one charge for all of its attempts; until then `Task.spent` keeps
what those came to that have ended. What is unknown stays unknown, however much is known
beside it, and always says why. Decides nothing about a task, and knows no provider.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import UNSET, UnsetType

from .events import Charge
from .quotes import bound_of
from .task import Task

FREE = Charge(verdict="free")

MAX_REASON = 200
"""Characters of one attempt's reason that are kept for the end."""

_WORST_LAST = ("free", "charged", "estimated", "unknown")


def unknown(reason: str) -> Charge:
    """What may be on somebody's bill, and why it could not be learnt."""
    return Charge(verdict="unknown", reason=reason)


NOT_BEGUN = "nothing was begun at its provider"
NOT_BILLED = "its provider does not bill this"


def settled(charge: Charge, task: Task) -> Charge:
    """What an attempt of this task came to, in full: an unknown charge says what it is at
    most, where its owner's terms tell; and one that is free though the model is priced says
    why it is."""
    if task.resolved.terms is UNSET:
        return charge
    if charge.verdict == "unknown" and charge.at_most_micros is UNSET:
        bound = bound_of(task)
        most = UNSET if bound is None else max(bound, charge.amount_micros)
        return msgspec.structs.replace(charge, at_most_micros=most)
    if charge.verdict == "free" and not charge.reason:
        why = NOT_BEGUN if task.handle is None else NOT_BILLED
        return msgspec.structs.replace(charge, reason=why)
    return charge


def saved(charge: Charge, task: Task) -> int | UnsetType:
    """What an attempt that was cancelled did not spend of what it could have cost; not there
    unless both are known."""
    bound = None if task.resolved.terms is UNSET else bound_of(task)
    if bound is None or charge.verdict == "unknown":
        return UNSET
    return max(0, bound - charge.amount_micros)


def added(spent: Charge | None, charge: Charge, attempt: int) -> Charge | None:
    """What a task has come to with this attempt, after `spent` by those before; None while
    nothing is on a bill. Amounts add up, and each attempt is named in the reason."""
    if charge.verdict == "free":
        return spent
    reason = f"attempt {attempt}: {(charge.reason or charge.verdict)[:MAX_REASON]}"
    if spent is None:
        return msgspec.structs.replace(charge, reason=reason)
    verdict = max(spent.verdict, charge.verdict, key=_WORST_LAST.index)
    amount, currency = spent.amount_micros + charge.amount_micros, spent.currency
    ceiling = spent.ceiling + charge.ceiling
    if not spent.amount_micros:
        currency = charge.currency
    elif charge.amount_micros and currency != charge.currency:
        verdict, amount = "unknown", spent.amount_micros
        reason += f" ({charge.amount_micros} millionths of {charge.currency}, not added)"
        ceiling = amount
    return Charge(
        verdict,
        amount,
        currency,
        f"{spent.reason}; {reason}",
        _together(spent.usage, charge.usage),
        UNSET if ceiling == amount else ceiling,
    )


def _together(
    one: dict[str, str] | UnsetType, other: dict[str, str] | UnsetType
) -> dict[str, str] | UnsetType:
    """What was used by both, as far as it was told."""
    if one is UNSET or other is UNSET:
        return other if one is UNSET else one
    counted = {
        unit: Decimal(one.get(unit, 0)) + Decimal(other.get(unit, 0)) for unit in one | other
    }
    return {unit: f"{count:f}" for unit, count in counted.items()}


def whole(spent: Charge | None, charge: Charge, attempt: int) -> Charge:
    """What the end of a task tells: the charge of its last attempt and of all before it."""
    return charge if spent is None else added(spent, charge, attempt) or charge
