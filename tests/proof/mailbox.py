"""Both wires under a Phoenix socket: a WebSocket, and the long-poll transport.

What the witnesses need of one: send, receive, and end without a word. A long-poll session
that lost an answer is broken, as a socket that was cut is: its client begins another one
and resumes by its cursors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import websockets
from websockets.asyncio.client import ClientConnection

from .reading import read_json
from .wires import Broken, request

Address = tuple[str, int]


class Wire(Protocol):
    """A way to carry frames of a Phoenix socket."""

    async def send(self, frame: bytes) -> None:
        """One text frame."""

    async def recv(self) -> bytes:
        """The next frame; may be given up while it waits."""

    def abort(self) -> None:
        """End it without a close."""


class SocketWire:
    """A WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, frame: bytes) -> None:
        """One text frame."""
        await self._connection.send(frame.decode())

    async def recv(self) -> bytes:
        """The next frame."""
        data = await self._connection.recv()
        return data if isinstance(data, bytes) else data.encode()

    def abort(self) -> None:
        """Close the TCP connection."""
        self._connection.transport.abort()


@asynccontextmanager
async def dial_socket(address: Address, vsn: str) -> AsyncIterator[Wire]:
    """A WebSocket of that version."""
    url = f"ws://{address[0]}:{address[1]}/socket/websocket?vsn={vsn}"
    async with websockets.connect(
        url, compression=None, ping_interval=None, open_timeout=5, close_timeout=0.5
    ) as connection:
        yield SocketWire(connection)


class Mailbox:
    """A long-poll session: one poll is always under way, posts go beside it."""

    def __init__(self, address: Address, token: str) -> None:
        self._address = address
        self._token = token
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._polling = asyncio.create_task(self._poll())

    async def send(self, frame: bytes) -> None:
        """One text frame, in a post of its own. Raises Broken when it was not taken."""
        kind = "application/x-ndjson"
        async with request(
            self._address, "POST", _target(self._token), raw=frame, content_type=kind
        ) as answer:
            if read_json(await answer.body())["status"] != 200:
                raise Broken("the session is gone")

    async def recv(self) -> bytes:
        """The next frame. Raises Broken once a poll was not answered."""
        frame = await self._frames.get()
        if frame is None:
            raise Broken("the session is gone")
        return frame

    def abort(self) -> None:
        """Poll no more; nobody is told."""
        self._polling.cancel()

    async def _poll(self) -> None:
        try:
            while True:
                body = await _get(self._address, self._token)
                if body["status"] not in (200, 204):
                    break
                for frame in body.get("messages", ()):
                    self._frames.put_nowait(frame.encode())
        except Broken:
            pass
        self._frames.put_nowait(None)


@asynccontextmanager
async def dial_long_poll(address: Address) -> AsyncIterator[Wire]:
    """A fresh session of the long-poll transport, V2."""
    opened = await _get(address, None)
    if opened["status"] != 410:
        raise Broken(f"no session was opened: {opened}")
    mailbox = Mailbox(address, opened["token"])
    try:
        yield mailbox
    finally:
        mailbox.abort()


async def _get(address: Address, token: str | None) -> dict[str, Any]:
    async with request(address, "GET", _target(token)) as answer:
        if answer.status != 200:
            raise Broken(f"the answer was {answer.status}")
        body: dict[str, Any] = read_json(await answer.body())
        return body


def _target(token: str | None) -> str:
    return "/socket/longpoll?vsn=2.0.0" + ("" if token is None else f"&token={token}")
