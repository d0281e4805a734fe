"""The Phoenix socket's first transport: one WebSocket.

Accepts or refuses, and carries frames. What they mean is the same for every transport:
see `connection.py`. Every close says why by its code, and none is 1000, after which
phoenix.js up to 1.8.15 stays away for good.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from safelight_protocol.codes import Refused, code
from safelight_protocol.effects import Hangup
from safelight_protocol.frames import FrameError, serializer_for

from ..telemetry import log
from .connection import Connection, Gone
from .context import context_of

IDLE_SECONDS = 90.0
"""Clients beat every 25 to 30 s, but browsers stretch the timers of a hidden page to
about a minute."""

UNTAKEN = "safelight.untaken"
"""An extension of the ASGI scope that our server has (see `doors.py`): how many bytes the
client has not taken. Without it whoever takes little counts as taking nothing."""


async def socket(websocket: WebSocket) -> None:
    """/socket/websocket: accept, run, close with a code that says why."""
    context = context_of(websocket)
    try:
        owner = context.owner(websocket)
        serializer = serializer_for(websocket.query_params.get("vsn"))
    except (Refused, FrameError) as refused:
        log("socket.refused", reason=str(refused))
        return await websocket.close(code("forbidden").close or 1008)  # before accept: 403
    if context.draining():
        return await websocket.send_denial_response(Response(status_code=503))
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol="phoenix" if "phoenix" in offered else None)
    transport = WebSocketTransport(websocket, takes_binary=serializer.vsn == "2.0.0")
    await Connection(transport, context, owner, serializer).run()


class WebSocketTransport:
    """An accepted WebSocket as a transport."""

    idle_seconds = IDLE_SECONDS

    def __init__(self, websocket: WebSocket, *, takes_binary: bool) -> None:
        self._websocket = websocket
        self.takes_binary = takes_binary
        self._untaken = websocket.scope.get("extensions", {}).get(UNTAKEN, {})

    @property
    def untaken(self) -> int:
        """What waits in the server's write buffer."""
        size: int = self._untaken["bytes"]() if self._untaken else 0
        return size

    async def receive(self) -> str | bytes | None:
        """The next message; None after the client's close."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return text if text is not None else data

    async def send(self, frame: str | bytes) -> None:
        """Waits while more than the server's write buffer holds is untaken."""
        try:
            if isinstance(frame, str):
                await self._websocket.send_text(frame)
            else:
                await self._websocket.send_bytes(frame)
        except (WebSocketDisconnect, RuntimeError, OSError) as trouble:
            raise Gone from trouble

    async def close(self, why: Hangup) -> None:
        """A close frame, unless the other side was quicker."""
        try:
            await self._websocket.close(why.code, why.reason)
        except (WebSocketDisconnect, RuntimeError, OSError):
            log("socket.gone")
