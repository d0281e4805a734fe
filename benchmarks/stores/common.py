"""What every peer of `bench_create.py` shares: the endpoint and the server around it.

A peer is a module that is run with a port and a folder of its own. It takes the same body,
decodes it the same way and answers 202 with the same JSON; only what it does in between with
the decoded task differs, and that is what is compared.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Wanted(msgspec.Struct):
    """The body of a create."""

    kind: str
    model: str
    prompt: str


Keep = Callable[[str, bytes, Wanted], Awaitable[object]]
"""Make the task last: its id, the body as it came, and what is in it."""

decode = msgspec.json.Decoder(Wanted).decode
encode = msgspec.json.Encoder().encode
_numbers = itertools.count()


def new_id() -> str:
    """Ordered by time, as a primary key likes it."""
    return f"{time.time_ns():016x}-{next(_numbers):08x}"


def accepted(id: str) -> bytes:
    """The body of a 202."""
    return encode({"success": True, "data": {"task_id": id, "status": "queued"}})


def application(keeping: Callable[[Path], AbstractAsyncContextManager[Keep]]) -> Starlette:
    """POST /api/tasks over a store that `keeping` opens in the peer's folder."""
    held: dict[str, Keep] = {}

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with keeping(folder()) as keep:
            held["keep"] = keep
            yield

    async def create(request: Request) -> Response:
        body = await request.body()
        wanted, id = decode(body), new_id()
        await held["keep"](id, body, wanted)
        return Response(accepted(id), 202, media_type="application/json")

    return Starlette(routes=[Route("/api/tasks", create, methods=["POST"])], lifespan=lifespan)


def folder() -> Path:
    """Where the peer may write."""
    return Path(sys.argv[2])


def serve(app: Any, lifespan: Any = "on") -> None:
    """As the product is served: uvloop, httptools, no access log, one process."""
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan=lifespan,
        log_level="warning",
        access_log=False,
    )
