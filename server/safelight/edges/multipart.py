"""One field of a form as it comes in (multipart/form-data, RFC 7578), without keeping it.

Takes bytes in pieces and gives back those of the part that is named; every other part is
passed over. Knows no requests. Names are compared as they are sent: nothing is decoded.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from safelight_protocol.codes import Refused

MOST_HEADER_BYTES = 8 * 1024

_BOUNDARY = re.compile(
    r"multipart/form-data\s*;.*?boundary="
    r"(?:\"([^\"\r\n]{0,69}[^\"\s])\"|([^\s\";]{1,70}))\s*(?:;|$)",
    re.IGNORECASE,
)
_NAME = re.compile(rb'^content-disposition:[^\r\n]*?[;\s]name="?([^";\r\n]*)', re.I | re.M)


def boundary_of(content_type: str) -> bytes | None:
    """What separates the parts, or None for what is no form."""
    found = _BOUNDARY.match(content_type.strip())
    return None if found is None else (found[1] or found[2]).encode("latin-1", "replace")


class Multipart:
    """A form on its way. `found` once the part has begun, `ended` behind the last one."""

    def __init__(self, boundary: bytes, name: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._name = name
        self._waiting = bytearray(b"\r\n")  # so that the first delimiter is like the others
        self._in_head = False
        self._wanted = False
        self.found = False
        self.ended = False

    def feed(self, piece: bytes) -> bytes:
        """The bytes of the part that are certain by now; what comes behind the end is passed
        over. Raises Refused `invalid`."""
        if self.ended:
            return b""
        self._waiting += piece
        out = bytearray()
        while not self.ended:
            if self._in_head:
                if not self._read_head():
                    break
            elif not self._read_body(out):
                break
        return bytes(out)

    def _read_body(self, out: bytearray) -> bool:
        """Up to the next delimiter; what may be the beginning of one waits."""
        at = self._waiting.find(self._delimiter)
        certain = at if at >= 0 else max(0, len(self._waiting) - len(self._delimiter) + 1)
        if self._wanted:
            out += self._waiting[:certain]
        del self._waiting[:certain]
        if at < 0:
            return False
        del self._waiting[: len(self._delimiter)]
        self._in_head, self._wanted = True, False
        return True

    def _read_head(self) -> bool:
        if self._waiting.startswith(b"--"):
            self.ended = True
            return True
        at = self._waiting.find(b"\r\n\r\n")
        if at < 0:
            if len(self._waiting) > MOST_HEADER_BYTES:
                raise wrong("a part without an end of its headers")
            return False
        named = _NAME.search(bytes(self._waiting[:at]).strip())
        del self._waiting[: at + 4]
        self._in_head = False
        self._wanted = named is not None and named[1] == self._name
        if self._wanted and self.found:
            raise wrong(f"more than one part named {self._name.decode()}")
        self.found = self.found or self._wanted
        return True


async def field(chunks: AsyncIterator[bytes], boundary: bytes, name: str) -> AsyncIterator[bytes]:
    """The bytes of one field. Raises Refused `invalid` if it is not there, or not whole."""
    form = Multipart(boundary, name.encode())
    async for chunk in chunks:
        if piece := form.feed(chunk):
            yield piece
    if not form.found:
        raise wrong(f"no part named {name}")
    if not form.ended:
        raise wrong("a form without its last boundary")


def wrong(found: str) -> Refused:
    """The refusal of a form."""
    expected = "multipart/form-data with one part named file, or the bytes alone"
    details: list[dict[str, object]] = [{"field": "body", "found": found, "expected": expected}]
    return Refused("invalid", f"body: found {found}, expected {expected}", details)
