"""How events are listened to: server-sent events, and the socket that was there before them.

Neither says more than what is told from now on, and neither lets anybody know that it has
missed something. The socket tells nothing until it is asked for a channel.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..bench import Bench
from ..telling import Stream, event
from .hub import Hub


class Lines:
    """Both kinds of listening."""

    def __init__(self, bench: Bench, hub: Hub) -> None:
        self._bench = bench
        self._hub = hub

    async def events(self, request: Request) -> Response:
        """GET /events/{channel}"""
        fault = self._bench.faults.one_of("cut", on="stream", armed=("hang",))
        return Stream(self._told(request.path_params["channel"]), fault=fault)

    async def _told(self, channel: str) -> AsyncIterator[bytes]:
        with self._hub.listening(channel) as queue:
            while True:
                yield event(await queue.get())

    async def socket(self, socket: WebSocket) -> None:
        """WS /ws/{channel}: whatever channel it is asked for, when it is asked."""
        if not may_enter(socket.headers.get("authorization"), self._bench.key):
            await socket.close(1008)
            return
        await socket.accept()
        telling: asyncio.Task[None] | None = None
        try:
            while True:
                said = json.loads(await socket.receive_text())
                if said.get("type") != "subscribe":
                    continue
                await socket.send_json({"type": "subscribe", "projectId": said["projectId"]})
                if telling is not None:
                    telling.cancel()
                telling = asyncio.create_task(self._tell(socket, said["projectId"]))
        except (WebSocketDisconnect, ValueError, KeyError):
            pass
        finally:
            if telling is not None:
                telling.cancel()

    async def _tell(self, socket: WebSocket, channel: str) -> None:
        with self._hub.listening(channel) as queue:
            while True:
                await socket.send_json(await queue.get())


def may_enter(authorization: str | None, key: str) -> bool:
    """Whether the header carries the key."""
    return authorization == f"Bearer {key}"
