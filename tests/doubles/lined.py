"""An ASGI application on our own uvicorn, on a real socket, in the test's own event loop,
and bare TCP lines to it.

`written` and `frame` make what a client sends with no help from what is tested; what the
server says is read by the protocol of `websockets`. Unrealistic: server and client share
one loop, and nothing but WebSockets is served.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.uri import parse_uri

from safelight.doors import Config
from safelight.lines import LineProtocol
from safelight.machine import Clock
from safelight.settings import Settings
from tests.doubles.deaf import Line, line_to
from tests.doubles.served import PATIENCE, _Quiet
from tests.doubles.turns import until

MASK = b"\x11\x22\x33\x44"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ANSWER_TO_KEY = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""From RFC 6455, 1.3."""


def frame(first: int, payload: bytes = b"", *, mask: bytes = MASK) -> bytes:
    """A client's frame; `first` is its first byte."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + mask + bytes(b ^ mask[n % 4] for n, b in enumerate(payload))


def request(*without: str, method: str = "GET", path: str = "/", **other: str) -> bytes:
    """A client's opening; without some headers, or with others."""
    headers = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY.decode(),
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in other.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if name not in without]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


class Lined:
    """One running server; `state` is uvicorn's."""

    def __init__(self, port: int, server: _Quiet) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.address = f"ws://127.0.0.1:{port}/"
        self.server = server
        self.state = server.server_state

    @property
    def lines(self) -> list[LineProtocol]:
        """Every WebSocket that there is."""
        return [c for c in self.state.connections if isinstance(c, LineProtocol)]

    async def until_nobody(self) -> None:
        """Wait until every connection and every call has ended."""
        async with asyncio.timeout(PATIENCE):
            while self.server.connections or self.server.calls:
                await self.server.connections.wait_empty()
                await self.server.calls.wait_empty()

    async def until(self, condition: Any) -> None:
        """Wait until something holds."""
        await until(condition)

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[Raw]:
        """A bare line to it."""
        async with line_to(self.url) as line:
            yield Raw(line)

    @asynccontextmanager
    async def opened(self, **headers: str) -> AsyncIterator[Raw]:
        """A WebSocket whose frames are written by hand."""
        async with self.raw() as client:
            await client.open(**headers)
            yield client


class Raw:
    """A line whose opening and frames are written by hand. A goodbye is answered unless
    `polite` is taken away."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.polite = True
        self.answer = b""
        self.heard: list[str | bytes] = []
        self.pongs: list[bytes] = []
        self.close: Close | None = None
        self._protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"))
        self._protocol.key = KEY.decode()

    async def open(self, **headers: str) -> None:
        """Shake hands."""
        await self.line.write(request(**headers))
        await self.read_answer()
        assert b" 101 " in self.answer.splitlines()[0], self.answer

    async def read_answer(self) -> None:
        """Up to its empty line; what follows is read as frames."""
        self._protocol.connect()
        while b"\r\n\r\n" not in self.answer:
            data = await self.line.read()
            assert data, self.answer
            self.answer += data
        head, _, rest = self.answer.partition(b"\r\n\r\n")
        self._take(head + b"\r\n\r\n")
        self.answer = head
        if b" 101 " in head.splitlines()[0] and rest:
            self._take(rest)

    async def say(self, *frames: bytes) -> None:
        """In one write."""
        await self.line.write(b"".join(frames))

    async def read(self) -> bool:
        """Take what comes next; False at the end of the line."""
        data = await self.line.read()
        if data:
            self._take(data)
        if self.close is not None and self.polite:
            for answer in self._protocol.data_to_send():
                with suppress(OSError):  # it may have gone
                    await self.line.write(answer)
        return bool(data)

    async def hear(self, count: int) -> list[str | bytes]:
        """Read until so many messages have come."""
        while len(self.heard) < count:
            assert await self.read(), "the line has ended"
        return self.heard

    async def hear_to_the_end(self) -> int | None:
        """Read until the line ends; the code of the close frame."""
        while await self.read():
            pass
        return self.close.code if self.close else None

    def _take(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        assert self._protocol.parser_exc is None, self._protocol.parser_exc
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode is Opcode.TEXT:
                self.heard.append(bytes(event.data).decode())
            elif event.opcode is Opcode.BINARY:
                self.heard.append(bytes(event.data))
            elif event.opcode is Opcode.PONG:
                self.pongs.append(bytes(event.data))
            elif event.opcode is Opcode.CLOSE:
                self.close = self._protocol.close_rcvd


@asynccontextmanager
async def lined(
    app: Any, clock: Clock | None = None, kernel_buffer: int | None = None, **settings: Any
) -> AsyncIterator[Lined]:
    """Serve an application until the end of the block."""
    listening = socket.create_server(("127.0.0.1", 0))
    if kernel_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel_buffer)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel_buffer)
    config = Config(app, Settings(**settings), clock)
    server = _Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    await server.ready.wait()
    try:
        yield Lined(listening.getsockname()[1], server)
    finally:
        server.should_exit = True
        await running
        listening.close()
