"""The WebSocket protocol class of our uvicorn: one line for each client.

Speaks plain ASGI (`call.py`), and offers the extension of `edges/line.py`: once a receiver
is attached and the endpoint has returned, a client costs this object, its reader and the
transport, and nothing waits for it. Every end says why by its code, reaches also a client
that reads nothing, and takes a moment at most. Knows neither routes nor what is said.
uvicorn's names that this leans on are pinned in tests/server/lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Protocol, cast
from urllib.parse import unquote

from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from . import framing, handshake
from .call import ENDED_BADLY, GOES_DOWN, App, Call
from .edges.line import LINE, Receiver
from .framing import Broken, Closed, Much, Ping, Reader
from .machine import Clock, Timer

GOODBYE_SECONDS = 2.0
"""How long a closed WebSocket may take to read to its end; then the line is cut."""

MOST_UNREAD_BYTES = 2 * 1024 * 1024
"""How many bytes of pongs may pile up for a client that does not take them; nothing else
is written without end to one that takes nothing."""

MOST_EARLY_BYTES = 16 * 1024
"""What a client may send before it was let in, which it should not, until it is held up."""


MOST_AT_ONCE = 128
"""Messages of one client that are delivered in one turn of the event loop. A megabyte of tiny
ones would keep all others waiting for a second."""


class Rules(Protocol):
    """What a line is told by the server's configuration (`doors.Config`)."""

    loaded_app: App
    root_path: str
    asgi_version: str
    ws_max_size: int
    slow_seconds: float
    clock: Clock | None


class _State(IntEnum):
    """How far a line is. Frames are written only while it is OPEN."""

    FRESH = 0
    OPENING = 1
    OPEN = 2
    ENDING = 3
    GONE = 4


class LineProtocol(asyncio.Protocol):
    """A WebSocket, and the `Line` that is offered for it.

    `write` is the transport's own, so that a delivery costs no call of ours; once the line
    ends it leads nowhere. `ended` is the code and the reason of the end.
    """

    __slots__ = (
        "_app_state",
        "_config",
        "_paused",
        "_pongs",
        "_reader",
        "_receiver",
        "_resting",
        "_server",
        "_state",
        "_stuck",
        "_timer",
        "_told",
        "ended",
        "transport",
        "write",
    )

    transport: asyncio.Transport
    write: Callable[[bytes], None]

    def __init__(
        self,
        config: Rules,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config, self._server, self._app_state = config, server_state, app_state
        self._state = _State.FRESH
        self._reader: Reader | None = Reader(config.ws_max_size)
        self._receiver: Receiver | None = None
        self._timer: Timer | None = None
        self._pongs = 0  # bytes of them since the client stopped taking
        self._paused = self._resting = self._stuck = self._told = False
        self.ended: tuple[int, str] | None = None

    # What the event loop and uvicorn call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """An HTTP connection is to become a WebSocket."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self.write = _nowhere
        self._server.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """First the request, all at once, as uvicorn hands it over; then frames."""
        if self._state is _State.FRESH:
            self._open(data)
        elif self._reader is not None:
            self._reader.add(data)
            if self._state is not _State.OPENING:
                self._deliver()
            elif self._reader.held > MOST_EARLY_BYTES:
                self.pause_reading()

    def eof_received(self) -> None:
        """The client has hung up; the transport ends by itself."""
        if self._state < _State.ENDING:
            self._end(ENDED_BADLY, "")
            self._tell()

    def pause_writing(self) -> None:
        """The write buffer is above its mark."""
        self._stuck = True
        if self._receiver is not None and self._state < _State.ENDING:
            self._receiver.pause_writing()

    def resume_writing(self) -> None:
        """The client took enough of it."""
        self._stuck = False
        self._pongs = 0
        if self._receiver is not None and self._state < _State.ENDING:
            self._receiver.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._server.connections.discard(self)
        self._state = _State.GONE
        self._reader = None
        self.write = _nowhere
        self.ended = self.ended or (ENDED_BADLY, "")
        self._tell()

    def shutdown(self) -> None:
        """The server ends, and has seen out whom it could."""
        self.dismiss(handshake.answer(503, b"", self._server.default_headers))
        self.close(GOES_DOWN, "")
        self._tell()

    # What the call of the application calls.

    def admit(self, answer: bytes) -> None:
        """Let the client in."""
        if self._state is _State.OPENING:
            self._state = _State.OPEN
            self.write = self.transport.write
            self.write(answer)
            self.resume_reading()
            if self._reader is not None and self._reader.held:
                asyncio.get_running_loop().call_soon(self._deliver)

    def dismiss(self, answer: bytes) -> None:
        """Send the client away before it is in."""
        if self._state is _State.OPENING:
            self.transport.write(answer)
            self._end(ENDED_BADLY, "")
            self.transport.close()
            asyncio.get_running_loop().call_soon(self._tell)

    # What `edges/line.py` promises.

    def attach(self, receiver: Receiver) -> None:
        """Let the receiver have the line. Raises RuntimeError unless the application has
        accepted, not closed, and given it to nobody yet."""
        if not isinstance(self._receiver, Call):
            raise RuntimeError("the line has a receiver already")
        waiting = self._receiver.hand_over()
        self._receiver = receiver
        for message in waiting:
            receiver.received(message)
        if self._told:
            self._told = False
            self._tell()
        elif self._stuck:
            receiver.pause_writing()

    @property
    def untaken(self) -> int:
        """How many bytes wait in the write buffer."""
        return self.transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Deliver nothing, and read nothing, for now."""
        if not self._paused and self._state < _State.ENDING:
            self._paused = True
            if not self._resting:
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver what is left, soon, and go on reading."""
        if self._paused:
            self._paused = False
            if self._resting:
                return  # which goes on by itself
            if not self.transport.is_closing():
                self.transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._deliver)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, and wait a moment for the answer. Raises ValueError for a code that
        no close frame may carry."""
        if self._state is _State.OPEN:
            self.write(framing.close(code, reason))
            self._end(code, reason)
            self.resume_reading()  # or the answer is never seen
            asyncio.get_running_loop().call_soon(self._tell)  # not from within

    def _open(self, data: bytes) -> None:
        self._state = _State.OPENING
        try:
            request = handshake.read(data)
        except handshake.Refused as trouble:
            return self.dismiss(handshake.refused(trouble, self._server.default_headers))
        call = self._receiver = Call(self, request.key, self._server)
        running = call.run(self._config.loaded_app, self._scope(request))
        task = asyncio.get_running_loop().create_task(running)
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def _scope(self, request: handshake.Request) -> dict[str, Any]:
        path, _, query = request.target.partition("?")
        root = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self.transport) else "ws",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": request.headers,
            "subprotocols": request.subprotocols,
            "state": self._app_state.copy(),
            "extensions": {"websocket.http.response": {}, LINE: {"line": self}},
        }

    def _deliver(self) -> None:
        """Whatever is complete, as long as it is wanted, and not too much of it at a time."""
        for _ in range(MOST_AT_ONCE):
            if self._reader is None or self._paused or self._resting:
                return
            event = self._reader.next()
            if event is None:
                return
            if isinstance(event, str | bytes):
                if self._receiver is not None and self._state is _State.OPEN:
                    self._receiver.received(event)
            elif isinstance(event, Ping):
                self._answer(event)
            elif isinstance(event, Much):
                break
            else:
                self._stop(event)
        self._rest()

    def _rest(self) -> None:
        """Let everybody else have a turn of the event loop before more is read."""
        if self._reader is not None and not self._paused and not self.transport.is_closing():
            self._resting = True
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        if not self._paused and not self.transport.is_closing():
            self.transport.resume_reading()
            self._deliver()

    def _answer(self, ping: Ping) -> None:
        """Unless answers pile up: then the client does nothing but ask."""
        answer = framing.pong(ping.payload)
        self.write(answer)
        self._pongs += len(answer) if self._stuck else 0
        if self._pongs > MOST_UNREAD_BYTES:
            self._reader = None
            self.transport.abort()

    def _stop(self, end: Closed | Broken) -> None:
        """The client is done, or cannot be understood any more. In the second case it may
        be sending still; what it sends is thrown away, since a line that is closed over
        unread bytes takes the close frame along."""
        self._reader = None
        lingering = isinstance(end, Broken) and self._state is _State.OPEN
        if self._state is _State.OPEN:
            self.write(framing.close(end.code, end.reason))
            self._end(end.code, end.reason)
            self._tell()
        if lingering and self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _end(self, code: int, reason: str) -> None:
        """From here on the client has a moment. Whoever ends the line tells the receiver."""
        self._state = _State.ENDING
        self.ended = (code, reason)
        self.write = _nowhere
        patience = min(GOODBYE_SECONDS, self._config.slow_seconds)
        clock = self._config.clock or asyncio.get_running_loop()
        self._timer = clock.call_later(patience, self.transport.abort)

    def _tell(self) -> None:
        """The receiver hears once that it is over. A call is kept: who attaches too late
        still gets what had come."""
        receiver = self._receiver
        if receiver is not None and not self._told:
            self._told = True
            if not isinstance(receiver, Call):
                self._receiver = None
            receiver.lost()


def _nowhere(frames: bytes) -> None:
    """Nobody reads what is written after the end."""
