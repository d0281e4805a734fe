"""What providers' HTTP has in common: what may have arrived, and how long to wait."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from safelight.providers.base import Again, Never
from safelight.providers.http import (
    Oversized,
    client,
    data_url,
    fault_in,
    fault_of,
    is_same_origin,
    joined,
    of_data_url,
    redacted,
    refusal_of,
    retry_after,
    whole,
)

NOW = {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx2.ConnectError("no"), False),
        (httpx2.ConnectTimeout("no"), False),
        (httpx2.ReadTimeout("no"), True),
        (httpx2.ReadError("no"), True),
        (httpx2.WriteError("no"), True),
        (httpx2.RemoteProtocolError("no"), True),
        (TimeoutError(), True),
        (ValueError("anything"), True),
    ],
)
def test_sent(error: Exception, sent: bool) -> None:
    """Only what surely never left is said not to have been sent."""
    assert fault_of(error).sent is sent


def test_sdk_errors_are_read_by_their_cause() -> None:
    """An SDK's own error says what the error of HTTP beneath it says."""
    outer = RuntimeError("Connection error.")
    outer.__cause__ = httpx2.ConnectError("refused")
    assert not fault_of(outer).sent


def test_sdk_errors_are_read_by_their_response() -> None:
    """An error that carries an answer is that answer."""
    error = RuntimeError("429")
    body = {"error": {"message": "slow down"}}
    error.response = httpx2.Response(429, json=body, headers={"Retry-After": "3"})
    fault = fault_of(error)
    assert (fault.status, fault.wait, fault.body) == (429, 3.0, body)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, {"retry_after": 7}, 7.0),
        ({"retry-after": "9"}, {"retry_after": 7}, 7.0),
        ({"retry-after": "9"}, None, 9.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, None, 0.25),
        (NOW | {"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, None, 30.0),
        (NOW | {"retry-after": "Sat, 21 Nov 2026 12:00:30 -0000"}, None, 30.0),
        (NOW | {"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, None, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, None, None),
        (NOW | {"retry-after": f"Sat, 21 Nov {'9' * 30} 12:00:30 GMT"}, None, None),
        (NOW | {"retry-after": f"Sat, 21 Nov 2026 12:00:30 +{'9' * 30}"}, None, None),
        ({}, {"retry_after": 10**400}, 1e9),
        ({"retry-after": "9" * 400}, None, 1e9),
        ({}, {"error": {"details": [{"retryDelay": "17s"}]}}, 17.0),
        ({}, {"error": {"details": [{"x": 1}, {"retryDelay": "1.5s"}]}}, 1.5),
        ({}, {"retry_after": -1}, None),
        ({}, {"retry_after": True}, None),
        ({"retry-after": "soon"}, ["odd"], None),
        ({}, None, None),
    ],
)
def test_retry_after(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    """The provider's wish is found wherever it is said."""
    assert retry_after(headers, body) == seconds


def test_a_date_is_obeyed_by_the_answers_own_clock() -> None:
    """A pause until a date is as long as the answer itself says, whatever our clock says."""
    headers = {"Date": NOW["date"], "Retry-After": "Sat, 21 Nov 2026 12:00:30 GMT"}
    refusal = refusal_of(fault_in(429, headers, b""), "shop")
    assert isinstance(refusal, Again) and refusal.after_seconds == 30.0


@pytest.mark.parametrize("status", [401, 402, 403])
def test_key_or_credit(status: int) -> None:
    """A key or credit that is refused ends it for good, free, without the vendor's words."""
    fault = fault_in(status, {}, b'{"detail": "Go to https://vendor.example/billing"}')
    refusal = refusal_of(fault, "shop")
    assert isinstance(refusal, Never) and refusal.code == "provider_refused"
    assert "billing" not in refusal.message and refusal.elsewhere
    assert refusal.charge is not None and refusal.charge.verdict == "free"


def test_throttled() -> None:
    """A throttled request is tried again when the provider says, and not before."""
    refusal = refusal_of(fault_in(429, {}, b'{"retry_after": 12}'), "shop")
    assert isinstance(refusal, Again)
    assert (refusal.code, refusal.after_seconds) == ("throttled", 12.0)


def test_never_sent() -> None:
    """What never left began nothing, and may be tried again."""
    refusal = refusal_of(fault_of(httpx2.ConnectError("no")), "shop")
    assert isinstance(refusal, Again) and refusal.code == "provider_unreachable"


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
def test_the_rest_is_the_providers(status: int) -> None:
    """What providers mean differently is left to them."""
    assert refusal_of(fault_in(status, {}, b""), "shop") is None


def test_data_urls() -> None:
    """Bytes go into an address and come out the same; what is broken is none."""
    assert of_data_url(data_url(b"\x00\xff", "image/png")) == ("image/png", b"\x00\xff")
    assert of_data_url("data:,a%20b") == ("text/plain", b"a b")
    assert of_data_url("data:image/png;base64,???") is None
    assert of_data_url("https://a.example/x") is None


def test_redacted_is_one_short_line() -> None:
    """A provider's words are told on one line, cut to a length."""
    assert redacted("a\n  b") == "a b"
    assert len(redacted("x" * 9000)) == 500


@pytest.mark.parametrize("secret", ["sk-proj-0123456789", "org-0123456789", "r8_" + "a" * 37])
def test_redacted_has_no_key_in_it(secret: str) -> None:
    """Vendors repeat keys and accounts in their words; they are not told on."""
    assert redacted(f"Incorrect key {secret} given") == "Incorrect key … given"


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("files/x.png", True),
        ("/files/x.png", True),
        ("https://shop.example:443/x", True),
        ("http://shop.example/x", False),
        ("https://shop.example:8443/x", False),
        ("//elsewhere.example/x", False),
        ("https://[", False),
    ],
)
def test_origins(url: str, is_here: bool) -> None:
    """An address is of the origin that it is joined to, or of another; a broken one of none."""
    base = "https://shop.example/v1"
    assert is_same_origin(joined(base, url), base) is is_here


async def test_whole_is_bounded() -> None:
    """An answer that is too large is not read to its end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(f"http://127.0.0.1:{port}", {}, 5.0) as asking:
        async with asking.stream("GET", "/") as answer:
            with pytest.raises(Oversized):
                await whole(answer, 1000)
