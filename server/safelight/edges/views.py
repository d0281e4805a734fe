"""Images and videos under addresses of their own: lists, one of them, models, and a create.

Views over the same code as the tasks: nothing here makes or decides anything that
`/api/tasks` and `/api/models` would not. Each door is made once for a kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_key_header, read_native
from safelight_protocol.events import Kind
from safelight_protocol.fields import invalid
from safelight_protocol.identity import shown

from .bodies import answer, header, parse_json, plain, query_number, read_body
from .context import context_of
from .tasks import answered

Door = Callable[[Request], Awaitable[Response]]


def index(kind: Kind) -> Door:
    """GET /api/images and /api/videos: this owner's files, newest first, in pages."""

    async def door(request: Request) -> Response:
        context = context_of(request)
        owner = context.owner(request)
        limit = query_number(request, "limit", 50, low=1, high=200) or 50
        page = await context.shelf.page(owner, kind, request.query_params.get("before"), limit)
        told = {f"{kind}s": [plain(one) for one in page.files], "next": page.next}
        return answer(told, f"{len(page.files)} {kind}s")

    return door


def show(kind: Kind) -> Door:
    """GET /api/images/{id} and /api/videos/{id}: what one file is and was made of."""

    async def door(request: Request) -> Response:
        context = context_of(request)
        owner = context.owner(request)
        found = await context.shelf.file(owner, kind, request.path_params["id"])
        return answer(plain(found), f"One {kind}")

    return door


def models(kind: Kind) -> Door:
    """GET /api/image-models and /api/video-models: as /api/models with this kind."""

    async def door(request: Request) -> Response:
        context = context_of(request)
        preferred = context.preferences.backend(context.owner(request))
        found = context.registry.models(kind, preferred)
        return answer({"models": [plain(model) for model in found]}, f"{len(found)} models")

    return door


def schema(kind: Kind) -> Door:
    """GET /api/image-models/{owner}/{name}/schema, and that of videos."""

    async def door(request: Request) -> Response:
        context = context_of(request)
        context.owner(request)
        found = await context.checks.document(context.registry, request.path_params["name"])
        if found["x-model"] not in {model.name for model in context.registry.models(kind)}:
            raise Refused("not_found", f"{found['x-model']} makes no {kind}s.")
        return answer(found, f"The parameters of {found['x-model']}")

    return door


def run(kind: Kind) -> Door:
    """POST /api/run-image-model and /api/run-video-model: a create whose kind is known."""

    async def door(request: Request) -> Response:
        context = context_of(request)
        owner = context.owner(request)
        body = parse_json(await read_body(request, context))
        if isinstance(body, dict):
            found = body.setdefault("kind", kind)
            if found != kind:
                wrong = {"field": "kind", "found": shown(found), "expected": f"{kind}, or nothing"}
                raise invalid([dict(wrong)])
        command = read_native(body, key=read_key_header(header(request, b"idempotency-key")))
        return await answered(request, context, await context.orchestrator.create(owner, command))

    return door


def routes(kind: Kind) -> list[Route]:
    """All of one kind."""
    return [
        Route(f"/api/{kind}s", index(kind), methods=["GET"]),
        Route(f"/api/{kind}s/{{id}}", show(kind), methods=["GET"]),
        Route(f"/api/{kind}-models", models(kind), methods=["GET"]),
        Route(f"/api/{kind}-models/{{name:path}}/schema", schema(kind), methods=["GET"]),
        Route(f"/api/run-{kind}-model", run(kind), methods=["POST"]),
    ]
