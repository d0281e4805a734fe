"""The server's end of Phoenix sockets, played by the test frame by frame.

A real WebSocket server on a free port, without a mind of its own: the test takes the
next connection, reads what the client sent and writes what it likes, so that it can be
late, repeat itself, leave holes or hang up in every way. Every wait is bounded.
`documents` maps paths to what a GET of them answers, for a client that asks REST too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

WAIT_SECONDS = 10.0


class Line:
    """One accepted connection."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def read(self) -> list[Any]:
        """The client's next frame: [join_ref, ref, topic, event, payload]."""
        async with asyncio.timeout(WAIT_SECONDS):
            frame: list[Any] = json.loads(await self._connection.recv())
        return frame

    async def accept(self, response: dict[str, Any]) -> list[Any]:
        """Read a join and accept it; returns the join."""
        join = await self.read()
        assert join[3] == "phx_join"
        await self.reply(join, "ok", response)
        return join

    async def reply(self, frame: list[Any], status: str, response: dict[str, Any]) -> None:
        """Answer a frame of the client's."""
        join_ref, ref, topic, _, _ = frame
        payload = {"status": status, "response": response}
        await self._write([join_ref, ref, topic, "phx_reply", payload])

    async def tell(self, topic: str, *events: dict[str, Any]) -> None:
        """Broadcast events of a task, as the server does."""
        for event in events:
            await self._write([None, None, topic, "progress", event])

    async def push(self, join: list[Any], event: str, payload: dict[str, Any]) -> None:
        """Push something on a joined channel."""
        await self._write([join[0], None, join[2], event, payload])

    async def hang_up(self, code: int = 1012) -> None:
        """Close the connection."""
        await self._connection.close(code)

    async def wait_closed(self) -> int | None:
        """Until the connection is closed; the close code."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self._connection.wait_closed()
        return self._connection.close_code

    async def _write(self, frame: list[Any]) -> None:
        await self._connection.send(json.dumps(frame))


class PhoenixEnd:
    """A server that the test plays. `refusals` are the statuses of the next handshakes."""

    def __init__(self) -> None:
        self.url = ""
        self.refusals: list[int] = []
        self.handshakes = 0
        self.documents: dict[str, Any] = {}
        self._lines: asyncio.Queue[Line] = asyncio.Queue()

    async def line(self) -> Line:
        """The next connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self._lines.get()

    async def handle(self, connection: ServerConnection) -> None:
        """Hand the connection to the test and keep it open."""
        self._lines.put_nowait(Line(connection))
        await connection.wait_closed()

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """A document or a refusal; None goes on with the handshake."""
        path = request.path.partition("?")[0]
        if path in self.documents:
            return connection.respond(200, json.dumps(self.documents[path]))
        self.handshakes += 1
        return connection.respond(self.refusals.pop(0), "no") if self.refusals else None


@asynccontextmanager
async def phoenix_end(port: int = 0) -> AsyncIterator[PhoenixEnd]:
    """The server, as long as the block lasts."""
    end = PhoenixEnd()
    async with serve(end.handle, "127.0.0.1", port, process_request=end.answer) as server:
        (listener,) = server.sockets
        end.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield end
