"""Somebody's server that takes webhooks, in the test's own loop.

Answers are taken from `answers` in turn, then 204 for ever; None is silence until the end.
`calls` are what came. Unrealistic on purpose: each connection serves one request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.doubles.http_end import asked_by
from tests.doubles.served import PATIENCE

Answer = tuple[int, dict[str, str]] | None
TAKEN: Answer = (204, {})


class Call:
    """One request: its headers in lower case, and its very bytes."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        """What was sent."""
        return json.loads(self.body)


class Receiver:
    """`url` is where it listens; `name` is how its host is spelt there."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: list[Answer] = []
        self.calls: list[Call] = []
        self._news = asyncio.Condition()

    def url(self, host: str = "127.0.0.1") -> str:
        """Its address, with its host spelt like this."""
        return f"http://{host}:{self.port}/hook?a=1"

    async def wait(self, times: int = 1) -> list[Call]:
        """Wait until that many calls have come, and return all."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(self.calls) >= times)
        return self.calls

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, or silence."""
        try:
            asked = await asked_by(reader)
            answer = self.answers.pop(0) if self.answers else TAKEN
            async with self._news:
                self.calls.append(Call(asked.headers, asked.body))
                self._news.notify_all()
            if answer is None:
                await reader.read()  # until the other side goes
                return
            status, more = answer
            lines = "".join(f"{name}: {value}\r\n" for name, value in more.items())
            length = "" if status == 204 else "Content-Length: 0\r\n"
            writer.write(
                f"HTTP/1.1 {status} X\r\n{length}Connection: close\r\n{lines}\r\n".encode()
            )
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """The receiver, as long as the block lasts."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
