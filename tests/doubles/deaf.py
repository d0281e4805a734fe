"""A client that writes but does not read, until it is told to.

A bare TCP connection with small kernel buffers, so that little suffices to fill them.
WebSocket frames are made and read by the protocol of `websockets`, without its I/O.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.doubles.served import PATIENCE

KERNEL_BUFFER = 4096


class Line:
    """A TCP connection that takes nothing by itself."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()

    async def write(self, data: bytes) -> None:
        """As far as the server takes it; raises OSError once it has cut the line."""
        async with asyncio.timeout(PATIENCE):
            await self._loop.sock_sendall(self._socket, data)

    async def read(self) -> bytes:
        """The next bytes; none at the end, however it came."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self._loop.sock_recv(self._socket, 65536)
            except ConnectionError:
                return b""

    async def read_to_end(self) -> bytes:
        """All that is left."""
        data = bytearray()
        while chunk := await self.read():
            data += chunk
        return bytes(data)


class Deaf:
    """A WebSocket on such a line. `frames` are the texts it has heard."""

    def __init__(self, line: Line, url: str) -> None:
        self.line = line
        self.frames: list[Any] = []
        self.close_code: int | None = None
        self._protocol = ClientProtocol(parse_uri(url))

    async def open(self) -> None:
        """Shake hands."""
        self._protocol.send_request(self._protocol.connect())
        await self._write()
        while self._protocol.state.name == "CONNECTING":
            self._protocol.receive_data(await self.line.read())
            self._protocol.events_received()

    async def say(self, *frame: Any) -> None:
        """One text frame."""
        self._protocol.send_text(json.dumps(list(frame)).encode())
        await self._write()

    async def ping(self, payload: bytes) -> None:
        """One ping of the WebSocket protocol."""
        self._protocol.send_ping(payload)
        await self._write()

    async def hear(self, event: str) -> None:
        """Read until a frame with this event has come."""
        while not any(frame[3] == event for frame in self.frames):
            assert await self.read(), "the line has ended"

    async def hear_to_the_end(self) -> None:
        """Read all that is there until the line ends."""
        while await self.read():
            pass
        self._note_goodbye()

    async def hear_goodbye(self) -> None:
        """Read all that is there until the other side says goodbye, or the line ends."""
        while self._protocol.close_rcvd is None and await self.read():
            pass
        self._note_goodbye()

    async def read(self) -> bool:
        """Read a little; False at the end of the line."""
        data = await self.line.read()
        if data:
            self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.frames.append(json.loads(event.data))
        return bool(data)

    def _note_goodbye(self) -> None:
        received = self._protocol.close_rcvd
        self.close_code = received.code if received else None

    async def _write(self) -> None:
        for data in self._protocol.data_to_send():
            await self.line.write(data)


@asynccontextmanager
async def line_to(url: str) -> AsyncIterator[Line]:
    """A line to a server's address."""
    port = int(url.rpartition(":")[2])
    with socket.socket() as connecting:
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        connecting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, ("127.0.0.1", port))
        yield Line(connecting)


@asynccontextmanager
async def deaf(url: str) -> AsyncIterator[Deaf]:
    """A WebSocket to a server's address that is open and not read."""
    async with line_to(url) as line:
        client = Deaf(line, url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0")
        await client.open()
        yield client
