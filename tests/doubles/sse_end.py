"""The server's end of streamed answers, played by the test piece by piece.

Each request takes the next script of `scripts`: bytes are sent as a chunk of the body, a number
of seconds is slept, `HOLD` waits until the client hangs up or the test calls `release`, `CUT`
drops the connection in the middle of the body. `answered` makes a script of an answer that is
no stream. Unrealistic on purpose: each connection serves one request, and what is not scripted
is hung up on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from tests.doubles.http_end import Asked, asked_by

HOLD = "hold"
CUT = "cut"

Script = list[bytes | str | float]

STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)


class SseEnd:
    """`asked` is what came, in order; `holding` is set while a script holds, and `left` once a
    client has hung up on one that does."""

    def __init__(self) -> None:
        self.url = ""
        self.scripts: list[Script] = []
        self.asked: list[Asked] = []
        self.holding = asyncio.Event()
        self.left = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Go on after a HOLD."""
        self._released.set()

    def sent(self, place: int = -1) -> dict[str, Any]:
        """The JSON body of a request, the last one by default."""
        body: dict[str, Any] = json.loads(self.asked[place].body)
        return body

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one script."""
        try:
            self.asked.append(await asked_by(reader))
            for piece in self.scripts.pop(0) if self.scripts else []:
                if piece == CUT:
                    writer.transport.abort()
                    return
                if piece == HOLD:
                    await self._hold(reader)
                elif isinstance(piece, float):
                    await asyncio.sleep(piece)
                elif isinstance(piece, bytes):
                    writer.write(piece)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        self.holding.set()
        gone = asyncio.ensure_future(reader.read())
        going = asyncio.ensure_future(self._released.wait())
        await asyncio.wait({gone, going}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            self.left.set()
        gone.cancel()
        going.cancel()
        self._released.clear()


def streamed(*pieces: bytes | str | float) -> Script:
    """A script that answers 200 and streams these; it ends well unless it was cut."""
    chunks = [_chunk(piece) if isinstance(piece, bytes) else piece for piece in pieces]
    return [STREAM, *chunks, b"0\r\n\r\n"]


def answered(status: int, body: Any, **headers: str) -> Script:
    """A script of a whole answer; header names are given with underscores."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{told}"
    return [f"{head}content-length: {len(raw)}\r\nconnection: close\r\n\r\n".encode() + raw]


def event(name: str, data: Any) -> bytes:
    """A server-sent event with a name."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def nameless(data: Any) -> bytes:
    """A server-sent event without one."""
    return f"data: {json.dumps(data)}\n\n".encode()


def _chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


@asynccontextmanager
async def sse_end(scripts: Iterable[Script] = ()) -> AsyncIterator[SseEnd]:
    """A server on a free port."""
    end = SseEnd()
    end.scripts.extend(scripts)
    server = await asyncio.start_server(end.handle, "127.0.0.1", 0)
    end.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield end
    finally:
        server.close()
