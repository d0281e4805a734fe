"""The doors to the models: what can be asked for, and with which parameters.

Everything is answered from the registry, at once, but what a model takes whose provider can
be asked that; whether a backend has what it takes is told by its own door.
"""

from __future__ import annotations

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.events import Kind
from safelight_protocol.fields import invalid, one_of
from safelight_protocol.identity import shown

from .bodies import answer, plain
from .context import context_of

KINDS: tuple[Kind, ...] = get_args(Kind)


async def index(request: Request) -> Response:
    """GET /api/models?kind=: in the order in which they would be this owner's defaults."""
    context = context_of(request)
    preferred = context.preferences.backend(context.owner(request))
    found = context.registry.models(_kind(request), preferred)
    return answer({"models": [plain(model) for model in found]}, f"{len(found)} models")


async def schema(request: Request) -> Response:
    """GET /api/models/{name}/schema: the parameters as a document of JSON Schema."""
    context = context_of(request)
    context.owner(request)
    found = await context.checks.document(context.registry, request.path_params["name"])
    return answer(found, f"The parameters of {found['x-model']}")


def _kind(request: Request) -> Kind | None:
    asked = request.query_params.get("kind")
    kind = next((kind for kind in KINDS if kind == asked), None)
    if asked is not None and kind is None:
        expected = one_of(asked, KINDS)
        raise invalid([{"field": "kind", "found": shown(asked), "expected": expected}])
    return kind
