"""A real server on a real socket, in the test's own event loop, with a scripted provider.

The test holds the provider, so it opens gates instead of waiting for time. Unrealistic:
server and client share one loop, so nothing here can show a blocked event loop.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
import websockets
from websockets.asyncio.client import ClientConnection

from safelight.app import create_app
from safelight.doors import Config
from safelight.edges.context import Context
from safelight.providers.scripted import Scripted
from safelight.settings import Settings
from safelight.store import open_store
from safelight.subscriptions import Subscriptions

PATIENCE = 10.0
"""Seconds a test waits for what must come; it never waits them out when all is well."""


class Served:
    """One running server: its addresses, its provider, and the inside of it."""

    def __init__(self, port: int, scripted: Scripted, context: Context) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.scripted = scripted
        self.context = context
        self.connections = Guests()
        # Loading certificates takes longer than most tests, and nothing here is encrypted.
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE, verify=False)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """POST JSON; header names are given with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, json=body, headers=named)

    async def create(self, **fields: Any) -> dict[str, Any]:
        """Create a scripted image and return its `data`."""
        body = {"kind": "image", "prompt": "a test", "model": "scripted/image"} | fields
        answer = await self.post("/api/tasks", body)
        assert answer.status_code in (200, 202), answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def events(self, id: str) -> list[dict[str, Any]]:
        """Every event of a task up to its end, by server-sent events."""
        async with self.http.stream("GET", f"/api/tasks/{id}/events") as stream:
            return [
                json.loads(line[6:]) async for line in stream.aiter_lines() if line[:5] == "data:"
            ]

    @asynccontextmanager
    async def connect(self, query: str = "vsn=2.0.0", **more: Any) -> AsyncIterator[Phone]:
        """A socket that writes its frames by hand."""
        address = self.url.replace("http", "ws") + f"/socket/websocket?{query}"
        async with websockets.connect(address, compression=None, **more) as connection:
            yield Phone(connection)


class Phone:
    """A client of one socket. Frames are lists; everything received is kept in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[Any] = []
        self._ref = 100

    async def send(self, *frame: Any) -> None:
        """One frame of five."""
        await self.connection.send(json.dumps(list(frame)))

    async def push(self, topic: str, event: str, payload: Any, join_ref: str | None = None) -> Any:
        """Send with a fresh ref and return its reply's payload."""
        self._ref += 1
        ref = str(self._ref)
        await self.send(join_ref, ref, topic, event, payload)
        frame = await self.until(lambda f: isinstance(f, list) and f[1] == ref)
        return frame[4]

    async def join(self, topic: str, payload: Any = None, join_ref: str = "7") -> Any:
        """Join and return the reply's payload."""
        await self.send(join_ref, join_ref, topic, "phx_join", payload or {})
        frame = await self.until(
            lambda f: isinstance(f, list) and f[1] == join_ref and f[3] == "phx_reply"
        )
        return frame[4]

    async def receive(self) -> Any:
        """The next frame: a list, or bytes."""
        async with asyncio.timeout(PATIENCE):
            data = await self.connection.recv()
        frame = data if isinstance(data, bytes) else json.loads(data)
        self.received.append(frame)
        return frame

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first frame from here on that is wanted."""
        while True:
            frame = await self.receive()
            if wanted(frame):
                return frame

    async def until_event(self, type: str, topic: str | None = None) -> dict[str, Any]:
        """The payload of the next task event of a type."""
        frame = await self.until(
            lambda f: (
                isinstance(f, list)
                and f[3] == "progress"
                and f[4].get("type") == type
                and topic in (None, f[2])
            )
        )
        payload: dict[str, Any] = frame[4]
        return payload

    def told(self, topic: str) -> list[dict[str, Any]]:
        """The task events received so far on a topic."""
        return [
            f[4]
            for f in self.received
            if isinstance(f, list) and f[2] == topic and f[3] == "progress"
        ]


@asynccontextmanager
async def served(directory: Path, **settings: Any) -> AsyncIterator[Served]:
    """Start a server on a free port; it is stopped and its loop drained at exit."""
    scripted = settings.pop("scripted_provider", None) or Scripted()
    name = settings.pop("scripted_as", "scripted")
    opened = settings.pop("opened", open_store)
    wrapped = settings.pop("wrapped", lambda app: app)
    defaults: dict[str, Any] = {
        "data_dir": str(directory),
        "scripted": True,
        "retry_base_seconds": 0.001,
        "local_pace_seconds": 0.0,
    }
    listening = settings.pop("listening", None) or socket.create_server(("127.0.0.1", 0))
    kernel_buffer = settings.pop("kernel_buffer", None)
    clock = settings.pop("clock", None)
    subscriptions = settings.pop("subscriptions", Subscriptions)
    named: dict[str, Any] = {key: settings.pop(key, None) for key in ("named", "rhythm", "manners")}
    providers = {name: scripted} | settings.pop("beside", {})
    chosen = Settings(**defaults | settings)
    app = create_app(
        chosen,
        providers,
        opened,
        subscriptions,
        named["named"],
        rhythm=named["rhythm"],
        manners=named["manners"],
    )
    if kernel_buffer is not None:  # little is to fill it; accepted sockets inherit it
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kernel_buffer)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel_buffer)
    config = Config(wrapped(app), chosen, clock)
    config.lifespan = "on"
    config.timeout_graceful_shutdown = 2
    server = _Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    await server.ready.wait()
    house = Served(listening.getsockname()[1], scripted, app.state.context)
    house.connections = server.connections
    try:
        yield house
    finally:
        await house.http.aclose()
        server.should_exit = True
        await running
        listening.close()


class Guests(set[Any]):
    """A set that tells when the last has gone, which uvicorn's own is asked ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._gone = asyncio.Event()

    def discard(self, guest: Any) -> None:
        """One goes, if it was there."""
        super().discard(guest)
        if not self:
            self._gone.set()

    async def wait_empty(self) -> None:
        """Until nobody is there."""
        while self:
            self._gone.clear()
            await self._gone.wait()


class _Quiet(uvicorn.Server):
    """uvicorn without signal handlers, with something to wait for, and without its ticks:
    it stops as soon as it is told to and everybody has gone."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._ending = asyncio.Event()
        super().__init__(config)
        self.connections, self.calls = Guests(), Guests()
        self.server_state.connections, self.server_state.tasks = self.connections, self.calls
        self.ready = asyncio.Event()

    @property
    def should_exit(self) -> bool:
        """What uvicorn looks at ten times a second is waited for here."""
        return self._ending.is_set()

    @should_exit.setter
    def should_exit(self, asked: bool) -> None:
        if asked:
            self._ending.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        left = self.connections, self.calls
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while any(left):
                    for each in left:
                        await each.wait_empty()
        for task in list(self.server_state.tasks):
            task.cancel()
        await self.lifespan.shutdown()

    def install_signal_handlers(self) -> None:
        """Signals stay pytest's."""

    def capture_signals(self) -> Any:
        """Signals stay pytest's."""
        from contextlib import nullcontext

        return nullcontext()
