"""What a task costs: the charges of its attempts, and what they come to together.

The end of a task tells one charge for all of its attempts; until then `Task.spent` keeps
what those came to that have ended. What is unknown stays unknown, however much is known
beside it, and always says why. Decides nothing about a task, and knows no provider.
"""

from __future__ import annotations

from .events import Charge

FREE = Charge(verdict="free")

MAX_REASON = 200
"""Characters of one attempt's reason that are kept for the end."""

_WORST_LAST = ("free", "charged", "estimated", "unknown")


def unknown(reason: str) -> Charge:
    """What may be on somebody's bill, and why it could not be learnt."""
    return Charge(verdict="unknown", reason=reason)


def added(spent: Charge | None, charge: Charge, attempt: int) -> Charge | None:
    """What a task has come to with this attempt, after `spent` by those before; None while
    nothing is on a bill. Amounts add up, and each attempt is named in the reason."""
    if charge.verdict == "free":
        return spent
    reason = f"attempt {attempt}: {(charge.reason or charge.verdict)[:MAX_REASON]}"
    if spent is None:
        return Charge(charge.verdict, charge.amount_micros, charge.currency, reason)
    verdict = max(spent.verdict, charge.verdict, key=_WORST_LAST.index)
    amount, currency = spent.amount_micros + charge.amount_micros, spent.currency
    if not spent.amount_micros:
        currency = charge.currency
    elif charge.amount_micros and currency != charge.currency:
        verdict, amount = "unknown", spent.amount_micros
        reason += f" ({charge.amount_micros} millionths of {charge.currency}, not added)"
    return Charge(verdict, amount, currency, f"{spent.reason}; {reason}")


def whole(spent: Charge | None, charge: Charge, attempt: int) -> Charge:
    """What the end of a task tells: the charge of its last attempt and of all before it."""
    return charge if spent is None else added(spent, charge, attempt) or charge
