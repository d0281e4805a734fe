"""The Phoenix socket's first transport: one WebSocket.

Accepts or refuses, and carries frames: over our own server's line, where an idle client
costs no task, or by the ordinary sends of any other ASGI server. What the frames mean is
the same for every transport: see `connection.py`. Every close says why by its code, and
none is 1000, after which phoenix.js up to 1.8.15 stays away for good.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from safelight_protocol.codes import Refused, code
from safelight_protocol.effects import Hangup
from safelight_protocol.frames import FrameError, serializer_for

from ..broadcast import Frames, packed
from ..telemetry import log
from .carrier import Pull
from .connection import Connection
from .context import Start, context_of
from .line import LINE, Line
from .pump import Gone, Pump

IDLE_SECONDS = 90.0
"""Clients beat every 25 to 30 s, but browsers stretch the timers of a hidden page to
about a minute."""


async def socket(websocket: WebSocket) -> None:
    """/socket/websocket: accept, run, close with a code that says why."""
    context = context_of(websocket)
    try:
        owner = context.owner(websocket)
        serializer = serializer_for(websocket.query_params.get("vsn"))
    except (Refused, FrameError) as refused:
        log("socket.refused", reason=str(refused))
        return await _turn_away(websocket, str(refused))
    if context.draining():
        return await websocket.send_denial_response(Response(status_code=503))
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol="phoenix" if "phoenix" in offered else None)
    takes_binary = serializer.vsn == "2.0.0"
    line: Line | None = websocket.scope.get("extensions", {}).get(LINE, {}).get("line")
    if line is not None:
        carrier = LineCarrier(line, context.start, takes_binary=takes_binary)
        connection = Connection(carrier, context, owner, serializer)
        connection.begin()
        return line.attach(connection)
    pump = Pump(WebSocketTransport(websocket, takes_binary=takes_binary))
    await pump.run(Connection(pump, context, owner, serializer))


async def _turn_away(websocket: WebSocket, why: str) -> None:
    """403, in words where the server can carry them."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(PlainTextResponse(why + "\n", 403))
    else:
        await websocket.close(code("forbidden").close or 1008)


class LineCarrier:
    """A line as a carrier: what is written is on its way at once."""

    __slots__ = ("_line", "_start", "takes_binary")

    idle_seconds = IDLE_SECONDS

    def __init__(self, line: Line, start: Start, *, takes_binary: bool) -> None:
        self._line = line
        self._start = start
        self.takes_binary = takes_binary

    @property
    def wire(self) -> Callable[[bytes], None]:
        """Writes frames as they travel."""
        return self._line.write

    @property
    def untaken(self) -> int:
        """What waits in the server's write buffer."""
        return self._line.untaken

    @property
    def backlog(self) -> int:
        """The same: the line holds all of it."""
        return self._line.untaken

    def write(self, frames: Frames) -> int:
        """One write for all of them; returns its bytes."""
        travelling = b"".join(map(packed, frames))
        self._line.write(travelling)
        return len(travelling)

    def pause_reading(self) -> None:
        """Read nothing more for now."""
        self._line.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._line.resume_reading()

    def start(self, pull: Pull) -> None:
        """In a task of the house: a line has none."""
        self._start(pull)

    async def flush(self) -> None:
        """What is written to a line is on its way; what is too much is told by its pause."""

    def close(self, why: Hangup, *, unsaid: bool = False) -> None:
        """A close frame behind what the line holds: none of that can be taken back."""
        self._line.close(why.code, why.reason)


class WebSocketTransport:
    """An accepted WebSocket as a transport, on whatever server."""

    idle_seconds = IDLE_SECONDS
    untaken = 0
    """What the server holds is not known: whoever takes little counts as taking nothing."""

    def __init__(self, websocket: WebSocket, *, takes_binary: bool) -> None:
        self._websocket = websocket
        self.takes_binary = takes_binary

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
