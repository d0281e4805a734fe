"""What an answer means that is no success, before a stream began and in the middle of one,
and what a run costs that did not come to its end.

Google says that a request which fails with a 400 or 500 is not charged for, so its own word
on that, in its own form, is a start that began nothing; a page of some proxy's is not its
word, and of one that ran out of time (504) it does not say so. Owners are told the vendor's
words on their own request; never those on our key, our credit or its own trouble.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.charges import unknown
from safelight_protocol.events import Charge
from safelight_protocol.prices import Usage

from ...telemetry import log as record
from ..base import Again, Ended, Never, Outcome, Unclear
from ..http import NOTHING, Fault, refusal_of, told

OURS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})
"""Reasons of a 400 that mean our key."""

FULL = frozenset({"RESOURCE_EXHAUSTED", "UNAVAILABLE"})
"""Its words for having no room now."""

FREE = Charge("free", reason="its provider failed, and charges nothing for that")


def refused(fault: Fault, name: str) -> Outcome:
    """What a request came to that was not answered by a stream."""
    common = refusal_of(fault, name)
    if common is not None:
        return common
    said = _error(fault.body)
    match fault.status:
        case 400 if said.get("status") == "FAILED_PRECONDITION" or _reasons(said) & OURS:
            return _of_our_account(name)
        case 400 | 422:
            words = told(said.get("message") or fault.why)
            return Never("invalid_input", words, charge=NOTHING)
        case 404:
            told_so = f"{name} has no such model for this server"
            return Never("provider_failed", told_so, charge=NOTHING, elsewhere=True)
        case 413:
            return Never("too_large", f"{name} takes no request of this size", charge=NOTHING)
        case 500 | 503 if isinstance(said.get("status"), str):
            return _failed(said, name, fault.wait)
        case int() as status if 300 <= status < 500 and status != 408:
            told_so = f"{name} answered {status}: is its address right?"
            return Never("provider_failed", told_so, charge=NOTHING, elsewhere=True)
    return Unclear(f"{name} may have run it, but {fault.why}")


def broken_off(body: Any, name: str) -> Outcome:
    """What an error in the middle of a stream comes to. Its provider has ended the run, which
    can be made again; whether it asks for money for this one it did not say."""
    full = _error(body).get("status") in FULL
    charge = unknown("its provider broke off, and did not say what it cost")
    said = f"{name} broke off the answer"
    code = "throttled" if full else "provider_failed"
    return Again(code, said, charge=charge, elsewhere=True)


def ended(usage: Usage | None) -> Ended:
    """What a run comes to that we left: what it had used by what we heard last."""
    if usage is None:
        return Ended(charge=unknown("it was canceled before anything was said of what it used"))
    charge = Charge("estimated", reason="what is known to have been used when it was canceled")
    return Ended(charge=charge, usage=usage)


def _failed(said: dict[str, Any], name: str, wait: float | None) -> Again:
    if said["status"] in FULL:
        told_so = f"{name} takes no more requests for now"
        return Again("throttled", told_so, wait, charge=FREE, elsewhere=True)
    return Again("provider_failed", f"{name} failed", wait, charge=FREE, elsewhere=True)


def _of_our_account(name: str) -> Never:
    """The operator's trouble, and told to the operator."""
    record("provider.refused", provider=name, status=400)
    said = f"{name} does not take requests of this server now"
    return Never("provider_refused", said, charge=NOTHING, elsewhere=True)


def _error(body: Any) -> dict[str, Any]:
    """The error in a body; the SDK hands on some without their wrapper, in a list or not."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _reasons(error: dict[str, Any]) -> set[str]:
    details = error.get("details")
    listed = details if isinstance(details, list) else []
    return {str(one.get("reason")) for one in listed if isinstance(one, dict)}
