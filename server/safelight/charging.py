"""What an attempt cost, from what its provider said of it and the price that was agreed to.

The order of belief: the provider's own charge (an estimate of no amount is one of what it
says was used); what it says was used, times the price on the task; what we can count
ourselves. What none of them tells is unknown, and never called free where it may be on
somebody's bill. Pure: knows no clock and no store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from decimal import Decimal

import msgspec
from msgspec import UNSET

from safelight_protocol.charges import FREE, unknown
from safelight_protocol.events import Charge
from safelight_protocol.prices import KIND_OF, MAX_MICROS, Price, Usage, cost, covers, in_dollars
from safelight_protocol.quotes import LENGTHS, number_in
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from .providers.base import Account, Again, Done, Ended, Never, Outcome

SILENCE = "its provider did not say what it cost"
NO_PRICE = "no price of this model is known here"
NO_COST = "the model costs nothing"
COUNTED = "counted by us"
IMPOSSIBLE = "its provider named an amount that cannot be"

NOTHING: Mapping[str, int] = {}

Told = Done | Ended | Again | Never | Account
"""What can say something of the cost."""


def files_made(seen: Snapshot | None, attempt: int) -> Mapping[str, int]:
    """How many files an attempt has made, by kind, going by what was told of it."""
    artifacts = () if seen is None else seen.artifacts
    return Counter(artifact.kind for artifact in artifacts if artifact.attempt == attempt)


def charge_of(
    outcome: Outcome | Account, task: Task, owed: bool, files: Mapping[str, int] = NOTHING
) -> Charge:
    """What an attempt cost; `owed` if a provider that bills had begun it, so that its silence
    is no gift. `files` counts those that came of it, by kind. An amount that cannot be is
    not believed."""
    charge = _told(outcome, task, owed, files)
    return charge if 0 <= charge.amount_micros <= MAX_MICROS else unknown(IMPOSSIBLE)


def _told(outcome: Outcome | Account, task: Task, owed: bool, files: Mapping[str, int]) -> Charge:
    said, usage = None, None
    if isinstance(outcome, Told):
        said, usage = outcome.charge, outcome.usage
    price = task.ran.price
    if said is not None and (usage is None or said.amount_micros or said.verdict != "estimated"):
        return unknown(SILENCE) if said.verdict == "unknown" and not said.reason else said
    if usage is not None:
        found = _of_usage(None if price is UNSET else price, usage, task, owed, files)
        return found if said is None else _at_least(said, found)
    if not owed:
        return FREE
    if isinstance(outcome, Done) and price is not UNSET and not price.free:
        return _of_usage(price, {}, task, owed, files)
    return unknown(SILENCE)


def _at_least(said: Charge, found: Charge) -> Charge:
    """The charge of a run that was left: its provider told what was used by then, and that
    this is not all. What is not known even of that stays unknown."""
    if found.verdict == "free":
        return found
    verdict = "unknown" if found.verdict == "unknown" else said.verdict
    reason = f"{said.reason}: {found.reason}"
    return msgspec.structs.replace(found, verdict=verdict, reason=reason)


def _of_usage(
    price: Price | None, usage: Usage, task: Task, owed: bool, files: Mapping[str, int]
) -> Charge:
    told = {unit: f"{Decimal(count):f}" for unit, count in usage.items()}
    if price is None:
        silent = unknown(NO_PRICE) if owed or task.resolved.terms is not UNSET else FREE
        return msgspec.structs.replace(silent, usage=told or UNSET)
    if price.free:
        return Charge("free", reason=NO_COST, usage=told or UNSET)
    if covers(price, usage):
        reason = _in_words(price, usage)
        return Charge("charged", cost(price, usage), reason=reason, usage=told)
    counted = dict(usage) | _counted(price, usage, task, files)
    amount, reason = cost(price, counted), _in_words(price, counted)
    if covers(price, counted):
        said = f"{reason}; {_named(counted.keys() - usage.keys())} {COUNTED}"
        return Charge("estimated", amount, reason=said, usage=told or UNSET)
    missing = {unit for unit, rate in price.rates.items() if rate} - counted.keys()
    said = f"its provider did not say how many {_named(missing)} it used"
    return Charge("unknown", amount, reason=said, usage=told or UNSET)


def _counted(
    price: Price, usage: Usage, task: Task, files: Mapping[str, int]
) -> dict[str, Decimal]:
    """What we can say ourselves of units that the provider left out."""
    found: dict[str, Decimal] = {}
    for unit in price.rates.keys() - usage.keys():
        if unit == "run":
            found[unit] = Decimal(1)
        elif unit in files:
            found[unit] = Decimal(files[unit])
        elif unit == "video_second" and files.get("video"):
            length = number_in(task.ran.params, LENGTHS)
            if length is not None:
                found[unit] = length * files["video"]
    return found


def _in_words(price: Price, usage: Usage) -> str:
    """How an amount comes about: `2 images at $0.003`."""
    parts = []
    for unit in (*price.rates, *(unit for unit in KIND_OF if unit not in price.rates)):
        rate, count = price.rate(unit), usage.get(unit)
        if not rate or not count:
            continue
        plural = unit.replace("_", " ") + ("" if count == 1 else "s")
        per = " a million" if unit.endswith("_token") else ""
        parts.append(f"{count.normalize():f} {plural} at {in_dollars(rate)}{per}")
    return ", ".join(parts) or "nothing was used"


def _named(units: Set[str]) -> str:
    return " and ".join(sorted(unit.replace("_", " ") + "s" for unit in units)) or "units"
