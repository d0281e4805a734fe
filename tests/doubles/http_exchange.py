"""HTTP/1.1 by hand, for doubles that must be able to misbehave: one connection at a time.

Requests come in whole and one after another on each connection; the handler may answer,
drop the connection, or leave it hanging. Knows nothing of what is asked. Unrealistic: no
chunked bodies, no pipelining.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.doubles.http_end import asked_by


class Asking(NamedTuple):
    """One request as it arrived."""

    method: str
    target: str
    body: bytes


class Exchange:
    """What can be done with a request: exactly one of these."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON."""
        data = json.dumps(body).encode()
        more = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        lines = [f"{name}: {value}\r\n" for name, value in (more | (headers or {})).items()]
        head = f"HTTP/1.1 {status} X\r\n{''.join(lines)}\r\n"
        if not self._writer.is_closing():
            self._writer.write(head.encode() + data)

    def drop(self) -> None:
        """Close the connection without a word."""
        self._writer.transport.abort()

    async def wait_until_gone(self) -> None:
        """Say nothing until the other side has had enough."""
        try:
            await self._reader.read()
        except ConnectionError:
            pass


Handler = Callable[[Asking, Exchange], Awaitable[None]]


TURNS = 4
"""Of the loop, until a connection that was accepted last is made, aborted and closed."""


@asynccontextmanager
async def serve_http(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    """Serve on a port of loopback, a free one by default; gives the base address. All ends
    with the block."""
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # it came while the doors were being shut
            writer.transport.abort()
            return
        task = asyncio.ensure_future(_converse(reader, writer, handler))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for _ in range(TURNS):
            await asyncio.sleep(0)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    try:
        while not writer.is_closing():
            await handler(await _read(reader), Exchange(reader, writer))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the other side has gone, which is how a conversation ends
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Asking:
    asked = await asked_by(reader)
    method, target, _ = asked.line.split(" ")
    return Asking(method, target, asked.body)
