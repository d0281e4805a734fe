"""Runs the server: one socket, one event loop, from the first word to the last.

Owns the listening socket and the signals. SIGTERM and SIGINT end it with exit code 0:
nobody is let in any more, sockets are closed with 1012 one group after another, requests
may finish for `drain_seconds`. Knows nothing of what is served. How a server is run is
told in docs/operations.md; uvicorn is in `doors.py`.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import importlib.util
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

import anyio
from starlette.applications import Starlette

from . import telemetry
from .app import create_app
from .doors import Config, Server, make_room
from .edges.context import Context
from .registry import BadCatalog
from .settings import Settings, SettingsError
from .storage import StorageAway
from .store import DatabaseTooNew, DataDirectoryBusy, StoreTrouble

GARBAGE = (20_000, 20, 20)
"""Objects made and not yet freed before Python looks for cycles among them. Tasks and their
logs are kept and have none: with Python's own 700 a seventh of the CPU of a create goes into
looking, and a look through all of them stops the loop for tens of milliseconds."""

SWITCH_SECONDS = 0.0005
"""How long one of our threads may keep Python while another waits for it. The store's threads
have little to do between two waits for the disk, and need it after every statement; with
Python's own 5 ms a busy loop keeps a group waiting five times, and a commit that is done is
learnt that much later (benchmarks/bench_latency.py: a third to a half of the median; creates
were a tenth dearer)."""


class CannotServe(Exception):
    """The server cannot start; the message says why, in one line."""


Build = Callable[[Settings], Starlette]
"""How the application is made of its settings."""


def serve(settings: Settings, say: Callable[[str], None], build: Build = create_app) -> None:
    """Serve what `build` makes until a signal ends it. `say` prints one line, at once.

    The first line is `listening on <address>`, when requests are answered. Raises
    CannotServe, or SettingsError for a file that the settings name.
    """
    telemetry.configure(settings.log_level, settings.log_format)
    gc.set_threshold(*GARBAGE)
    sys.setswitchinterval(SWITCH_SECONDS)
    listener = bind(settings.host, settings.port)
    with listener, asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(build(settings), settings, listener, say))


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 is any free one. Raises CannotServe.

    It listens before anything else is done: who connects while the store recovers
    is answered after it, and not turned away.
    """
    try:
        family, kind, proto, _, address = _resolve(host, port)
        listener = socket.socket(family, kind, proto)
    except OSError as trouble:
        raise CannotServe(f"host {host}: {trouble.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as trouble:
        listener.close()
        raise CannotServe(_why_not(host, port, trouble)) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The base address of a listening socket, `http://[::1]:4747` say."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def greeting(address: str, settings: Settings) -> list[str]:
    """What is said once the server listens: where, and what to do next."""
    base = settings.public_url or address.replace("//0.0.0.0:", "//127.0.0.1:")
    base = base.replace("//[::]:", "//[::1]:").rstrip("/")
    token = '-H "Authorization: Bearer $SAFELIGHT_TOKEN" ' if settings.tokens else ""
    body = '{"kind": "image", "prompt": "a medieval monk"}'
    return [
        f"listening on {address}",
        f"Studio: {base}/",
        f"Try:    curl {token}{base}/api/tasks -d '{body}'",
    ]


async def _serve(
    app: Starlette, settings: Settings, listener: socket.socket, say: Callable[[str], None]
) -> None:
    def welcome() -> None:
        telemetry.log("server.listening", url=address_of(listener))
        for line in greeting(address_of(listener), settings):
            say(line)

    async def see_out(seconds: float) -> None:
        await app.state.context.guests.see_out(seconds, asyncio.sleep)

    files = make_room()
    config = Config(app, settings)
    telemetry.log("server.room", files=files, connections=config.most_connections)
    server = Server(config, welcome, see_out)
    _on_signals(lambda number: server.handle_exit(number, None))
    # Around uvicorn instead of inside it ("lifespan"): what fails at the start is raised
    # here, and when a part of the house fails later, the process ends with it.
    async with AsyncExitStack() as house:
        try:
            await house.enter_async_context(app.router.lifespan_context(app))
        except Exception as trouble:
            raise _why_not_open(settings, trouble) from None
        hurry = asyncio.Event()
        _on_signals(lambda number: _stop(server, app.state.context, number, hurry))
        gc.freeze()  # what is there by now stays, and need not be looked through again
        await server.serve(sockets=[listener])
        await _settle(app.state.context, settings.settle_seconds, hurry)
    telemetry.log("server.stopped")


def _on_signals(act: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act, number)


def _stop(server: Server, context: Context, number: int, hurry: asyncio.Event) -> None:
    """The first signal begins the end; a second SIGINT is the end."""
    if server.stop(number):
        context.drain()
    elif number == signal.SIGINT:
        hurry.set()


async def _settle(context: Context, seconds: float, hurry: asyncio.Event) -> None:
    """What is paid and can be heard by this process alone is heard out, for so long."""
    with anyio.move_on_after(seconds) as limit:
        async with anyio.create_task_group() as group:

            async def cut_short() -> None:
                await hurry.wait()
                limit.cancel()

            group.start_soon(cut_short)
            await context.orchestrator.see_out()
            group.cancel_scope.cancel()


def _why_not_open(settings: Settings, trouble: Exception) -> Exception:
    """CannotServe where the data directory or the object store is the reason, SettingsError
    where a file of models is; anything else as it is. The parts begin inside a task group,
    which wraps what ends it."""
    while isinstance(trouble, ExceptionGroup) and len(trouble.exceptions) == 1:
        trouble = trouble.exceptions[0]
    match trouble:
        case BadCatalog():
            return SettingsError(str(trouble))
        case DataDirectoryBusy() | DatabaseTooNew():
            return CannotServe(str(trouble))
        case StorageAway():
            return CannotServe(f"s3_url {settings.s3_url}: {trouble.strerror}")
        case OSError() | sqlite3.DatabaseError() | StoreTrouble():
            return CannotServe(f"data directory {settings.data_dir}: {trouble}")
    return trouble


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def _resolve(host: str, port: int) -> tuple[int, int, int, str, tuple[object, ...]]:
    name = host.strip("[]")
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0]


def _why_not(host: str, port: int, trouble: OSError) -> str:
    if isinstance(trouble, PermissionError):
        return f"port {port} of {host}: not allowed; choose one above 1023 with --port"
    if trouble.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another with --port, or stop who has it"
    return f"port {port} of {host}: {trouble.strerror}"
