"""A real Cog with its front, side by side: the front in a thread with a loop of its own.

with rig(tmp_path) as made:
    made.front.url ...; made.cog.terminate()
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from tests.cog.front import Front
from tests.cog.process import Cog, cog

JOIN_SECONDS = 20.0


@dataclass
class Rig:
    """Both of them, running."""

    front: Front
    cog: Cog


@contextmanager
def rig(folder: Path, throttle: float = 0.5) -> Iterator[Rig]:
    """Both, ready; both ended at exit."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with cog(folder / "cog", upload_url=f"{address}/upload/", throttle=throttle) as server:
            front = Front(server.url)
            front.url = address
            with _threaded(front, listener):
                yield Rig(front, server)


@contextmanager
def _threaded(front: Front, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        front.app(),
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    work = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    work.start()
    try:
        yield
    finally:
        server.should_exit = True
        work.join(JOIN_SECONDS)
