"""Requests that came whole, in one piece, and have nothing unusual about them.

Bytes to method, path, headers and where the body ends. Whoever sends many sends the same
head again and again, so what a head says is remembered; what it says is what the parser of
our uvicorn makes of it, at its first time. Of everything else, what is wrong as much as what
is rare, nothing is said: it goes the way of all requests. Knows no routes.
"""

from __future__ import annotations

import re

import httptools
import msgspec

END = b"\r\n\r\n"
"""What a head ends with."""

MOST_BYTES = 4096
"""Of a head; a larger one is rare."""

REMEMBERED = 512
"""Heads, those that are not taken among them. With one more all are forgotten."""

_is_plain = re.compile(rb"/[A-Za-z0-9_.~:/-]*").fullmatch
"""A path without escapes and without a query."""

RARE = frozenset(
    {b"expect", b"prefer", b"transfer-encoding", b"upgrade"}
    | {b"x-forwarded-for", b"x-forwarded-proto"}
)
"""Headers that ask for more than an answer, or speak for somebody else."""

Headers = tuple[tuple[bytes, bytes], ...]


class Head(msgspec.Struct, frozen=True):
    """What comes before a body of `length` bytes. Header names are in lower case."""

    method: str
    path: str
    headers: Headers
    length: int


class Heads:
    """Reads heads, and remembers them."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head | None] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._known)

    def read(self, data: bytes) -> tuple[Head, int] | None:
        """The head that the bytes begin with, and where its body begins; None unless the
        whole request is there and is a plain one."""
        start = data.find(END, 0, MOST_BYTES) + len(END)
        if start < len(END):
            return None
        written = data[:start]
        try:
            head = self._known[written]
        except KeyError:
            head = self._learn(written)
        if head is None or len(data) - start < head.length:
            return None
        return head, start

    def _learn(self, written: bytes) -> Head | None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        head = self._known[written] = _Parsed(written).head()
        return head


class _Parsed:
    """What uvicorn's parser makes of a head that it is given alone."""

    def __init__(self, written: bytes) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._seen: list[str] = []
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(written)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._seen.append("trouble")

    def on_message_begin(self) -> None:
        """It must be one message."""
        self._seen.append("begin")

    def on_url(self, url: bytes) -> None:
        """The target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole; only now does the parser say whether more may follow."""
        self._seen.append("head" if self._parser.should_keep_alive() else "goodbye")

    def on_body(self, body: bytes) -> None:
        """The parser has seen the end of the head before we have."""
        self._seen.append("body")

    def on_message_complete(self) -> None:
        """A message without a body."""
        self._seen.append("end")

    def head(self) -> Head | None:
        """None if there is anything about it that a plain request has not."""
        if self._seen[:2] != ["begin", "head"] or self._seen[2:] not in ([], ["end"]):
            return None
        if self._parser.get_http_version() != "1.1" or self._parser.should_upgrade():
            return None
        length = _length(self._headers)
        if length is None or not _is_plain(self._url):
            return None
        method, path = self._parser.get_method().decode("ascii"), self._url.decode("ascii")
        return Head(method, path, tuple(self._headers), length)


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    """How long the body is; None if that, or another header, is not as usual."""
    length = 0
    for name, value in headers:
        if name in RARE or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
        if name == b"content-length":
            if not value.isdigit() or len(value) > 12:
                return None
            length = int(value)
    return length
