"""What every request to an emulator passes: the log, and the emulator's own addresses.

`/emulator/faults`, `runs`, `requests`, `clock` and `key` beside it are no provider's; they take no
key. All else goes to the emulator. Two answers that no provider documents are here as
well: `Cut`, the connection that ends without one, and `Silence`, the one that never comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .bench import Bench
from .faults import BadFault

CUT = "emulator.cut"
OWN = "/emulator/"


class Cut(Response):
    """No answer: the connection is ended in its place."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End it."""
        scope[CUT]()
        await _gone(receive)


class Silence(Response):
    """No answer, ever; ends when the other side does."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the other side to go."""
        await _gone(receive)


def cut(request: Request) -> None:
    """End the connection of this request at once, in the middle of a stream say."""
    request.scope[CUT]()


class Gate:
    """Wraps the application of one emulator."""

    def __init__(self, app: ASGIApp, bench: Bench) -> None:
        self._app = app
        self._bench = bench
        self._own = _own(bench)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or socket, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _stopping(send, self._bench))
            return
        scope[CUT] = _cutter(send)
        if scope["path"].startswith(OWN):
            await self._own(scope, receive, send)
            return
        what: dict[str, Any] = {"method": scope.get("method", "WS"), "path": scope["path"]}
        self._bench.log.event("request", **what)  # of one that hangs there is no more
        told = _Told(send)
        try:
            await self._app(scope, receive, told)
        finally:
            self._bench.log.event("answer", **what, status=told.status)


class _Told:
    """A `send` that remembers the status."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _own(bench: Bench) -> Starlette:
    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            bench.faults.disarm()
        elif request.method == "POST":
            try:
                asked = msgspec.json.decode(await request.body(), type=dict[str, list[str]])
                bench.faults.arm(asked["faults"])
            except (BadFault, msgspec.DecodeError, KeyError) as trouble:
                return JSONResponse({"error": str(trouble)}, 400)
        return JSONResponse({"faults": bench.faults.written()})

    async def runs(request: Request) -> Response:
        begun, settled = map(request.query_params.get, ("begun", "settled"))
        await bench.log.wait_begun(int(begun) if begun and begun.isdecimal() else 0)
        if settled == "1":
            await bench.log.wait_settled()
        return JSONResponse({"runs": bench.log.runs()})

    async def requests(request: Request) -> Response:
        path = request.query_params.get("path", "/")
        return JSONResponse({"requests": await bench.log.wait_asked(path)})

    return Starlette(
        routes=[
            Route("/emulator/faults", faults, methods=["GET", "POST", "DELETE"]),
            Route("/emulator/runs", runs),
            Route("/emulator/requests", requests),
            *_switches(bench),
        ]
    )


def _switches(bench: Bench) -> list[Route]:
    async def clock(request: Request) -> Response:
        if request.method == "POST":
            try:
                asked = msgspec.json.decode(await request.body(), type=dict[str, float])
                bench.forward(asked["forward"])
            except (msgspec.DecodeError, KeyError) as trouble:
                return JSONResponse({"error": str(trouble)}, 400)
        return JSONResponse({"now": bench.now()})

    async def key(request: Request) -> Response:
        try:
            bench.key = msgspec.json.decode(await request.body(), type=dict[str, str])["key"]
        except (msgspec.DecodeError, KeyError) as trouble:
            return JSONResponse({"error": str(trouble)}, 400)
        return JSONResponse({})

    return [
        Route("/emulator/clock", clock, methods=["GET", "POST"]),
        Route("/emulator/key", key, methods=["POST"]),
    ]


def _cutter(send: object) -> Callable[[], None]:
    """How the connection behind an ASGI `send` is ended without a word. Does nothing where
    the server that runs us does not show its transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return lambda: transport.abort() if transport is not None else None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


def _stopping(send: Send, bench: Bench) -> Send:
    async def stopping(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await bench.stop()
        await send(message)

    return stopping
