"""What an answer means that is no success, before a stream began and in the middle of one.

Only what certainly began nothing is free. Owners are told the vendor's words on their own
request; never those on our key, our credit or its own trouble.
"""

from __future__ import annotations

from typing import Any

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

CREDIT = "credit balance"
"""How a 400 begins that is about our credit: it comes as `invalid_request_error`."""

FILTERED = "content filtering policy"
"""What a 400 says that is about the content, with no code of its own."""


def refused(fault: Fault, name: str) -> Outcome:
    """What a request came to that was not answered by a stream."""
    common = refusal_of(fault, name)
    if common is not None:
        return common
    said = _error(fault.body)
    words = redacted(said.get("message") or fault.why)
    match fault.status:
        case 400 if FILTERED in words.lower():
            return Never("content_refused", f"{name} refuses to write this", charge=NOTHING)
        case 400 if said.get("type") == "billing_error" or CREDIT in words.lower():
            return of_our_account(name, fault, "credit")
        case 400 | 422:
            return Never("invalid_input", words, charge=NOTHING)
        case 404 if said.get("type") == "not_found_error":
            return no_model(name)
        case 413:
            return too_large(name)
        case 529:  # its own status for having no room for more requests
            message = f"{name} takes no more requests for now"
            return Again("throttled", message, fault.wait, charge=NOTHING, elsewhere=True)
        case int(status) if 300 <= status < 500 and status != 408:
            return misaddressed(name, status)
    return in_doubt(fault, name)


def is_full(body: Any) -> bool:
    """Whether an `error` in the middle of a stream says that there is no room for it."""
    return _error(body).get("type") in ("overloaded_error", "rate_limit_error")


def _error(body: Any) -> dict[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}
