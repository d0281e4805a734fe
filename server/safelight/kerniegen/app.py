"""The application of one KernieGen: every route twice, bare and under /api.

`/api/jobs` exists in the newer release alone and under /api alone; paths that nobody knows
are answered as the real one's folder of static files answers them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from .answers import not_found
from .downloads import Downloads
from .facts import Facts
from .gate import Gate
from .jobs import Jobs
from .prompts import Handler, Prompts, raising
from .sockets import socket
from .studio import Studio

Row = tuple[str, str, Handler]


def create_app(studio: Studio) -> ASGIApp:
    """The application; its lifespan runs the worker and the publisher."""

    async def unknown(request: Request, trouble: Exception) -> Response:
        return not_found()

    routes: list[BaseRoute] = []
    for method, path, handler in _rows(studio):
        for prefix in ("", "/api"):
            routes.append(Route(prefix + path, raising(handler), methods=[method]))
    for method, path, handler in _own_rows(studio):
        routes.append(Route(path, raising(handler), methods=[method]))

    async def connect(websocket: WebSocket) -> None:
        await socket(websocket, studio)

    routes += [WebSocketRoute(path, connect) for path in ("/ws", "/api/ws")]
    handlers = {404: unknown, 405: unknown}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=_lifespan(studio))
    app.router.redirect_slashes = False
    return Gate(app, studio)


def _rows(studio: Studio) -> list[Row]:
    prompts, files, facts = Prompts(studio), Downloads(studio), Facts(studio)
    return [
        ("GET", "/prompt", prompts.count),
        ("POST", "/prompt", prompts.submit),
        ("GET", "/queue", prompts.queue),
        ("POST", "/queue", prompts.change_queue),
        ("GET", "/history", prompts.history),
        ("POST", "/history", prompts.change_history),
        ("GET", "/history/{prompt_id}", prompts.past),
        ("POST", "/interrupt", prompts.interrupt),
        ("POST", "/free", prompts.free),
        ("GET", "/view", files.view),
        ("POST", "/upload/image", files.upload),
        ("POST", "/upload/mask", files.upload),
        ("GET", "/features", facts.features),
        ("GET", "/object_info", facts.object_info),
        ("GET", "/object_info/{name}", facts.object_info_of),
        ("GET", "/models", facts.folders),
        ("GET", "/models/{folder}", facts.models),
        ("GET", "/embeddings", facts.embeddings),
        ("GET", "/view_metadata/{folder}", facts.metadata),
        ("GET", "/system_stats", facts.system_stats),
        ("GET", "/internal/logs/raw", facts.logs),
        ("GET", "/experiment/models", facts.model_folders),
    ]


def _own_rows(studio: Studio) -> list[Row]:
    facts, jobs = Facts(studio), Jobs(studio)
    rows: list[Row] = [
        ("GET", "/", facts.page),
        ("GET", "/kerniegen/runs", facts.runs),
        ("GET", "/kerniegen/requests", facts.requests),
        *((method, "/kerniegen/faults", facts.faults) for method in ("GET", "POST", "DELETE")),
    ]
    if studio.options.modern:
        rows += [
            ("GET", "/api/jobs", jobs.many),
            ("POST", "/api/jobs/cancel", jobs.cancel_many),
            ("GET", "/api/jobs/{job_id}", jobs.one),
            ("POST", "/api/jobs/{job_id}/cancel", jobs.cancel),
        ]
    return rows


def _lifespan(studio: Studio):  # type: ignore[no-untyped-def]
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        studio.hub.attach()
        studio.worker.start()
        publisher = asyncio.create_task(studio.hub.publish())
        try:
            yield
        finally:
            publisher.cancel()
            with suppress(asyncio.CancelledError):
                await publisher
            await asyncio.to_thread(studio.worker.stop)

    return lifespan
