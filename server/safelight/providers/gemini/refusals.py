"""What an answer means that is no success, before a stream began and in the middle of one.

Google says that a request which fails with a 400 or 500 is not charged for, so its own word
on that, in its own form, is a start that began nothing; a page of some proxy's is not its
word, and of one that ran out of time (504) it does not say so. Owners are told the vendor's
words on their own request; never those on our key, our credit or its own trouble.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.events import Charge

from ..base import Again, Never, Outcome
from ..http import (
    NOTHING,
    Fault,
    in_doubt,
    misaddressed,
    no_model,
    of_our_account,
    redacted,
    refusal_of,
    too_large,
)

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
        case 400 if _reasons(said) & OURS:
            return of_our_account(name, fault, "key")
        case 400 if said.get("status") == "FAILED_PRECONDITION":
            return of_our_account(name, fault, "credit")
        case 400 | 422:
            words = redacted(said.get("message") or fault.why)
            return Never("invalid_input", words, charge=NOTHING)
        case 404 if said.get("status") == "NOT_FOUND":
            return no_model(name)
        case 413:
            return too_large(name)
        case 500 | 503 if isinstance(said.get("status"), str):
            return _failed(said, name, fault.wait)
        case int(status) if 300 <= status < 500 and status != 408:
            return misaddressed(name, status)
    return in_doubt(fault, name)


def is_full(body: Any) -> bool:
    """Whether an error in the middle of a stream says that there is no room for it."""
    return _error(body).get("status") in FULL


def _failed(said: dict[str, Any], name: str, wait: float | None) -> Again:
    if said["status"] in FULL:
        message = f"{name} takes no more requests for now"
        return Again("throttled", message, wait, charge=FREE, elsewhere=True)
    return Again("provider_failed", f"{name} failed", wait, charge=FREE, elsewhere=True)


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
