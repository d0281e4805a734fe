"""Runs a KernieGen until a signal ends it, or a fault does.

SIGTERM and SIGINT end it as they end the real one: sockets are cut off without a close
frame, nothing is waited for. A restart on request replaces the process by itself, on the
same port, with nothing remembered but its files.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType

import msgspec
import uvicorn

from .app import create_app
from .execution import Ends
from .faults import read_fault
from .options import Options
from .studio import Studio

RESTARTED = "KERNIEGEN_RESTARTED"
"""Set in a process that a fault has started again: it takes no such fault from its command
line a second time."""


class CannotServe(Exception):
    """The server cannot start; the message says why, in one line."""


def serve(options: Options, say: Callable[[str], None]) -> None:
    """Serve until it is ended. The first line said is `listening on <address>`, when
    requests are answered. Raises CannotServe and BadFault."""
    listener = _bind(options.host, options.port)
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    studio = Studio(_once(options), Ends(lambda: _restart(port), lambda: os._exit(9)))

    def welcome() -> None:
        for line in greeting(address):
            say(line)

    config = uvicorn.Config(
        create_app(studio),
        lifespan="on",
        ws="websockets-sansio",
        ws_ping_interval=None,
        ws_ping_timeout=None,
        log_config=None,
        access_log=False,
        server_header=False,
    )
    with listener:
        Server(config, studio, welcome).run([listener])


def greeting(address: str) -> list[str]:
    """Where it listens, and how Safelight is told of it."""
    return [
        f"listening on {address}",
        "In safelight.toml:",
        "    [backends.kerniegen]",
        f'    url = "{address}"',
    ]


class Server(uvicorn.Server):
    """uvicorn's, which tells when it listens and cuts everybody off at a signal."""

    def __init__(self, config: uvicorn.Config, studio: Studio, welcome: Callable[[], None]) -> None:
        super().__init__(config)
        self._studio = studio
        self._welcome = welcome

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        if self.started:
            self._welcome()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        # The lifespan is cut off like everything else; that is no news.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self.should_exit = self.force_exit = True


def _once(options: Options) -> Options:
    """The options without the faults that brought this process about."""
    if not os.environ.get(RESTARTED):
        return options
    kept = tuple(each for each in options.faults if read_fault(each).name != "restart")
    return msgspec.structs.replace(options, faults=kept)


def _restart(port: int) -> None:
    """Become a new process; open sockets end without a word, as when the old one dies."""
    os.environ[RESTARTED] = "1"
    sys.stdout.flush()
    os.execv(sys.executable, [*sys.orig_argv, "--port", str(port)])


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OverflowError:
        listener.close()
        raise CannotServe(f"port: found {port}, expected one from 0 to 65535") from None
    except OSError as trouble:
        listener.close()
        raise CannotServe(f"{host}:{port}: {trouble.strerror}") from None
    return listener
