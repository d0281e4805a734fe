"""Answers that take their time: server-sent events, or a body that comes when a run ends.

Both may be cut in the middle or fall silent there; both end when the other side goes, and
the run they tell of goes on. `event` writes one server-sent event as all providers do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import Fault
from .gate import CUT

SSE = "text/event-stream; charset=utf-8"


def event(data: object, name: str | None = None) -> bytes:
    """One event; `data` is JSON, or text that is sent as it is."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + b"data: " + text.encode() + b"\n\n"


class Stream(Response):
    """Server-sent events from `lines`. A `fault` called `cut` ends the connection before the
    line that is number `middle`, one called `hang` says nothing from there on; a number that
    the fault was given goes before `middle`."""

    def __init__(
        self,
        lines: AsyncIterator[bytes],
        *,
        fault: Fault | None = None,
        middle: int = 1,
        headers: Mapping[str, str] | None = None,
        media_type: str = SSE,
    ) -> None:
        super().__init__(headers={"cache-control": "no-cache", **(headers or {})})
        del self.headers["content-length"]
        self.headers["content-type"] = media_type
        self._lines = lines
        self._fault = fault
        self._middle = middle if fault is None else max(0, int(fault.seconds(middle)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the lines end or the other side goes."""
        await _unless_gone(self._told(scope, send), receive)

    async def _told(self, scope: Scope, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        number = 0
        async for line in self._lines:
            if self._fault is not None and number == self._middle:
                await _struck(self._fault, scope, send)
            await send({"type": "http.response.body", "body": line, "more_body": True})
            number += 1
        if self._fault is not None and number <= self._middle:
            await _struck(self._fault, scope, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Later(Response):
    """The answer that `made` makes, when it does. `cut` sends half of it, `hang` none."""

    def __init__(self, made: Callable[[], Awaitable[Response]], fault: Fault | None = None) -> None:
        super().__init__()
        self._made = made
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, unless the other side goes before."""
        await _unless_gone(self._answer(scope, receive, send), receive)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._made()
        if self._fault is not None and self._fault.name == "hang":
            await asyncio.Event().wait()
        if self._fault is not None:
            head = {"status": answer.status_code, "headers": answer.raw_headers}
            await send({"type": "http.response.start", **head})
            half = bytes(answer.body[: len(answer.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
            await _struck(self._fault, scope, send)
        await answer(scope, receive, send)


class Stamped:
    """Wraps an application: each answer gets the headers that `made` makes, unless it has
    them."""

    def __init__(self, app: ASGIApp, made: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._made = made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                for name, value in self._made().items():
                    headers.setdefault(name, value)
                message["headers"] = headers.raw
            await send(message)

        await self._app(scope, receive, stamped)


def as_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return JSONResponse(content, status, headers)


async def _struck(fault: Fault, scope: Scope, send: Send) -> None:
    """Cut off what was not flushed yet, or fall silent; either way nothing comes after."""
    if fault.name == "cut":
        scope[CUT]()
    await asyncio.Event().wait()


async def _unless_gone(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    telling, leaving = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (telling, leaving):
            each.cancel()
        with suppress(asyncio.CancelledError):
            await leaving
    with suppress(asyncio.CancelledError):
        await telling


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
