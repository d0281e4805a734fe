"""What counts as a plain request that came whole: nothing that uvicorn would read otherwise."""

from __future__ import annotations

import pytest

from safelight.forwarded import FORWARDED
from safelight.whole import MOST_BYTES, RARE, REMEMBERED, Head, Heads

HOST = b"Host: a\r\n"


def request(line: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Bytes of a request."""
    return b"\r\n".join([line, *headers, b"", body])


def test_a_plain_request_is_read() -> None:
    """Method, path, headers in lower case, and where the body begins."""
    data = request(b"POST /a/b HTTP/1.1", b"HOST:  a", b"Content-Length: 2", body=b"{}more")
    found = Heads().read(data)
    assert found is not None
    headers = ((b"host", b"a"), (b"content-length", b"2"))
    assert found[0] == Head("POST", "/a/b", headers, 2)
    assert data[found[1] :] == b"{}more"


def test_what_is_not_whole_is_none() -> None:
    """Every part of a request but all of it."""
    data = request(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: 2", body=b"{}")
    heads = Heads()
    assert [heads.read(data[:end]) is None for end in range(len(data) + 1)] == [True] * len(
        data
    ) + [False]


UNUSUAL = {
    "HTTP/1.0": request(b"GET / HTTP/1.0", b"Host: a"),
    "HTTP/2.0": request(b"GET / HTTP/2.0", b"Host: a"),
    "no version": request(b"GET /", b"Host: a"),
    "a query": request(b"GET /?a HTTP/1.1", b"Host: a"),
    "an escape": request(b"GET /%61 HTTP/1.1", b"Host: a"),
    "a whole address": request(b"GET http://a/ HTTP/1.1", b"Host: a"),
    "a star": request(b"OPTIONS * HTTP/1.1", b"Host: a"),
    "a tunnel": request(b"CONNECT a:80 HTTP/1.1", b"Host: a"),
    "no method": request(b"get / HTTP/1.1", b"Host: a"),
    "a bare line feed": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "two bare line feeds": b"GET / HTTP/1.1\r\nHost: a\n\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: a\rb: c\r\n\r\n",
    "a folded header": request(b"GET / HTTP/1.1", b"Host: a", b" b"),
    "a blank before the colon": request(b"GET / HTTP/1.1", b"Host : a"),
    "a zero byte": request(b"GET / HTTP/1.1", b"Host: a\0"),
    "two lengths": request(
        b"POST / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 2", body=b"ab"
    ),
    "one length twice": request(
        b"POST / HTTP/1.1", b"Content-Length: 1", b"Content-Length: 1", body=b"ab"
    ),
    "a signed length": request(b"POST / HTTP/1.1", b"Content-Length: +1", body=b"a"),
    "a list of lengths": request(b"POST / HTTP/1.1", b"Content-Length: 1, 1", body=b"a"),
    "an endless length": request(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 30, body=b"a"),
    "chunks": request(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks and a length": request(
        b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"
    ),
    "a wait for leave": request(
        b"POST / HTTP/1.1", b"Content-Length: 1", b"Expect: 100-continue", body=b"a"
    ),
    "a goodbye": request(b"GET / HTTP/1.1", b"Connection: close"),
    "a goodbye among others": request(b"GET / HTTP/1.1", b"Connection: keep-alive, close"),
    "a goodbye to a proxy": request(b"GET / HTTP/1.1", b"Proxy-Connection: close"),
    "an upgrade": request(b"GET / HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"),
    "half an upgrade": request(b"GET / HTTP/1.1", b"Upgrade: websocket"),
    "a preference": request(b"GET / HTTP/1.1", b"PREFER: wait=1"),
    "a proxy": request(b"GET / HTTP/1.1", b"X-Forwarded-For: b"),
    "a large head": request(b"GET / HTTP/1.1", b"X: " + b"x" * MOST_BYTES),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_whatever_is_unusual_is_none(data: bytes) -> None:
    """At its first time, and when it is remembered."""
    heads = Heads()
    assert [heads.read(data), heads.read(data)] == [None, None]


def test_proxies_are_rare() -> None:
    """What says for whom a proxy asks is read where it always was."""
    assert FORWARDED <= RARE


def test_what_is_remembered_has_a_bound() -> None:
    """However many heads come, no more of them are kept."""
    heads = Heads()
    for number in range(3 * REMEMBERED):
        assert heads.read(request(b"GET /%d HTTP/1.1" % number, b"Host: a")) is not None
        assert len(heads) <= REMEMBERED


def test_a_head_is_read_once() -> None:
    """The second time it is the very same."""
    heads, data = Heads(), request(b"GET / HTTP/1.1", b"Host: a")
    first, second = heads.read(data), heads.read(data + b"more")
    assert first is not None and second is not None and first[0] is second[0]
