"""One call of the ASGI application, for one WebSocket.

Turns what the application sends into answers and frames, and what comes into what it
receives, as the ASGI specification has it (2.5, with denial responses). It is the first
receiver of every line (`edges/line.py`), and hands over to whoever attaches itself. Holds
no more of what comes than MOST_WAITING; the rest stays with the client. Knows no socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum
from typing import Any, Protocol

from uvicorn.protocols.utils import ClientDisconnected

from . import framing, handshake
from .edges.line import Line

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

MOST_WAITING = 64
"""Messages that wait for the application before no more are read."""

MOST_WAITING_SIZE = 64 * 1024
"""Their size together, in bytes and characters."""

WENT_WRONG = 1011
RETURNED = 1001
GOES_DOWN = 1012
ENDED_BADLY = 1006


class Opening(Line, Protocol):
    """A line whose client is not in yet."""

    ended: tuple[int, str] | None
    """Code and reason, once it has ended."""

    def admit(self, answer: bytes) -> None:
        """Let the client in with this answer. From here on frames go to and fro."""

    def dismiss(self, answer: bytes) -> None:
        """End the line with this answer. Does nothing once the client is in, or gone."""


class Server(Protocol):
    """What every server of ours says in all its answers."""

    default_headers: list[tuple[bytes, bytes]]


class _Stage(Enum):
    """How far the call is; the words complete "... the application ..."."""

    CONNECTING = "before it answered"
    ANSWERING = "in the middle of its answer"
    OPEN = "after it accepted"
    OVER = "after it closed"
    TAKEN = "after the line was taken over"


class Call:
    """A call that is going on."""

    __slots__ = (
        "_answer",
        "_body",
        "_greeted",
        "_inbox",
        "_key",
        "_line",
        "_lost",
        "_news",
        "_paused",
        "_server",
        "_size",
        "_stage",
        "_writable",
    )

    def __init__(self, line: Opening, key: str, server: Server) -> None:
        """`key` is what the client sent to have its answer made of."""
        self._line, self._key, self._server = line, key, server
        self._stage = _Stage.CONNECTING
        self._greeted = self._lost = self._paused = False
        self._inbox: deque[str | bytes] = deque()
        self._size = 0  # of what is in it
        self._news = asyncio.Event()
        self._writable: asyncio.Event | None = None  # is set when it may be written again
        self._answer: Message = {}  # the start of a denial
        self._body = b""

    async def run(self, app: App, scope: Message) -> None:
        """Until the application returns; the line ends with it, unless it was taken over."""
        try:
            await app(scope, self.receive, self.send)
        except ClientDisconnected:
            pass  # it was told, and left it at that
        except Exception:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
            self._give_up(500, WENT_WRONG, "internal error")
        except BaseException:
            self._give_up(503, GOES_DOWN, "")
            raise
        else:
            if self._stage is not _Stage.TAKEN:
                self._give_up(500, RETURNED, "")

    def hand_over(self) -> list[str | bytes]:
        """What has come and was not received; the call gets nothing more. Raises
        RuntimeError unless the application has accepted, and not closed."""
        self._expect(_Stage.OPEN, "attach")
        self._stage = _Stage.TAKEN
        waiting = list(self._inbox)
        self._inbox.clear()
        self._go_on_reading()
        return waiting

    # What the line calls.

    def received(self, message: str | bytes) -> None:
        """A message came."""
        self._inbox.append(message)
        self._size += len(message)
        self._news.set()
        if len(self._inbox) >= MOST_WAITING or self._size >= MOST_WAITING_SIZE:
            self._paused = True
            self._line.pause_reading()

    def lost(self) -> None:
        """The line has ended."""
        self._lost = True
        self._news.set()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Let the application wait with what it sends."""
        if self._writable is None:
            self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let it go on."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    # What the application calls.

    async def receive(self) -> Message:
        """ASGI's. A disconnect is told as often as it is asked for."""
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        while not self._inbox and not self._lost:
            self._news.clear()
            await self._news.wait()
        if not self._inbox:
            code, reason = self._line.ended or (ENDED_BADLY, "")
            return {"type": "websocket.disconnect", "code": code, "reason": reason}
        message = self._inbox.popleft()
        self._size -= len(message)
        if not self._inbox:
            self._go_on_reading()
        kind = "text" if isinstance(message, str) else "bytes"
        return {"type": "websocket.receive", kind: message}

    async def send(self, message: Message) -> None:
        """ASGI's. Waits for a client that takes too little, but not with a goodbye. Raises
        ClientDisconnected, an OSError, when the client has gone."""
        kind = message["type"]
        while self._writable is not None and kind != "websocket.close":
            await self._writable.wait()
        if self._lost and self._stage is not _Stage.OVER:
            raise ClientDisconnected
        match kind:
            case "websocket.send":
                self._expect(_Stage.OPEN, kind)
                self._line.write(_frame(message))
            case "websocket.accept":
                self._expect(_Stage.CONNECTING, kind)
                self._accept(message)
            case "websocket.close":
                self._close(message)
            case "websocket.http.response.start":
                self._expect(_Stage.CONNECTING, kind)
                self._stage, self._answer = _Stage.ANSWERING, message
            case "websocket.http.response.body":
                self._expect(_Stage.ANSWERING, kind)
                self._deny(message)
            case _:
                raise RuntimeError(f"the application sent {kind}, which a WebSocket does not have")

    def _accept(self, message: Message) -> None:
        headers = [*self._server.default_headers, *message.get("headers", ())]
        answer = handshake.accepted(self._key, message.get("subprotocol"), headers)
        self._stage = _Stage.OPEN
        self._line.admit(answer)

    def _close(self, message: Message) -> None:
        """A goodbye; whoever is not in yet is sent away with 403."""
        if self._stage is _Stage.CONNECTING:
            self._line.dismiss(handshake.answer(403, b"", self._server.default_headers))
        else:
            self._expect(_Stage.OPEN, "websocket.close")
            self._line.close(message.get("code", 1000), message.get("reason") or "")
        self._stage = _Stage.OVER
        self.resume_writing()  # whoever waits to send hears that it is over

    def _deny(self, message: Message) -> None:
        """The answer of an application that lets nobody in; its last part sends it."""
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        headers = [*self._server.default_headers, *self._answer.get("headers", ())]
        if not any(name.lower() == b"content-length" for name, _ in headers):
            headers.append((b"content-length", str(len(self._body)).encode("ascii")))
        self._line.dismiss(handshake.head(self._answer["status"], headers) + self._body)
        self._stage = _Stage.OVER

    def _give_up(self, status: int, code: int, reason: str) -> None:
        """The application is done. Each does nothing where it comes too late."""
        self._line.dismiss(handshake.answer(status, b"", self._server.default_headers))
        self._line.close(code, reason)

    def _expect(self, stage: _Stage, kind: str) -> None:
        if self._stage is not stage:
            raise RuntimeError(f"the application sent {kind} {self._stage.value}")

    def _go_on_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._line.resume_reading()


def _frame(message: Message) -> bytes:
    data, text = message.get("bytes"), message.get("text")
    return framing.binary(data) if data is not None else framing.text((text or "").encode())
