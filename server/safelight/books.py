"""The lines of the ledger that a birth, a move or a later finding brings: pure.

A task that may be billed has a hold from its birth to its end, and one charge for each
attempt that was claimed. Nothing of what costs nothing is written. What the lines mean is
told in migration 0010 and docs/money.md.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET

from safelight_protocol.charges import settled
from safelight_protocol.events import Charge
from safelight_protocol.inputs import (
    CancelAsked,
    Faulted,
    Finished,
    GaveUp,
    Happening,
    Lost,
    Stopped,
)
from safelight_protocol.task import Resolved, Task

from .endings import begun
from .purse import day_of, feared
from .store import Entry

ENDS_ATTEMPT = (Finished, Faulted, Lost, GaveUp, Stopped)

_json = msgspec.json.Encoder().encode


def opened(task: Task) -> tuple[Entry, ...]:
    """The hold that is taken with a task."""
    terms = task.resolved.terms
    if terms is UNSET or not terms.hold:
        return ()
    return (_entry("hold", task, task.resolved, terms.hold, task.created_at),)


def moved(before: Task, after: Task, happening: Happening, now: int) -> tuple[Entry, ...]:
    """What a move writes: the charge of an attempt that is over, and with the task's end what
    gives back its hold."""
    if not isinstance(happening, (*ENDS_ATTEMPT, CancelAsked)):
        return ()
    charge = () if isinstance(happening, CancelAsked) else _charge(before, happening.charge, now)
    terms = before.resolved.terms
    if not after.ended or terms is UNSET or not terms.hold:
        return charge
    return (*charge, _entry("release", before, before.resolved, -terms.hold, now))


def _charge(task: Task, said: Charge, now: int) -> tuple[Entry, ...]:
    """The line of an attempt that may have cost something."""
    terms = task.resolved.terms
    if said.verdict == "free" and (terms is UNSET or not begun(task)):
        return ()
    charge = settled(said, task)
    line = _entry("charge", task, task.ran, charge.amount_micros, now)
    return (
        msgspec.structs.replace(
            line,
            counts=feared(charge, terms),
            currency=charge.currency,
            handle=task.handle,
            usage=None if charge.usage is UNSET else _json(charge.usage).decode(),
            verdict=charge.verdict,
            reason=charge.reason,
        ),
    )


def corrected(line: Entry, charge: Charge, now: int) -> Entry:
    """What makes a charge the one that was learnt later. Against the budget one in another
    currency counts as what it was feared to be."""
    same = charge.currency == line.currency
    return msgspec.structs.replace(
        line,
        entry="correction",
        amount=charge.amount_micros - (line.amount if same else 0),
        counts=charge.ceiling - line.counts if same else 0,
        currency=charge.currency,
        usage=None if charge.usage is UNSET else _json(charge.usage).decode(),
        verdict=charge.verdict,
        reason=charge.reason,
        at=now,
    )


def charge_in(line: Entry) -> Charge:
    """The charge that a line tells."""
    usage = UNSET if line.usage is None else msgspec.json.decode(line.usage, type=dict[str, str])
    verdict: Any = line.verdict
    return Charge(verdict, line.amount, line.currency, line.reason, usage)


def _entry(
    entry: Literal["hold", "charge", "release"], task: Task, ran: Resolved, amount: int, now: int
) -> Entry:
    return Entry(
        entry=entry,
        uid=task.uid,
        owner=task.owner,
        id=task.id,
        attempt=task.attempt,
        amount=amount,
        counts=amount,
        kind=task.asked.kind,
        model=ran.model,
        provider=ran.provider,
        backend=ran.backend,
        price=None if ran.price is UNSET else _json(ran.price).decode(),
        at=now,
        day=day_of(now),
    )
