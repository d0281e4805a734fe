"""The opening of a WebSocket, as bytes (RFC 6455, 4.2), without any input or output.

Reads the request that a server hands over and says whether it may become a WebSocket;
makes the answers to it. Who may come in, and what is agreed on, is the application's
business. No extension is ever agreed on.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from websockets.utils import accept_key

Headers = list[tuple[bytes, bytes]]

VERSION = b"13"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"


class Refused(Exception):
    """This request does not become a WebSocket; `answer` is what the client gets."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(why)
        self.status = status
        self.headers = headers


class Request(NamedTuple):
    """What a client asked for. Names of headers are in lower case."""

    target: str
    headers: Headers
    subprotocols: list[str]
    key: str


def read(data: bytes) -> Request:
    """The request of `data`, which is whole and was made by an HTTP server from what it
    had read and found to be in order. Raises Refused."""
    begin, _, rest = data.partition(b"\r\n")
    method, target, _ = begin.decode("latin-1").split(" ", 2)
    headers: Headers = []
    for line in rest.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip(b" \t")))
    if method != "GET":
        raise Refused(405, f"A WebSocket begins with GET, not with {method}.", (b"allow", b"GET"))
    if not _all(headers, b"host"):
        raise Refused(400, "The Host header is missing.")
    _must_upgrade(headers)
    return Request(target, headers, _offered(headers), _key(headers))


def _must_upgrade(headers: Headers) -> None:
    to_websocket = (b"upgrade", b"websocket")
    if [v.lower() for v in _all(headers, b"upgrade")] != [b"websocket"] or not any(
        token.strip().lower() == b"upgrade"
        for value in _all(headers, b"connection")
        for token in value.split(b",")
    ):
        raise Refused(426, "This address speaks WebSocket only.", to_websocket)
    if _all(headers, b"sec-websocket-version") != [VERSION]:
        version = (b"sec-websocket-version", VERSION)
        raise Refused(426, "The WebSocket version is 13.", to_websocket, version)


def _key(headers: Headers) -> str:
    """The one key, of 16 bytes."""
    keys = _all(headers, b"sec-websocket-key")
    try:
        if len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16:
            return keys[0].decode("ascii")
    except binascii.Error:
        pass
    raise Refused(400, "Sec-WebSocket-Key must be 16 bytes in base64, once.")


def _offered(headers: Headers) -> list[str]:
    """The names of subprotocols, in the client's order."""
    values = _all(headers, b"sec-websocket-protocol")
    tokens = [token.strip() for value in values for token in value.decode("latin-1").split(",")]
    return [token for token in tokens if token]


def _all(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def accepted(key: str, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The answer that lets a client in, whose key was this one."""
    lines = [(b"sec-websocket-accept", accept_key(key).encode("ascii")), *headers]
    if subprotocol:
        lines.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
    return UPGRADE + _lines(lines)


def refused(trouble: Refused, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole answer to a request that was refused."""
    return answer(trouble.status, f"{trouble}\n".encode(), [*headers, *trouble.headers])


def answer(status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A whole answer in plain words, with which the connection ends."""
    kind = (b"content-type", b"text/plain; charset=utf-8")
    size = (b"content-length", str(len(body)).encode("ascii"))
    return head(status, [*headers, kind, size]) + body


def head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The beginning of an answer after which the connection ends; its end is the body's,
    unless a header says how long that is."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii") + _lines(
        [*(h for h in headers if h[0].lower() != b"connection"), (b"connection", b"close")]
    )


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers and the empty line. Raises ValueError where one would be two."""
    lines = [b"%b: %b\r\n" % header for header in headers]
    text = b"".join(lines)
    if not text.count(b"\r") == text.count(b"\n") == len(lines):
        raise ValueError("a header must not break its line")
    return text + b"\r\n"
