"""What every provider's HTTP has in common: one request, what a failure says, how long to wait.

The one question that money hangs on is answered here: whether a request may have arrived.
Reads errors of httpx2 and of SDKs that stand on it (by their `response` and their cause),
and holds no state. Knows no provider; no text of a vendor's is in a message made here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin

import anyio
import httpx2
import msgspec

from safelight_protocol.events import Charge

from .base import Again, Never, Unclear
from .greeting import About, denied

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

MOST_NUMBER = 1e9
"""What is more is no pause that anybody means: it must not reach a clock."""

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


class Trouble(Exception):
    """A request that came to nothing; the message is the fault's `why`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.why)
        self.fault = fault

    @property
    def status(self) -> int | None:
        """That of the answer, if there was one."""
        return self.fault.status


class Oversized(httpx2.TransportError):
    """An answer that is larger than any that is expected; the rest of it was not read."""


def fault_of(error: BaseException) -> Fault:
    """What an error of httpx2, or of an SDK that stands on it, says. What is not known to have
    stayed here may have arrived."""
    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response):
        return fault_in(response.status_code, response.headers, _content(response))
    cause = _cause(error)
    if isinstance(cause, UNSENT):
        return Fault(sent=False, why="it takes no connections now")
    if isinstance(cause, httpx2.TimeoutException | TimeoutError):
        return Fault(sent=True, why="it did not answer in time")
    return Fault(sent=True, why="it did not answer whole")


def fault_in(status: int, headers: Mapping[str, str], content: bytes) -> Fault:
    """What an answer says that is no success."""
    body = json_of(content)
    lowered = {name.lower(): value for name, value in headers.items()}
    return Fault(
        sent=True,
        why=f"it answered {status}",
        status=status,
        headers=lowered,
        body=body,
        wait=retry_after(lowered, body),
    )


def refusal_of(fault: Fault, provider: str) -> Again | Never | None:
    """What a create comes to that certainly began nothing, as far as all providers mean the
    same: never sent, our key or credit, throttled. None: it is for the provider to say."""
    if not fault.sent:
        message = f"{provider} cannot be reached: {fault.why}"
        return Again("provider_unreachable", message, charge=UNASKED, elsewhere=True)
    if fault.status in (401, 402, 403):
        return of_our_account(provider, fault)
    if fault.status == 429:
        return Again(
            "throttled",
            f"{provider} takes no more requests for now",
            fault.wait,
            charge=NOTHING,
            elsewhere=True,
        )
    return None


def of_our_account(provider: str, fault: Fault, about: About | None = None) -> Never:
    """The operator's trouble, and told to the operator: our key or credit."""
    message = f"{provider} does not take requests of this server now"
    said = denied(fault.status or 0, fault.body, about)
    return Never("provider_refused", message, charge=NOTHING, elsewhere=True, denied=said)


def too_large(provider: str) -> Never:
    """The request has more bytes than its provider takes."""
    return Never("too_large", f"{provider} takes no request of this size", charge=NOTHING)


def misaddressed(provider: str, status: int) -> Never:
    """An answer that no create of this provider's has: most likely it is another server's."""
    message = f"{provider} answered {status}: is its address right?"
    return Never("provider_failed", message, charge=NOTHING, elsewhere=True)


def no_model(provider: str, model: str = "") -> Never:
    """Its own word that it has no such model, or none for our key; an equal's host may."""
    named = f"model {model}" if model else "such model for this server"
    message = f"{provider} has no {named}"
    return Never("model_not_found", message, charge=NOTHING, elsewhere=True)


def in_doubt(fault: Fault, provider: str) -> Unclear:
    """The request may have begun something, and nobody has said what became of it."""
    return Unclear(f"{provider} may have run it, but {fault.why}")


UNASKED = Charge("free", reason="it never reached its provider")
NOTHING = Charge("free", reason="its provider refused it before it began")


def retry_after(headers: Mapping[str, str], body: Any) -> float | None:
    """The seconds that a provider wants us to wait, wherever it says so: `retry_after` or a
    `retryDelay` in the body, `retry-after-ms` or `retry-after` in the headers (seconds, or a
    date, which counts from the answer's own). The body goes first: it is finer, and headers
    are proxies' too."""
    ways = (
        _in_body(body),
        _number(headers.get("retry-after-ms"), 0.001),
        _number(headers.get("retry-after")),
        _between(headers.get("date"), headers.get("retry-after")),
    )
    return next((seconds for seconds in ways if seconds is not None), None)


def json_of(content: bytes) -> Any:
    """The JSON in it, None where it is none."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None


def redacted(text: object) -> str:
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


def joined(base: str, url: str) -> str:
    """An address that an answer names, seen from `base`; what is none stays as it is."""
    try:
        return urljoin(f"{base}/", url)
    except ValueError:
        return url


def is_same_origin(one: str, other: str) -> bool:
    """Whether two addresses have scheme, host and port in common, so that what is sent to one
    may be sent to the other."""
    try:
        here, there = httpx2.URL(one), httpx2.URL(other)
    except httpx2.InvalidURL:
        return False
    return (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)


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


async def body_of(
    http: httpx2.AsyncClient, method: str, path: str, *, seconds: float, **more: Any
) -> bytes:
    """The body of a success, all of it within `seconds`; asked once, whatever comes of it.
    Raises Trouble."""
    try:
        with anyio.fail_after(seconds):
            async with http.stream(method, path, **more) as answer:
                body = await whole(answer)
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
        raise Trouble(fault_of(error)) from None
    if not answer.is_success:
        raise Trouble(fault_in(answer.status_code, answer.headers, body))
    return body


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
    return min(said, MOST_NUMBER) * scale if said >= 0 else None


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


def _between(sent: str | None, due: str | None) -> float | None:
    """Seconds from one date of HTTP to another, by the clock of whoever wrote them both."""
    if sent is None or due is None:
        return None
    try:
        start, end = (parsedate_to_datetime(date) for date in (sent, due))
    except (ValueError, OverflowError):  # no date, or one of no year that there is
        return None
    zoned = (when if when.tzinfo else when.replace(tzinfo=UTC) for when in (start, end))
    start, end = zoned
    return max(0.0, (end - start).total_seconds())
