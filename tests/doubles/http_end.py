"""The server's end of HTTP, played by the test request by request.

Answers are taken from a list, one a request: bytes are written as they are, `CUT`
drops the connection after the request was read, which is how an answer gets lost.
Unrealistic on purpose: each connection serves one request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

CUT = b""


class Asked(NamedTuple):
    """One request as it arrived; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


async def asked_by(reader: asyncio.StreamReader) -> Asked:
    """One request, read whole."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (h.partition(": ") for h in rest)}
    return Asked(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))


class HttpEnd:
    """`answers` is what the next requests get, `asked` what they were."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[bytes] = []
        self.asked: list[Asked] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        try:
            self.asked.append(await asked_by(reader))
            writer.write(self.answers.pop(0))
            await writer.drain()
        finally:
            writer.close()


def answer(status: int, body: Any) -> bytes:
    """An answer with a JSON body."""
    return document(status, json.dumps(body).encode(), "application/json")


def document(status: int, body: bytes, media_type: str, *, length: int | None = None) -> bytes:
    """An answer; with a `length` above that of the body it looks as if it was cut."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def http_end() -> AsyncIterator[HttpEnd]:
    """The server, as long as the block lasts."""
    end = HttpEnd()
    server = await asyncio.start_server(end.handle, "127.0.0.1", 0)
    async with server:
        end.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield end
