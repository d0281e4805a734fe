"""Runs an emulator until a signal ends it.

A signal ends it as a power cut does: connections are cut off and nothing is waited for,
since what a provider's customers must survive is just that.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec
import uvicorn

from . import emulator
from .bench import KEY, Bench
from .faults import Faults
from .gate import Gate
from .runs import RunLog


class CannotServe(Exception):
    """The server cannot start; the message says why, in one line."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How an emulator is started. `chaos` is the share of occasions on which something goes
    wrong by chance, `seed` decides them."""

    name: str
    port: int
    log: Path | None = None
    key: str = KEY
    pace: float = 0.1
    chaos: float = 0.0
    seed: int = 0
    faults: tuple[str, ...] = ()


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Serve until it is ended. The first line said is `listening on <address>`, when requests
    are answered; what to put into safelight.toml follows. Raises CannotServe, BadFault."""
    made = emulator(options.name)
    faults = Faults(made.FAULTS, options.chaos, options.seed)
    faults.arm(options.faults)
    try:
        log = RunLog(options.log)
    except OSError as trouble:
        raise CannotServe(f"{options.log}: {trouble.strerror}") from None
    bench = Bench(log=log, faults=faults, key=options.key, pace=options.pace)
    listener = _bind(options.port)
    bench.address = "http://{}:{}".format(*listener.getsockname()[:2])

    def welcome() -> None:
        for line in greeting(bench.address, made.settings(bench.address, options.key)):
            say(line)

    config = uvicorn.Config(
        Gate(made.app(bench), bench),
        lifespan="on",
        ws="websockets-sansio",
        ws_ping_interval=None,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    with listener:
        _Server(config, welcome).run([listener])
    log.close()


def greeting(address: str, settings: str) -> list[str]:
    """Where it listens, and how Safelight is told of it."""
    lines = [f"    {line}" for line in settings.strip().splitlines()]
    return [f"listening on {address}", "In safelight.toml:", *lines]


class _Server(uvicorn.Server):
    """uvicorn's, which tells when it listens and cuts everybody off at a signal."""

    def __init__(self, config: uvicorn.Config, welcome: Callable[[], None]) -> None:
        super().__init__(config)
        self._welcome = welcome

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._welcome()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self.should_exit = self.force_exit = True


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OverflowError:
        listener.close()
        raise CannotServe(f"port: found {port}, expected one from 0 to 65535") from None
    except OSError as trouble:
        listener.close()
        raise CannotServe(f"127.0.0.1:{port}: {trouble.strerror}") from None
    return listener
