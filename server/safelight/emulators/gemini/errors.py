"""Refusals in Google's words and shapes: `{"error": {code, message, status, details}}`.

A handler raises Refusal; whoever has the routes answers with it. A key that is wrong is a
400 here, not a 401, as it is at the real one; what a program looks at is in `details`.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ..desk import Refusal
from ..faults import Fault
from ..telling import as_json

TYPES = "type.googleapis.com/google.rpc."
STATUSES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
SAID = {
    500: "An internal error has occurred. Please retry.",
    503: "The model is overloaded. Please try again later.",
    504: "The request timed out. Please try again.",
}
OVER_QUOTA = "You exceeded your current quota, please check your plan and billing details."
NO_ACCESS = "The caller does not have permission"
NOBODY = (
    "Method doesn't allow unregistered callers (callers without established identity)."
    " Please use API Key or other form of API consumer identity to call this API."
)


def body(code: int, message: str | None = None, *details: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an error."""
    error = {"code": code, "message": message or SAID[code], "status": STATUSES[code]}
    return {"error": error | ({"details": list(details)} if details else {})}


def answer(code: int, message: str | None = None, *details: dict[str, Any]) -> Response:
    """An error with its status."""
    return as_json(body(code, message, *details), code)


def refused(code: int, message: str) -> Refusal:
    """To be raised."""
    return Refusal(answer(code, message))


def invalid(message: str, field: str | None = None) -> Refusal:
    """400: something in the request is not as it must be."""
    if field is None:
        return refused(400, message)
    violation = {"field": field, "description": message}
    detail = {"@type": TYPES + "BadRequest", "fieldViolations": [violation]}
    return Refusal(answer(400, message, detail))


def unknown(name: str, place: str = "") -> Refusal:
    """400: a field that nobody knows here."""
    where = f" at '{place}'" if place else ""
    message = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    return invalid(message, place or name)


def wrong_key() -> Response:
    """400: a key that is none."""
    detail = {
        "@type": TYPES + "ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return answer(400, "API key not valid. Please pass a valid API key.", detail)


def struck(fault: Fault) -> Response:
    """What is said when a fault of a request strikes, before anything begins."""
    match fault.name:
        case "throttle":
            seconds = f"{fault.seconds(1.0):g}s"
            quota = {"quotaMetric": "generate_content_requests", "quotaValue": "10"}
            return answer(
                429,
                f"{OVER_QUOTA} Please retry in {seconds}.",
                {"@type": TYPES + "QuotaFailure", "violations": [quota]},
                {"@type": TYPES + "RetryInfo", "retryDelay": seconds},
            )
        case "unauthorized":
            return answer(403, NO_ACCESS) if fault.seconds(400) == 403 else wrong_key()
        case "no-credit":
            return answer(429, OVER_QUOTA)
        case _:
            return answer(int(fault.name.removeprefix("http-")))
