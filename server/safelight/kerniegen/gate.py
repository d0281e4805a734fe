"""What every request passes: the journal, the check of its origin, and faults of answers.

A plain ASGI layer outside of Starlette, since some faults end a connection without an
answer, or in the middle of one.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import as_json, cutter, empty, server_error
from .faults import HTTP_FAULTS, BadFault, Fault, read_faults
from .prompts import FAULT_HEADER
from .studio import Studio

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LOGIN = "<!doctype html><title>Sign in</title><h1>Please sign in to continue</h1>"
PNG_HEAD = b"\x89PNG\r\n\x1a\n"
PART = bytes(64 * 1024)


class Gate:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, studio: Studio) -> None:
        self._app = app
        self._studio = studio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope["kernie.cut"] = cutter(send)
        note: dict[str, Any] = {"method": scope.get("method", "WS"), "path": scope["path"]}
        scope["kernie.note"] = note
        headers = Headers(scope=scope)
        if is_foreign(headers):
            await empty(403)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        self._studio.journal.event("begun", **note)  # of one that hangs there is no more
        self._studio.visits.note(scope["path"])
        try:
            await self._request(scope, receive, _noting(send, note))
        finally:
            self._studio.journal.event("request", **note)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            fault = self._fault(scope)
        except BadFault as trouble:
            await as_json({"error": str(trouble)}, 400)(scope, receive, send)
            return
        if fault is None:
            if scope["method"] == "OPTIONS":
                await empty()(scope, receive, send)
            else:
                await self._app(scope, receive, send)
            return
        scope["kernie.note"]["fault"] = fault.name
        await self._strike(fault, scope, receive, send)

    def _fault(self, scope: Scope) -> Fault | None:
        for fault in read_faults(Headers(scope=scope).get(FAULT_HEADER)):
            if fault.name in HTTP_FAULTS:
                return fault
        route = _route(scope)
        return self._studio.armed.for_request(route) if route else None

    async def _strike(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        cut = scope["kernie.cut"]
        match fault.name:
            case "http-500":
                await server_error()(scope, receive, send)
            case "html":
                await HTMLResponse(LOGIN)(scope, receive, send)
            case "gone":
                await empty(404)(scope, receive, send)
            case "hang-http":
                while (await receive())["type"] != "http.disconnect":
                    pass
            case "late-answer":
                await self._app(scope, receive, _later(send, fault.seconds(0.5)))
            case "lost-request":
                while (await receive()).get("more_body"):
                    pass
                cut()
            case "lost-answer":
                await self._app(scope, receive, _nothing)
                cut()
            case "huge":
                await _huge(int(fault.seconds(300) * 1024 * 1024), send)
            case "truncated":
                await self._app(scope, receive, _Half(send, cut))


class _Half:
    """A `send` that lets half of the declared body through and cuts the connection."""

    def __init__(self, send: Send, cut: Any) -> None:
        self._send, self._cut = send, cut
        self._left = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            self._left = int(headers.get("content-length", "2")) // 2
            await self._send(message)
        elif self._left > 0:
            part = message.get("body", b"")[: self._left]
            self._left -= len(part)
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            if self._left <= 0:
                self._cut()


def is_foreign(headers: Headers) -> bool:
    """Whether a page of elsewhere asks a server on loopback."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if origin is None:
        return False
    here, there = urlsplit(f"//{host}"), urlsplit(origin)
    if here.hostname not in LOOPBACK:
        return False
    if here.port is None or there.port is None:
        return here.hostname != there.hostname
    return here.netloc.lower() != there.netloc.lower()


def _route(scope: Scope) -> str | None:
    """What a fault calls this request; a GET of /prompt is not its submission."""
    first = scope["path"].removeprefix("/api/").strip("/").split("/")[0]
    if first in ("kerniegen", "") or (first == "prompt" and scope["method"] != "POST"):
        return None
    return str(first)


def _noting(send: Send, note: dict[str, Any]) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            note["status"] = message["status"]
        await send(message)

    return noting


def _later(send: Send, seconds: float) -> Send:
    async def later(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return later


async def _nothing(message: Message) -> None:
    return None


async def _huge(size: int, send: Send) -> None:
    """A PNG's first bytes and then nothing but zeros, as long as somebody takes them."""
    length = str(size).encode()
    headers = [(b"content-type", b"image/png"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    sent = 0
    while sent < size:
        part = (PNG_HEAD + PART if not sent else PART)[: size - sent]
        sent += len(part)
        more = sent < size
        await send({"type": "http.response.body", "body": part, "more_body": more})
