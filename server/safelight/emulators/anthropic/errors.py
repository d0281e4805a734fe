"""Refusals in Anthropic's words and shapes: `{"type": "error", "error": {type, message}}`.

A handler raises Refusal; whoever has the routes answers with it, and adds the id of the
request. The same object is an event of its own where a stream has begun already.
"""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import Response

from ..desk import Refusal
from ..faults import Fault
from ..telling import as_json

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

LOW_BALANCE = (
    "Your credit balance is too low to access the Anthropic API."
    " Please go to Plans & Billing to upgrade or purchase credits."
)
SAID = {
    "api_error": "Internal server error",
    "timeout_error": "The request timed out while processing.",
    "overloaded_error": "Overloaded",
}
"""What is said where there is nothing more to say."""


def body(type: str, message: str | None = None) -> dict[str, Any]:
    """The JSON of an error."""
    return {"type": "error", "error": {"type": type, "message": message or SAID[type]}}


def answer(type: str, message: str | None = None, status: int | None = None) -> Response:
    """An error with the status that its type has, or another."""
    return as_json(body(type, message), status or STATUSES[type])


def refused(type: str, message: str) -> Refusal:
    """To be raised."""
    return Refusal(answer(type, message))


def invalid(message: str) -> Refusal:
    """400: something in the request is not as it must be; the message begins with its place."""
    return refused("invalid_request_error", message)


def struck(fault: Fault) -> Response:
    """What is said when a fault of a request strikes, before anything begins."""
    match fault.name:
        case "throttle":
            return _throttled(fault.seconds(1.0))
        case "unauthorized":
            return answer("authentication_error", "invalid x-api-key")
        case "no-credit":
            old = fault.seconds(402) == 400
            return answer("invalid_request_error" if old else "billing_error", LOW_BALANCE)
        case "moderated":
            message = "Output blocked by content filtering policy"
            return answer("invalid_request_error", message)
        case "http-529":
            return answer("overloaded_error")
        case _:
            return answer("api_error", status=int(fault.name.removeprefix("http-")))


def _throttled(seconds: float) -> Response:
    message = "This request would exceed your organization's rate limit."
    made = answer("rate_limit_error", message)
    made.headers["retry-after"] = str(math.ceil(seconds))
    made.headers["anthropic-ratelimit-requests-remaining"] = "0"
    return made
