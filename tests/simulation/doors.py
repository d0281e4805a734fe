"""The way from a client to a simulated server: HTTP and the socket, as ASGI, in memory.

The whole application answers: routes, doors, error handlers. Bytes take drawn times and
keep their order, some clients take them slowly, and a crash loses what is on its way.
A part of the sockets is offered our own server's line (`lines.py`).
Unrealistic: messages are never split, and a request's body arrives at once.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import anyio

from safelight.edges.line import LINE
from tests.simulation.lines import Ear, Line
from tests.simulation.server import Crashed, Life

Message = dict[str, Any]

LINED = 0.6
"""The part of the sockets that run on a server of ours."""


class Pipe:
    """Messages one way, in order, each after a drawn time; `slow` stretches the times."""

    def __init__(self, life: Life, dice: Random, slow: float = 1.0) -> None:
        self._life = life
        self._dice = dice
        self._slow = slow
        self._last = 0.0
        self._way: deque[Message] = deque()
        self._here: deque[Message] = deque()
        self._some = asyncio.Event()
        self.cut = life.crashed
        life.pipes.append(self)

    def put(self, message: Message) -> float:
        """Send it off; returns when it will be there."""
        now = self._life.loop.time()
        self._last = max(self._last, now + _pause(self._dice) * self._slow)
        self._way.append(message)
        self._life.loop.call_at(self._last, self._arrive)
        return self._last

    async def get(self) -> Message:
        """The next message. Raises Crashed once the line is cut."""
        while not self._here:
            if self.cut:
                raise Crashed
            self._some.clear()
            await self._some.wait()
        return self._here.popleft()

    def end(self) -> None:
        """Cut the line; what was on its way is lost."""
        self.cut = True
        self._way.clear()
        self._some.set()

    def _arrive(self) -> None:
        if self._way:
            self._here.append(self._way.popleft())
            self._some.set()


class ClientGone(OSError):
    """What uvicorn raises for a frame to a socket whose client has gone."""


class Exchange:
    """One ASGI connection: `down` brings what the application sends, `up` what it receives.
    `ear` hears what comes down whatever carries it; `line` is that of a server of ours."""

    def __init__(self, life: Life, scope: Message, dice: Random, slow: float = 1.0) -> None:
        if life.crashed:
            raise Crashed
        self.life = life
        self._is_http = scope["type"] == "http"
        self.up = Pipe(life, dice)
        self.down = Pipe(life, dice, slow)
        self._slow = slow
        self.ear = Ear(self.down)
        self.line: Line | None = None
        if not self._is_http and dice.random() < LINED:
            self.line = Line(life, self.up, self.down, dice)
            scope["extensions"][LINE] = {"line": self.line}
        whole = {"asgi": {"version": "3.0", "spec_version": "2.3"}, "app": life.app, "state": {}}
        whole |= {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 4747), "root_path": ""}
        self._work = life.here(self._run(whole | scope), f"door {scope['path']}")

    async def _run(self, scope: Message) -> None:
        try:
            await self.life.app(scope, self.up.get, self._send)
        except (Crashed, ClientGone):
            return  # as uvicorn does when its client has gone
        finally:
            if self.line is None or not self.line.is_taken_over:
                self.down.put({"type": "end"})

    async def _send(self, message: Message) -> None:
        if self.down.cut:
            if self._is_http:
                return  # uvicorn drops it
            raise ClientGone
        there = self.down.put(message)
        if self._slow > 1.0:  # its buffer is full: wait until it has taken this
            await anyio.sleep(max(0.0, there - self.life.loop.time()))

    def leave(self, message: Message) -> None:
        """The client goes; the server is told, a little later."""
        self.up.put(message)
        self.down.end()


async def request(
    life: Life,
    dice: Random,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    """One request and its JSON. Raises Crashed when no answer came."""
    exchange = _http(life, dice, method, path, body, headers or {})
    status, whole = 0, b""
    while True:
        message = await exchange.down.get()
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            whole += message.get("body", b"")
            if not message.get("more_body"):
                return status, json.loads(whole) if whole else None
        else:
            raise Crashed


async def stream(
    life: Life, dice: Random, path: str, headers: dict[str, str], slow: float
) -> AsyncIterator[bytes | int]:
    """The status of a GET, then the chunks of its body as they come. Raises Crashed when it
    breaks off."""
    exchange = _http(life, dice, "GET", path, None, headers, slow)
    try:
        while True:
            message = await exchange.down.get()
            if message["type"] == "http.response.start":
                yield int(message["status"])
            elif message["type"] == "http.response.body":
                if message.get("body"):
                    yield bytes(message["body"])
                if not message.get("more_body"):
                    return
            else:
                return
    finally:
        exchange.leave({"type": "http.disconnect"})


def dial(life: Life, dice: Random, vsn: str, slow: float) -> Exchange:
    """Open a socket; the first message down is its acceptance."""
    scope = _scope("websocket", "/socket/websocket", f"vsn={vsn}", {})
    exchange = Exchange(
        life,
        scope
        | {
            "scheme": "ws",
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        },
        dice,
        slow,
    )
    exchange.up.put({"type": "websocket.connect"})
    return exchange


def _http(
    life: Life,
    dice: Random,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    slow: float = 1.0,
) -> Exchange:
    data = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        headers = headers | {"content-type": "application/json", "content-length": str(len(data))}
    path, _, query = path.partition("?")
    scope = _scope("http", path, query, headers) | {"method": method, "scheme": "http"}
    exchange = Exchange(life, scope, dice, slow)
    exchange.up.put({"type": "http.request", "body": data, "more_body": False})
    return exchange


def _scope(type: str, path: str, query: str, headers: dict[str, str]) -> Message:
    named = {"host": "127.0.0.1:4747"} | headers
    return {
        "type": type,
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def _pause(dice: Random) -> float:
    kind = dice.random()
    return 0.0 if kind < 0.4 else dice.random() * (0.02 if kind < 0.9 else 0.5)
