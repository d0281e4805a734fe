"""How the Python peers with sockets are served: as the product is, on uvicorn's own classes."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn


def serve(app: Any) -> None:
    """On the port that is the first argument, until a signal."""
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        log_level="critical",
        backlog=2048,
        timeout_graceful_shutdown=1,
    )
