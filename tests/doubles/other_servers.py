"""Our application on ASGI servers of others, each as a process that a test may end.

    python -m tests.doubles.other_servers NAME --port P --data-dir D

`granian` is written in Rust, `uvicorn` is the stock one with its own WebSockets. Neither
knows our line, so whoever is on a socket is told by ordinary sends. The application is
the real one and takes its settings from the environment, as always; its provider plays
scripts, and what a test asks of it goes by requests under /test/, past the application.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import uvicorn
from granian import Granian
from granian.constants import Interfaces
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.app import create_app
from safelight.edges.line import LINE
from safelight.providers.scripted import Scripted
from safelight.settings import load
from tests.doubles.process import GREETING, START_SECONDS, ServerFailed, ServerProcess, started
from tests.doubles.served import Served

ROOT = Path(__file__).parents[2]
SERVERS = ("granian", "uvicorn")
WORKER = "worker "

GRACE_SECONDS = 1
"""How long they wait for whoever is connected when they are stopped: a stream of events
has no other end there, since nothing tells the application before."""


class Tended:
    """The application, and what a test may ask beside it. `handed` counts the bytes of
    frames that the server took from the application for each socket, by their order."""

    def __init__(self, app: ASGIApp, scripted: Scripted, url: str) -> None:
        self._app = app
        self._scripted = scripted
        self._url = url
        self._handed: list[int] = []
        self._lines = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call of the server."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, self._greeting(send))
        if scope["type"] == "websocket":
            self._lines += LINE in scope.get("extensions", {})
            return await self._app(scope, receive, self._counting(send))
        if not scope["path"].startswith("/test/"):
            return await self._app(scope, receive, send)
        name = scope["path"].rpartition("/")[2]
        if name != "told":
            self._scripted.gate(name).set()
        told = {"handed": self._handed, "lines": self._lines}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    def _greeting(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                print(f"{WORKER}{os.getpid()}", f"{GREETING}{self._url}", sep="\n", flush=True)

        return told

    def _counting(self, send: Send) -> Send:
        place = len(self._handed)
        self._handed.append(0)

        async def told(message: Message) -> None:
            await send(message)
            data = message.get("text") or message.get("bytes") or ""
            self._handed[place] += len(data)

        return told


class OtherServer(ServerProcess):
    """The process; `name` is one of SERVERS."""

    def __init__(self, name: str, data_dir: Path, **settings: object) -> None:
        self.name = name
        super().__init__(data_dir, **settings)

    def start(self) -> None:
        """Also wait until it takes connections. Of granian that has to be asked again and again:
        its workers listen after their application has started and after their last line in
        the log, each on a socket of its own, and tell nobody."""
        super().start()
        deadline = time.monotonic() + START_SECONDS
        while not _listens(self.url):
            if time.monotonic() > deadline:
                raise ServerFailed(f"it never listened; it wrote:\n{self.stderr()}")
            time.sleep(0.005)

    def command(self) -> list[str]:
        """This module."""
        return ["-m", "tests.doubles.other_servers", self.name]

    def environment(self) -> dict[str, str]:
        """Where `tests` is found."""
        inherited = super().environment()
        paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
        return inherited | {"PYTHONPATH": os.pathsep.join(paths)}

    def _end(self, by: signal.Signals) -> int:
        """A worker that is not told has to be killed by name, before its parent."""
        if by is signal.SIGKILL:
            for line in self.said:
                if line.startswith(WORKER):
                    with suppress(ProcessLookupError):
                        os.kill(int(line.removeprefix(WORKER)), signal.SIGKILL)
        return super()._end(by)


class Elsewhere(Served):
    """The way to such a process: what `Served` does by the doors, and the tests' requests."""

    def __init__(self, url: str) -> None:
        super().__init__(int(url.rpartition(":")[2]), Scripted(), None)

    async def open_gate(self, name: str) -> None:
        """What waits for the gate of that name goes on."""
        await self.post(f"/test/{name}")

    async def told(self) -> dict[str, Any]:
        """How many bytes were handed over for each socket, and how many lines were offered."""
        return (await self.http.get("/test/told")).json()


@contextmanager
def other_server(name: str, data_dir: Path, **settings: object) -> Iterator[OtherServer]:
    """A server that listens; ended at exit, with its errors printed if the test failed."""
    with started(OtherServer(name, data_dir, **settings)) as server:
        yield server


@asynccontextmanager
async def elsewhere(server: OtherServer) -> AsyncIterator[Elsewhere]:
    """The way to it, closed at exit."""
    house = Elsewhere(server.url)
    try:
        yield house
    finally:
        await house.http.aclose()


def _listens(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), START_SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def build() -> Tended:
    """The application of this process, as its environment says."""
    settings = load(None, os.environ, {}).settings
    scripted = Scripted()
    app = create_app(settings, {"scripted": scripted})
    return Tended(app, scripted, f"http://127.0.0.1:{settings.port}")


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--port", type=int)
    parser.add_argument("--data-dir")
    given = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", given.port))
    port = listening.getsockname()[1]
    os.environ |= {"SAFELIGHT_PORT": str(port), "SAFELIGHT_DATA_DIR": given.data_dir}
    if given.name == "granian":
        listening.close()  # it listens by itself; so the port is free for a moment
        _granian(port)
    else:
        _uvicorn(listening)


def _granian(port: int) -> None:
    Granian(
        "tests.doubles.other_servers:build",
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers_kill_timeout=GRACE_SECONDS,
    ).serve()


def _uvicorn(listening: socket.socket) -> None:
    config = uvicorn.Config(
        build(), ws="websockets-sansio", log_config=None, timeout_graceful_shutdown=GRACE_SECONDS
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
