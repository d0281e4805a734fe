"""uvicorn as this house needs it: its server, and what both of its protocols are told.

The server stops accepting at the signal and lets everybody be seen out before it closes
anything itself; its default closes all sockets at once. The protocols are in `exchange.py`
and, of WebSockets, in `lines.py`; there is an end to how many connections they have. Knows
neither routes nor tasks; who is to be seen out, and how, is handed in.
"""

from __future__ import annotations

import asyncio
import math
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import anyio
import uvicorn

from .edges.short import Short
from .exchange import HttpProtocol
from .forwarded import Forwarded
from .lines import LineProtocol
from .machine import Clock
from .settings import Settings
from .telemetry import log as record
from .whole import Heads

SPARE_FRAME_BYTES = 64 * 1024
"""Above our own limit, so that a frame somewhat too large is refused by us, in words."""

KEEP_ALIVE_SECONDS = 30.0
"""Longer than clients keep idle connections (5 s in httpx): whoever closes first, it is
not we while a request is on its way."""

OTHER_FILES = 64
"""Files that may be open beside the connections: the store's, the log, and those that the
forty threads read or write at a moment; a download holds none while its reader takes none."""

FULL_SECONDS = 60.0
"""Between two lines of the log which say that there is no place."""

LEAST_CONNECTIONS = 16
"""However few files the process may open."""

MOST_FILES = 65_536
"""What is asked of the system where it allows more, or any number."""

SEEING_OUT = 0.5
"""The part of `drain_seconds` over which clients are sent away."""


class Config(uvicorn.Config):
    """uvicorn's, made of our settings. A client that takes nothing of an answer for
    `slow_seconds`, or sends nothing of a request for `request_seconds`, is cut off; and so
    is whoever comes when there are `most_connections`. `clock` measures these times; it is
    the event loop's own unless given."""

    def __init__(self, app: object, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(
            app,  # type: ignore[arg-type]
            lifespan="off",
            http=HttpProtocol,
            ws=LineProtocol,
            ws_max_size=settings.max_frame_bytes + SPARE_FRAME_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            ws_ping_timeout=None,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=math.ceil(KEEP_ALIVE_SECONDS),
            timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
        )
        self.clock = clock
        self.slow_seconds = settings.slow_reader_seconds
        self.request_seconds = settings.request_seconds
        self.most_connections = settings.max_connections or room()
        self.drain_seconds = settings.drain_seconds
        self.short = app if isinstance(app, Short) else None
        self.heads = Heads()
        self._full_until = -math.inf
        self._common: tuple[list[tuple[bytes, bytes]] | None, bytes] = (None, b"")

    def load(self) -> None:
        """The application, behind whoever may say for whom it asks."""
        super().load()
        self.loaded_app = Forwarded(self.loaded_app)

    def common(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """What all answers have, as it is sent. uvicorn makes a new list each second."""
        if headers is not self._common[0]:
            lines = (b"%b: %b\r\n" % header for header in headers)
            self._common = headers, b"".join(lines)
        return self._common[1]

    def note_full(self, now: float) -> None:
        """Somebody found no place; it is told once in a while, however many come."""
        if now >= self._full_until:
            self._full_until = now + FULL_SECONDS
            record("server.full", connections=self.most_connections)


def room() -> int:
    """How many connections fit into the files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if files == resource.RLIM_INFINITY else files
    return max(LEAST_CONNECTIONS, files - OTHER_FILES)


def make_room() -> int:
    """Ask for as many open files as the system allows; how many they are now."""
    files, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MOST_FILES)
    if files != resource.RLIM_INFINITY and files < wanted:
        with suppress(OSError, ValueError):  # the system may have a limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, allowed))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Server(uvicorn.Server):
    """uvicorn that says when it listens and ends the way we want.

    Its own signal handlers send themselves the signal again at the end, which would make
    every clean stop look like a crash: the signals are ours, and call `stop`.
    """

    def __init__(
        self,
        config: Config,
        on_listening: Callable[[], None],
        see_out: Callable[[float], Awaitable[None]],
    ) -> None:
        """`see_out` sends everybody away within the seconds it is given."""
        super().__init__(config)
        self._drain_seconds = config.drain_seconds
        self._on_listening = on_listening
        self._see_out = see_out
        self._forced = asyncio.Event()

    def stop(self, number: int) -> bool:
        """A signal came. True at the first, which ends it in its time; a second SIGINT
        cuts every line at once."""
        if not self.should_exit:
            self.should_exit = True
            return True
        if number == signal.SIGINT:
            self.force_exit = True
            self._forced.set()
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        return False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody, see everybody out; what is left of the time belongs to requests."""
        began = asyncio.get_running_loop().time()
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.shutdown()
        await self._until_seen_out()
        used = asyncio.get_running_loop().time() - began
        self.config.timeout_graceful_shutdown = math.ceil(max(0.0, self._drain_seconds - used))
        await super().shutdown(sockets)

    async def _until_seen_out(self) -> None:
        async with anyio.create_task_group() as group:

            async def cut_short() -> None:
                await self._forced.wait()
                group.cancel_scope.cancel()

            group.start_soon(cut_short)
            await self._see_out(self._drain_seconds * SEEING_OUT)
            group.cancel_scope.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are not uvicorn's."""
        yield
