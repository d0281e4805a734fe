"""HTTP/1.1 by hand over one TCP connection: what a witness gets is what was sent.

Bounded in every wait; a connection that goes is a `Broken`. No pool, no redirects.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec

PATIENCE = 12.0
"""Seconds of silence after which a connection counts as dead: a stream of ours says
something at least every 10 s."""


class Broken(Exception):
    """The connection went, or was silent for too long, before everything was there."""


class Answer:
    """Status, headers, and the body as it comes."""

    def __init__(
        self, reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]
    ) -> None:
        self.status = status
        self._reader = reader
        self._headers = headers

    async def body(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Piece by piece, to its declared end. Raises Broken when it is cut off."""
        if self.status == 204:
            return
        if self._headers.get("transfer-encoding") == "chunked":
            while size := int(await self._line(), 16):
                yield await self._exactly(size)
                await self._line()
            await self._line()
        else:
            yield await self._exactly(int(self._headers.get("content-length", 0)))

    async def _line(self) -> bytes:
        return (await self._bounded(self._reader.readuntil(b"\r\n"))).strip()

    async def _exactly(self, size: int) -> bytes:
        return await self._bounded(self._reader.readexactly(size))

    async def _bounded(self, reading) -> bytes:
        return await bounded(reading)


async def bounded(reading) -> bytes:
    """Read with patience. Raises Broken."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await reading
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
        raise Broken(repr(error)) from None


@asynccontextmanager
async def request(
    address: tuple[str, int],
    method: str,
    target: str,
    body: object = None,
    raw: bytes = b"",
    **headers: str | None,
) -> AsyncIterator[Answer]:
    """Ask once on a connection of its own, with `body` as JSON or `raw` as it is. Header
    names are given with underscores and left out when None. Raises Broken."""
    data = raw if body is None else msgspec.json.encode(body)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {address[0]}:{address[1]}"]
    lines += ["Connection: close", f"Content-Length: {len(data)}"]
    lines += [f"{n.replace('_', '-')}: {v}" for n, v in headers.items() if v is not None]
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*address)
    except (OSError, TimeoutError) as error:
        raise Broken(repr(error)) from None
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        head = (await bounded(reader.readuntil(b"\r\n\r\n"))).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        named = {name.strip().lower(): value.strip() for name, _, value in pairs}
        yield Answer(reader, int(head[0].split()[1]), named)
    finally:
        writer.transport.abort()
