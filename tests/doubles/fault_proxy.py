"""A TCP proxy that behaves like a bad network between a real client and a real server.

It lives in the test's loop and is changed while it runs: late, dripping, cut in the middle
of a frame, silent in one direction (a half-open connection), reset, or refusing. What it
carries it never changes, adds to or reorders. `target` may be moved to another server.
Unrealistic: a connection to it always opens, unless it refuses; it loses no segments.

    async with fault_proxy(server.url) as proxy:
        proxy.cut("down", after=100)
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

Direction = Literal["up", "down"]
"""`up` is what the client sends, `down` what the server does."""

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN."""


class Link:
    """One connection of a client, and the one to the server behind it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self.carried: Counter[Direction] = Counter()
        self.lifetime = proxy.lifetimes.popleft() if proxy.lifetimes else None
        self._proxy = proxy
        self._writers = [client]
        self._open: dict[Direction, asyncio.Event] = {
            "up": asyncio.Event(),
            "down": asyncio.Event(),
        }
        for direction in self._open:
            if direction not in proxy.holes:
                self._open[direction].set()

    async def carry(self, reader: asyncio.StreamReader, address: tuple[str, int]) -> None:
        """Both directions until both have ended, or one broke."""
        there, up = await asyncio.open_connection(*address)
        self._writers.append(up)
        down = self._writers[0]
        await asyncio.gather(self._pump(reader, up, "up"), self._pump(there, down, "down"))

    def freeze(self, direction: Direction) -> None:
        """Carry nothing more that way, not even the end; nobody is told."""
        self._open[direction].clear()

    def thaw(self) -> None:
        """Carry again, both ways, what was held back."""
        for gate in self._open.values():
            gate.set()

    def reset(self) -> None:
        """RST to both sides."""
        for writer in self._writers:
            reset(writer)

    def close(self) -> None:
        """End without asking anybody."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._open[way].wait()
            await self._proxy.delay()
            left = self._left(way)
            await self._write(writer, data if left is None else data[:left], way)
            if left is not None and left <= len(data):
                return self.reset()
        await self._open[way].wait()
        if writer.can_write_eof():
            writer.write_eof()

    def _left(self, way: Direction) -> int | None:
        """How many bytes may still go that way; None if any number."""
        lived = None if self.lifetime is None or way == "up" else self.lifetime - self.carried[way]
        bounds = [bound for bound in (lived, self._proxy.left(way)) if bound is not None]
        return min(bounds, default=None)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes, way: Direction) -> None:
        self._proxy.spend(way, len(data))
        size = self._proxy.drip or len(data) or 1
        for start in range(0, len(data), size):
            await self._open[way].wait()
            writer.write(data[start : start + size])
            await writer.drain()
            self.carried[way] += len(data[start : start + size])
            if self._proxy.drip:
                await asyncio.sleep(0)  # the reader gets its turn between two pieces


class FaultProxy:
    """All links to one `target`. `latency` seconds are waited for each piece, by `jitter`
    (0 to 1) more or less; `drip` is the size of the pieces that are written, 0 for any;
    `holes` are the directions in which new links are silent; `refuse` resets new ones;
    `lifetimes` are how many bytes each of the next links carries down until it is cut."""

    def __init__(self, target: str, seed: int = 0) -> None:
        self.target = target
        self.url = ""
        self.latency = 0.0
        self.jitter = 0.0
        self.drip = 0
        self.refuse = False
        self.holes: set[Direction] = set()
        self.lifetimes: deque[int] = deque()
        self.links: set[Link] = set()
        self.accepted = 0
        self.refused = 0
        self._die = random.Random(seed)
        self._budget: dict[Direction, int] = {}
        self._changed = asyncio.Event()
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self, direction: Direction, *, after: int) -> None:
        """Reset the link that carries the nth byte from now on, that byte being its last;
        0 is the next piece. Once."""
        self._budget[direction] = after

    def freeze(self, direction: Direction) -> None:
        """Make every link of now half-open; those that come are not."""
        for link in self.links:
            link.freeze(direction)

    def heal(self) -> None:
        """Be a good network from here on."""
        self.latency, self.jitter, self.drip, self.refuse = 0.0, 0.0, 0, False
        self.holes.clear()
        self._budget.clear()
        for link in self.links:
            link.thaw()

    def reset_all(self) -> None:
        """RST on every link."""
        for link in list(self.links):
            link.reset()

    async def wait_for_links(self, accepted: int) -> None:
        """Return once so many connections have come, refused ones too."""
        while self.accepted + self.refused < accepted:
            self._changed.clear()
            await self._changed.wait()

    async def delay(self) -> None:
        """As long as one piece takes."""
        if self.latency:
            await asyncio.sleep(self.latency * (1 + self.jitter * (2 * self._die.random() - 1)))

    def left(self, way: Direction) -> int | None:
        """How many bytes may still go that way before the cut; None without one."""
        return self._budget.get(way)

    def spend(self, way: Direction, count: int) -> None:
        """Count bytes towards the cut; it happens once."""
        left = self._budget.get(way)
        if left is not None:
            self._budget[way] = left - count
            if left <= count:
                del self._budget[way]

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a client's connection."""
        self._changed.set()
        if self.refuse:
            self.refused += 1
            return reset(writer)
        self.accepted += 1
        link = Link(self, writer)
        self.links.add(link)
        task = asyncio.ensure_future(self._carry(link, reader))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _carry(self, link: Link, reader: asyncio.StreamReader) -> None:
        where = urlsplit(self.target)
        assert where.hostname is not None and where.port is not None
        try:
            await link.carry(reader, (where.hostname, where.port))
        except OSError:
            link.reset()  # the server is not there, or has just gone
        finally:
            self.links.discard(link)
            link.close()

    async def close(self) -> None:
        """End all links."""
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close by RST: what was not read yet is lost, as when a process or a NAT dies."""
    end = writer.get_extra_info("socket")
    if end is not None and end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


@asynccontextmanager
async def fault_proxy(target: str, seed: int = 0) -> AsyncIterator[FaultProxy]:
    """A proxy to the server at `target` on a free port; a good network until told else."""
    proxy = FaultProxy(target, seed)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
