"""A network that takes a request to the server and loses the answer on the way back.

A TCP relay. The server has done its work by the time its answer is swallowed, which is
the one case in which a client cannot know what became of its request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class BadNetwork:
    """`loses` is how many answers from now on are swallowed; `lost` counts them."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port
        self.url = ""
        self.loses = 0
        self.lost = 0

    async def relay(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection, until one of its ends has enough."""
        server, forth = await asyncio.open_connection("127.0.0.1", self._port)
        asking = asyncio.create_task(_pump(client, forth))
        try:
            while data := await server.read(65536):
                if self.loses > 0:
                    self.loses -= 1
                    self.lost += 1
                    return
                back.write(data)
                await back.drain()
        finally:
            asking.cancel()
            forth.close()
            back.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()


@asynccontextmanager
async def bad_network(url: str) -> AsyncIterator[BadNetwork]:
    """The relay in front of a server, as long as the block lasts."""
    network = BadNetwork(url)
    listening = await asyncio.start_server(network.relay, "127.0.0.1", 0)
    network.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with listening:
        yield network
