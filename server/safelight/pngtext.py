"""One text chunk in a PNG file: what it was made of, put in without touching the picture.

Owns the keyword and its form: an `iTXt` chunk (PNG, third edition, 11.3.3.4) named
`safelight`, whose text is JSON, directly behind the header. Every other chunk stays as it
is, ComfyUI's `prompt` and `workflow` among them. Anything that is no PNG passes unchanged.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgspec

KEYWORD = "safelight"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = _SIGNATURE + b"\x00\x00\x00\rIHDR"
_BEFORE = len(_SIGNATURE) + 4 + 4 + 13 + 4
"""Bytes up to the end of IHDR, which a PNG begins with."""


def chunk(facts: dict[str, Any]) -> bytes:
    """The chunk that tells these."""
    body = KEYWORD.encode() + b"\0\0\0\0\0" + msgspec.json.encode(facts)
    typed = b"iTXt" + body
    return struct.pack(">I", len(body)) + typed + struct.pack(">I", zlib.crc32(typed))


class Inserter:
    """Puts a chunk into a file that comes in pieces; None puts nothing into it."""

    def __init__(self, added: bytes | None) -> None:
        self._added = added
        self._head = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """What may be written now."""
        if self._added is None:
            return piece
        self._head += piece
        if len(self._head) < _BEFORE:
            return b""
        return self.end()

    def end(self) -> bytes:
        """What is left, when nothing more comes."""
        if self._added is None:
            return b""
        added, self._added = self._added, None
        if len(self._head) < _BEFORE or not self._head.startswith(_HEADER):
            return bytes(self._head)
        return bytes(self._head[:_BEFORE]) + added + bytes(self._head[_BEFORE:])
