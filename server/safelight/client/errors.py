"""What can keep a client from its task, as exceptions named for the fact.

Owns how a refusal of the server is read, from whatever door. Codes are kept as they
are: a later server may have codes that this client has never heard of. The table of
codes stands in docs/wire.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol.codes import CODES


class Unreachable(Exception):
    """No server answered, in all the tries there were. Whether it acted is unknown."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"no server answers at {url} ({why})")
        self.url = url
        self.why = why


class RequestRefused(Exception):
    """The server said no. `code` and `retry` are those of the table of codes.

    `details` lists what was wrong, field by field: `{field, found, expected}`.
    `status` is 0 where no HTTP status came with it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        retry: str = "no",
        details: tuple[dict[str, Any], ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry = retry
        self.details = details


class WrongAnswer(Exception):
    """What answered is no Safelight server, or one that this client cannot understand."""


class NotOpen(Exception):
    """The client was closed while somebody still waited for it."""


class Damaged(Exception):
    """A download is not the file that its event named; nothing was kept of it."""


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""
    details: Any = None


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    detail: str = ""
    retry: str = ""
    error: _Error = _Error()


class _Reply(msgspec.Struct, frozen=True):
    reason: str = ""
    code: str = ""
    message: str = ""
    details: Any = None


def refusal_of_answer(status: int, body: bytes, url: str) -> Exception:
    """The problem document of an HTTP answer; WrongAnswer where there is none."""
    try:
        problem = msgspec.json.decode(body, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    code = problem.code or problem.error.code
    if not code:
        return WrongAnswer(f"{url} answered {status} without saying why: no Safelight server?")
    return RequestRefused(
        code,
        problem.detail or problem.error.message or code,
        status=status,
        retry=problem.retry or _retry_of(code),
        details=_listed(problem.error.details),
    )


def refusal_of_reply(response: msgspec.Raw | bytes) -> Exception:
    """The refusal in a reply on the socket."""
    try:
        reply = msgspec.json.decode(response, type=_Reply)
    except msgspec.DecodeError:
        return WrongAnswer("the socket's reply cannot be read: no Safelight server?")
    code, message = reply.code or "refused", reply.message or reply.reason or "refused"
    return RequestRefused(code, message, retry=_retry_of(code), details=_listed(reply.details))


def _retry_of(code: str) -> str:
    row = CODES.get(code)
    return "no" if row is None else row.retry


def _listed(details: Any) -> tuple[dict[str, Any], ...]:
    items = details if isinstance(details, list) else []
    return tuple(item for item in items if isinstance(item, dict))
