"""What Replicate says when it does not do what it is asked: bodies with a title and a detail."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

CREDIT = (
    "You have insufficient credit to run this model. Go to https://replicate.com/account/billing"
    " to purchase credit. Once you purchase credit, please wait a few minutes before trying again."
)
THROTTLED = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests"
    " per minute with a burst of 1 requests while you have less than $5.0 in credit."
    " Your rate limit resets in ~{}s."
)
VERSION = "The specified version does not exist (or perhaps you don't have permission to use it?)"


class Problem(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, detail: str, title: str = "", **more: Any) -> None:
        super().__init__(detail)
        told = {"title": title} if title else {}
        self.status = status
        self.body = {**told, "detail": detail, "status": status, **more}

    def response(self) -> JSONResponse:
        """As it is sent."""
        return JSONResponse(self.body, self.status, media_type="application/problem+json")


def unauthenticated() -> Problem:
    """No key, or not ours."""
    detail = "You did not pass a valid authentication token"
    return Problem(401, detail, "Unauthenticated")


def no_credit() -> Problem:
    """The account has no money left."""
    return Problem(402, CREDIT, "Insufficient credit")


def not_found(detail: str = "The requested resource could not be found.") -> Problem:
    """There is no such thing."""
    return Problem(404, detail)


def no_version() -> Problem:
    """A version that nobody has, or not for this account."""
    return Problem(422, VERSION, "Invalid version or not permitted")


def invalid(fields: list[dict[str, str]]) -> Problem:
    """The input or the request itself is not what is taken."""
    lines = "".join(f"- {each['field']}: {each['description']}\n" for each in fields)
    return Problem(422, lines, "Input validation failed", invalid_fields=fields)


def throttled(seconds: float) -> Problem:
    """Too many requests; the seconds are in the body, and in no header."""
    whole = max(1, round(seconds))
    return Problem(429, THROTTLED.format(whole), retry_after=int(seconds) or seconds)


def trouble(status: int) -> Problem:
    """The provider's own trouble."""
    return Problem(status, "An internal error occurred.", "Internal server error")
