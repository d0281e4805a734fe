"""ASGI applications for tests of lines: one that speaks plain ASGI and notes what it was
told, and one that takes the line over and notes what it was called with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from safelight import framing
from safelight.edges.line import LINE

Received = Callable[[], Awaitable[dict[str, Any]]]
Sent = Callable[[dict[str, Any]], Awaitable[None]]


class Echo:
    """Accepts, and says again what it hears, by ordinary ASGI. `told` is every message it
    received, `scopes` what it was called with."""

    def __init__(self, **accept: Any) -> None:
        self.accept = accept
        self.told: list[dict[str, Any]] = []
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: dict[str, Any], receive: Received, send: Sent) -> None:
        """One call."""
        self.scopes.append(scope)
        self.told.append(await receive())
        await send({"type": "websocket.accept", **self.accept})
        while True:
            message = await receive()
            self.told.append(message)
            if message["type"] == "websocket.disconnect":
                return
            await send({**message, "type": "websocket.send"})


class Attached:
    """Accepts, takes the line over and returns. As a receiver it notes every call, and says
    again what it hears unless `quiet`, and pauses the reading after each of the first
    `pauses` messages; `begin` is called with it once it is attached."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        pauses: int = 0,
        begin: Callable[[Attached], None] | None = None,
    ) -> None:
        self.heard: list[str | bytes] = []
        self.calls: list[str] = []
        self.line: Any = None
        self.begin = begin
        self.quiet = quiet
        self.pauses = pauses
        self.ended = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Received, send: Sent) -> None:
        """One call, which is over at once."""
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        self.line = scope["extensions"][LINE]["line"]
        self.line.attach(self)
        if self.begin is not None:
            self.begin(self)

    def received(self, message: str | bytes) -> None:
        """Noted, and said again."""
        self.heard.append(message)
        if len(self.heard) <= self.pauses:
            self.line.pause_reading()
        if not self.quiet:
            text = isinstance(message, str)
            self.line.write(framing.text(message.encode()) if text else framing.binary(message))

    def lost(self) -> None:
        """Noted."""
        self.calls.append("lost")
        self.ended.set()

    def pause_writing(self) -> None:
        """Noted."""
        self.calls.append("pause")

    def resume_writing(self) -> None:
        """Noted."""
        self.calls.append("resume")


def scripted(*messages: dict[str, Any]) -> Callable[..., Awaitable[None]]:
    """An application that sends these, whatever it is asked, and returns."""

    async def app(scope: dict[str, Any], receive: Received, send: Sent) -> None:
        await receive()
        for message in messages:
            await send(message)

    return app
