"""uvicorn as this house needs it: the server, and both of its protocols.

The server stops accepting at the signal and lets everybody be seen out before it closes
anything itself; its default closes all sockets at once. The protocols (the one of
WebSockets is in `lines.py`) hold no more for a client that takes nothing than their write
buffer, and not for ever; they wait for no request without end, and there is an end to how
many connections there are. Knows neither routes nor tasks; who is to be seen out, and how,
is handed in.
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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .forwarded import Forwarded
from .lines import LineProtocol
from .machine import Clock, Timer
from .settings import Settings
from .telemetry import log as record

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
        self._full_until = -math.inf

    def load(self) -> None:
        """The application, behind whoever may say for whom it asks."""
        super().load()
        self.loaded_app = Forwarded(self.loaded_app)

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


class HttpProtocol(HttpToolsProtocol):
    """HTTP whose client must go on: with the request that it owes us, and with taking
    what waits for it. Otherwise it is cut off."""

    config: Config
    _limit: Timer | None = None
    _owed: Timer | None = None
    _heard_at = 0.0
    _begun = False
    _in_body = False
    _resting = False
    _rested_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Whoever comes owes a request, and finds no place where there is none."""
        super().connection_made(transport)
        self._clock: Clock = self.config.clock or self.loop
        if len(self.connections) > self.config.most_connections:
            self.config.note_full(self._clock.time())
            transport.abort()
        else:
            self._owe()

    def data_received(self, data: bytes) -> None:
        """After empty lines, which begin no request, one is owed too."""
        self._heard_at = self._clock.time()
        super().data_received(data)
        if self._begun:
            return self._owe()
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self in self.connections and not self._resting:
            self._owe()

    def on_message_begin(self) -> None:
        """The rest of it is owed, unless it comes in the same moment, as most do."""
        super().on_message_begin()
        self._begun = True

    def on_headers_complete(self) -> None:
        """From here on it is enough that more of the body comes."""
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        """Nothing is owed; nor is it by a WebSocket, which begins here."""
        self._begun = self._in_body = False
        self._forgive()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """The line goes on without this object, which lets go of its parser, or both would
        stay until the next collection of garbage."""
        super().handle_websocket_upgrade()
        self._forget_rest()
        self.parser = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        """The write buffer is full: from here on the reader's time runs."""
        super().pause_writing()
        self._wait_for_less()

    def resume_writing(self) -> None:
        """The reader took enough."""
        self._forget_limit()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is left to be cut off."""
        self._forget_limit()
        self._forgive()
        self._forget_rest()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """As uvicorn has it, but for the timer of an idle connection: one goes on over many
        requests, where a new one for each is a twentieth of what a small request costs."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self._resting = True
            self._rested_at = self.loop.time()
            if self.timeout_keep_alive_task is None:
                self._rest_for(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Something came; the timer will see that."""
        self._resting = False

    def _rest_for(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._judge_rest)

    def _judge_rest(self) -> None:
        """Close the connection if it has been idle for long enough."""
        self.timeout_keep_alive_task = None
        left = self._rested_at + self.timeout_keep_alive - self.loop.time()
        if self._resting and left > 0:
            self._rest_for(left)
        elif self._resting:
            self.timeout_keep_alive_handler()

    def _forget_rest(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def _owe(self) -> None:
        if self._owed is None:
            self._owed = self._clock.call_later(self.config.request_seconds, self._demand)

    def _demand(self) -> None:
        """A body has as long again after each part of it, and while we do not read it."""
        now = self._clock.time()
        since = now if self.flow.read_paused else self._heard_at
        again_at = since + self.config.request_seconds
        if self._in_body and again_at > now:
            self._owed = self._clock.call_later(again_at - now, self._demand)
        else:
            self.transport.abort()

    def _forgive(self) -> None:
        if self._owed is not None:
            self._owed.cancel()
            self._owed = None

    def _wait_for_less(self) -> None:
        untaken = self.transport.get_write_buffer_size()
        self._limit = self._clock.call_later(self.config.slow_seconds, self._judge, untaken)

    def _judge(self, before: int) -> None:
        """Whoever took a little has as long again."""
        if self.transport.get_write_buffer_size() < before:
            self._wait_for_less()
        else:
            self.transport.abort()

    def _forget_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


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
