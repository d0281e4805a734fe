"""What every provider's HTTP has in common: what a failure says, and how long to wait.

The one question that money hangs on is answered here: whether a request may have arrived.
Reads errors of httpx2 and of SDKs that stand on it (by their `response` and their cause),
and holds no state. Knows no provider; no text of a vendor's is in a message made here.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx2
import msgspec

from safelight_protocol.events import Charge

from ..telemetry import log as record
from .base import Again, Never

UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)
"""After these not a byte of the request has left: a connection never came about."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
"""Answers after which the same question may be answered. A question, not a create: what a
5xx says of that differs between providers."""

MOST_TOLD = 500
"""Characters of a provider's own words on a failed prediction that are told on."""

SECRETS = re.compile(
    r"\b(?:(?:sk|org|proj|sess|req|resp|whsec)[-_][A-Za-z0-9_-]{6,}|(?:r8_|AIza)[A-Za-z0-9_-]{16,})"
)
"""What may stand in a provider's words and is nobody's business: keys, accounts, ids."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer that are read."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came to nothing. `sent`: it may have arrived. `status`, `headers` (lower
    case) and `body` (JSON; None if it is none) are those of the answer, if there was one;
    `wait` is the provider's own wish in seconds. `why` may be told to anybody."""

    sent: bool
    why: str
    status: int | None = None
    headers: Mapping[str, str] = {}
    body: Any = None
    wait: float | None = None


class Oversized(httpx2.TransportError):
    """An answer that is larger than any that is expected; the rest of it was not read."""


def was_sent(error: BaseException) -> bool:
    """Whether the request may have arrived, by the error that it ended in. What is not known
    to have stayed here may have."""
    cause = _cause(error)
    return not isinstance(cause, UNSENT)


def fault_of(error: BaseException, *, now: datetime | None = None) -> Fault:
    """What an error of httpx2, or of an SDK that stands on it, says. `now` is only needed for
    a `Retry-After` that is a date."""
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response):
        return fault_in(response.status_code, response.headers, _content(response), now=now)
    cause = _cause(error)
    if isinstance(cause, UNSENT):
        return Fault(sent=False, why="it takes no connections now")
    if isinstance(cause, httpx2.TimeoutException | TimeoutError):
        return Fault(sent=True, why="it did not answer in time")
    return Fault(sent=True, why="it did not answer whole")


def fault_in(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    now: datetime | None = None,
) -> Fault:
    """What an answer says that is no success."""
    body = json_of(content)
    lowered = {name.lower(): value for name, value in headers.items()}
    return Fault(
        sent=True,
        why=f"it answered {status}",
        status=status,
        headers=lowered,
        body=body,
        wait=retry_after(lowered, body, now=now),
    )


def refusal_of(fault: Fault, provider: str) -> Again | Never | None:
    """What a create comes to that certainly began nothing, as far as all providers mean the
    same: never sent, our key or credit (the operator hears of it), throttled. None: it is for
    the provider to say."""
    if not fault.sent:
        message = f"{provider} cannot be reached: {fault.why}"
        return Again("provider_unreachable", message, charge=UNASKED, elsewhere=True)
    if fault.status in (401, 402, 403):
        return of_our_account(provider, fault.status)
    if fault.status == 429:
        return Again(
            "throttled",
            f"{provider} takes no more requests for now",
            fault.wait,
            charge=NOTHING,
            elsewhere=True,
        )
    return None


def of_our_account(provider: str, status: int) -> Never:
    """The operator's trouble, and told to the operator: our key or credit."""
    record("provider.refused", provider=provider, status=status)
    message = f"{provider} does not take requests of this server now"
    return Never("provider_refused", message, charge=NOTHING, elsewhere=True)


UNASKED = Charge("free", reason="it never reached its provider")
NOTHING = Charge("free", reason="its provider refused it before it began")


def retry_after(
    headers: Mapping[str, str], body: Any, *, now: datetime | None = None
) -> float | None:
    """The seconds that a provider wants us to wait, wherever it says so: `retry_after` or a
    `retryDelay` in the body, `retry-after-ms` or `retry-after` (seconds or a date) in the
    headers. The body goes first: it is finer, and headers are proxies' too."""
    ways = (
        _in_body(body),
        _number(headers.get("retry-after-ms"), 0.001),
        _number(headers.get("retry-after")),
        _until(headers.get("retry-after"), now),
    )
    return next((seconds for seconds in ways if seconds is not None), None)


def json_of(content: bytes) -> Any:
    """The JSON in it, None where it is none."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None


def told(text: object) -> str:
    """A provider's words on a failed prediction, on one line and cut to a length, without
    what looks like a key or an account of ours."""
    line = SECRETS.sub("…", " ".join(str(text).split()))
    return line if len(line) <= MOST_TOLD else f"{line[: MOST_TOLD - 1]}…"


def data_url(data: bytes, media_type: str) -> str:
    """The bytes as an address of themselves."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def of_data_url(url: str) -> tuple[str, bytes] | None:
    """Media type and bytes of a `data:` address; None of any other, and of a broken one."""
    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:"):
        return None
    media_type, _, options = head[len("data:") :].partition(";")
    raw = unquote_to_bytes(body)
    if "base64" in options.split(";"):
        try:
            raw = base64.b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            return None
    return media_type or "text/plain", raw


def client(
    base_url: str, headers: Mapping[str, str], seconds: float
) -> AbstractAsyncContextManager[httpx2.AsyncClient]:
    """A client that repeats nothing, follows no redirect with our key, reads nothing of the
    environment, and loads certificates only where they are needed."""
    return httpx2.AsyncClient(
        base_url=base_url,
        headers=dict(headers),
        timeout=httpx2.Timeout(seconds, connect=min(seconds, 10.0)),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=16),
        verify=base_url.startswith("https:"),
        trust_env=False,
        follow_redirects=False,
    )


async def whole(answer: httpx2.Response, most: int = MAX_ANSWER) -> bytes:
    """The body of an answer that is read as it comes. Raises Oversized."""
    parts, size = [], 0
    async for part in answer.aiter_bytes():
        size += len(part)
        if size > most:
            raise Oversized("the answer is larger than any that is expected")
        parts.append(part)
    return b"".join(parts)


def _cause(error: BaseException) -> BaseException:
    """The error of httpx2 that is at the bottom of an SDK's own; else the error itself."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None or isinstance(seen, httpx2.HTTPError | httpx2.InvalidURL | TimeoutError):
            break
        seen = seen.__cause__ or seen.__context__
    return error if seen is None else seen


def _content(response: httpx2.Response) -> bytes:
    try:
        return response.content
    except httpx2.StreamError:  # of a stream that nobody has read
        return b""


_SECONDS = re.compile(r"^(\d+(?:\.\d+)?)s?$")


def _number(said: object, scale: float = 1.0) -> float | None:
    """`7`, `7.5`, `"7"` or `"7.5s"`."""
    if isinstance(said, str):
        match = _SECONDS.match(said.strip())
        said = None if match is None else float(match[1])
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return said * scale if math.isfinite(said) and said >= 0 else None


def _in_body(body: Any) -> float | None:
    if not isinstance(body, dict):
        return None
    seconds = _number(body.get("retry_after"))
    error = body.get("error")
    if seconds is None and isinstance(error, dict):
        seconds = _number(error.get("retry_after"))
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():
            if seconds is None and isinstance(detail, dict):
                seconds = _number(detail.get("retryDelay"))
    return seconds


def _until(said: str | None, now: datetime | None) -> float | None:
    """Seconds until a date of HTTP."""
    if said is None or now is None:
        return None
    try:
        when = parsedate_to_datetime(said)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())
