"""Every address there is, and who answers at it; and how the process itself is.

A path without a method here answers 405, one that is not here 404. What the answers mean is
written in docs/wire.md and docs/schema/openapi.json.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from safelight_protocol.codes import Refused

from .. import __version__
from . import backends as backend_doors
from . import (
    batch,
    deliveries,
    follow,
    llm,
    models,
    money,
    pictures,
    tasks,
    uploads,
    views,
    webhooks,
)
from . import providers as provider_doors
from .bodies import answer
from .context import context_of
from .longpoll import longpoll
from .socket import socket
from .studio import studio_routes


async def healthz(request: Request) -> Response:
    """GET /healthz: the process answers; with what it counts."""
    context = context_of(request)
    return answer({"version": __version__, "statistics": context.statistics()}, "alive")


async def readyz(request: Request) -> Response:
    """GET /readyz: recovered, able to read its database, and not going down."""
    context = context_of(request)
    if context.draining():
        raise Refused("shutting_down", "The server is going down.")
    await context.gallery.check()
    return answer({"version": __version__}, "ready")


ROUTES = [
    Route("/api/tasks", tasks.create, methods=["POST"]),
    Route("/api/tasks", tasks.index, methods=["GET"]),
    Route("/api/tasks:batch", batch.create, methods=["POST"]),
    Route("/api/tasks/{id}", tasks.show, methods=["GET"]),
    Route("/api/tasks/{id}", tasks.delete, methods=["DELETE"]),
    Route("/api/tasks/{id}/events", follow.events, methods=["GET"]),
    Route("/api/tasks/{id}/cancel", tasks.cancel, methods=["POST"]),
    Route("/api/quotes", money.quote, methods=["POST"]),
    Route("/api/usage", money.usage, methods=["GET"]),
    Route("/api/models", models.index, methods=["GET"]),
    Route("/api/models/{name:path}/schema", models.schema, methods=["GET"]),
    Route("/api/backends", backend_doors.index, methods=["GET"]),
    Route("/api/backends/{name}", backend_doors.show, methods=["GET"]),
    Route("/api/providers", provider_doors.index, methods=["GET"]),
    Route("/api/preferences", backend_doors.preferences, methods=["GET"]),
    Route("/api/preferences", backend_doors.choose, methods=["PATCH"]),
    Route("/api/llm/generate", llm.generate, methods=["POST"]),
    Route("/api/llm/models", llm.models, methods=["GET"]),
    Route("/api/artifacts/{id}", pictures.artifact, methods=["GET"]),
    Route("/api/artifacts/{id}/thumbnail", pictures.thumbnail, methods=["GET"]),
    Route("/api/uploads", uploads.create, methods=["POST"]),
    Route("/api/uploads/{id}", uploads.show, methods=["GET"]),
    Route("/api/uploads/{id}", uploads.delete, methods=["DELETE"]),
    Route("/api/deliveries", deliveries.index, methods=["GET"]),
    Route("/api/deliveries/{id}", deliveries.delete, methods=["DELETE"]),
    Route("/api/deliveries/{id}/retry", deliveries.retry, methods=["POST"]),
    Route("/api/webhook-secret", deliveries.secret, methods=["GET"]),
    Route("/api/webhook-secret", deliveries.change_secret, methods=["POST"]),
    *views.routes("image"),
    *views.routes("video"),
    Route("/api/webhooks/{provider}", webhooks.take, methods=["POST"]),
    Route("/api/previews/{token}", pictures.preview, methods=["GET"]),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    WebSocketRoute("/socket/websocket", socket),
    Route("/socket/longpoll", longpoll, methods=["GET", "POST", "OPTIONS"]),
    *studio_routes(),
]
