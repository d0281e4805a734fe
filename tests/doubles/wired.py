"""Connections to a whole application without sockets: bytes go in as a test cuts them.

The protocol class is the real one, and so is everything behind it. Unrealistic: whatever is
written is taken at once, unless a test says that it is not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio.lowlevel
from uvicorn.server import ServerState

from safelight.app import create_app
from safelight.doors import Config
from safelight.edges.context import Context
from safelight.exchange import HttpProtocol
from safelight.providers.scripted import Scripted
from safelight.settings import Settings
from safelight.store import open_store
from tests.doubles.turns import until

PATIENCE = 10.0

_LENGTH = re.compile(rb"content-length: (\d+)\r\n")


class Wire:
    """The transport of one connection: what was written, and what was asked of it."""

    def __init__(self) -> None:
        self.written = b""
        self.late = b""  # after its end
        self.writes = 0
        self.wrote = asyncio.Event()
        self.closed = False
        self.reading = True
        self.lost: Callable[[Exception | None], None]

    def write(self, data: bytes) -> None:
        """To the client, unless it is gone."""
        if self.closed:
            self.late += data
            return
        self.written += data
        self.writes += 1
        self.wrote.set()

    def close(self) -> None:
        """The end, which is told as a real transport tells it."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.lost, None)

    abort = close

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self.closed

    def pause_reading(self) -> None:
        """Nothing more is wanted for now."""
        self.reading = False

    def resume_reading(self) -> None:
        """More is wanted."""
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Somebody on this machine."""
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        """Everything is taken."""
        return 0


class Wired:
    """One connection: the protocol and its wire."""

    def __init__(self, config: Config, state: ServerState, loop: Any = None) -> None:
        self.wire = Wire()
        self.protocol = HttpProtocol(config, state, {}, loop)
        self.wire.lost = self.protocol.connection_lost
        self.protocol.connection_made(cast(Any, self.wire))

    def send(self, data: bytes) -> None:
        """What the client sends, in one piece."""
        self.protocol.data_received(data)

    def lose(self) -> None:
        """The client is gone."""
        self.wire.close()

    async def answers(self, count: int = 1) -> list[bytes]:
        """So many answers, which is all there is."""
        async with asyncio.timeout(PATIENCE):
            while len(found := split(self.wire.written)) < count:
                await anyio.lowlevel.checkpoint()
        assert len(found) == count
        return found


class House:
    """A running application; `connect` makes a connection to it."""

    def __init__(self, app: Any, config: Config) -> None:
        self.context: Context = app.state.context
        self.config = config
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"Sat, 21 Nov 2026 18:00:00 GMT")]

    def connect(self, loop: Any = None) -> Wired:
        """A client."""
        return Wired(self.config, self.state, loop)


@asynccontextmanager
async def wired(
    directory: Path, opened: Any = open_store, clock: Any = None, **settings: Any
) -> AsyncIterator[House]:
    """An application in the test's own loop."""
    chosen = Settings(data_dir=str(directory), scripted=True, **settings)
    app = create_app(chosen, {"scripted": Scripted()}, opened)
    config = Config(app, chosen, clock)
    config.load()
    async with alive(app):
        house = House(app, config)
        try:
            yield house
        finally:
            await until(lambda: not house.state.tasks)


@asynccontextmanager
async def alive(app: Any) -> AsyncIterator[None]:
    """The lifespan of an application, in a task of its own."""
    asked: asyncio.Queue[Any] = asyncio.Queue()
    told: asyncio.Queue[Any] = asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan", "state": {}}, asked.get, told.put))
    for word in ("startup", "shutdown"):
        await asked.put({"type": f"lifespan.{word}"})
        assert await told.get() == {"type": f"lifespan.{word}.complete"}
        if word == "startup":
            yield
    await life


def split(stream: bytes) -> list[bytes]:
    """The whole answers that a stream begins with."""
    found = []
    while (end := stream.find(b"\r\n\r\n")) >= 0:
        length = _LENGTH.search(stream[: end + 2])
        size = end + 4 + (0 if length is None else int(length[1]))
        if len(stream) < size:
            break
        found.append(stream[:size])
        stream = stream[size:]
    return found
