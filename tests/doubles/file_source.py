"""A server of files on loopback that does what its test says: slow, cut, wrong, away.

Each path is answered by a list of answers, one after another, the last one for ever; every
request is noted. It speaks HTTP by hand, so that it can break off where no library would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from safelight.fetches import Fetches

Answer = Callable[["Line"], Awaitable[None]]


class Line:
    """One request that came, and where its answer goes."""

    def __init__(self, writer: asyncio.StreamWriter, path: str, headers: dict[str, str]) -> None:
        self.path = path
        self.headers = headers
        self._writer = writer

    async def head(self, status: int, **headers: object) -> None:
        """The status and headers; names are given with underscores."""
        lines = [f"HTTP/1.1 {status} Said"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.write(("\r\n".join([*lines, "Connection: close", "", ""])).encode())

    async def write(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()


class FileSource:
    """`answers` by path; `asked` lists the requests, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Line] = []
        self.url = ""
        self.gates: dict[str, asyncio.Event] = {}

    def says(self, path: str, *answers: Answer) -> str:
        """Answer a path so, one request after another; returns its address."""
        self.answers[path] = list(answers)
        return self.url + path

    def gate(self, name: str) -> asyncio.Event:
        """What a `held` answer waits for."""
        return self.gates.setdefault(name, asyncio.Event())

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(line.path == path for line in self.asked)

    def whole(self, data: bytes, **headers: object) -> Answer:
        """The bytes, as they should be."""

        async def answer(line: Line) -> None:
            await line.head(200, **{"Content_Length": len(data), **headers})
            await line.write(data)

        return answer

    def held(self, data: bytes, gate: str) -> Answer:
        """Half of the bytes; the rest once the gate opens."""

        async def answer(line: Line) -> None:
            await line.head(200, Content_Length=len(data))
            await line.write(data[: len(data) // 2])
            await self.gate(gate).wait()
            await line.write(data[len(data) // 2 :])

        return answer

    def cut(self, data: bytes, **headers: object) -> Answer:
        """Half of the bytes, and the line is dropped."""

        async def answer(line: Line) -> None:
            await line.head(200, **{"Content_Length": len(data), **headers})
            await line.write(data[: len(data) // 2])

        return answer

    def status(self, status: int, body: bytes = b"no", **headers: object) -> Answer:
        """Another status than 200."""

        async def answer(line: Line) -> None:
            await line.head(status, **{"Content_Length": len(body), **headers})
            await line.write(body)

        return answer

    def endless(self, first: bytes, chunk: bytes) -> Answer:
        """Bytes without an announced end, until nobody takes them."""

        async def answer(line: Line) -> None:
            await line.head(200)
            await line.write(first)
            while True:
                await line.write(chunk)

        return answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which is one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *rest = head.strip().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest)}
            line = Line(writer, first.split()[1], headers)
            self.asked.append(line)
            answers = self.answers[line.path]
            await (answers.pop(0) if len(answers) > 1 else answers[0])(line)


@asynccontextmanager
async def file_source() -> AsyncIterator[FileSource]:
    """One that listens on a free port of loopback; whoever is still served is cut off."""
    source = FileSource()
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        serving.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await source.serve(reader, writer)
        finally:
            serving.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    source.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield source
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        if serving:
            await asyncio.wait(serving, timeout=5)


def no_fetches() -> Fetches:
    """For a production that fetches nothing."""
    nothing: Any = None
    return Fetches(nothing, nothing, nothing, nothing)
