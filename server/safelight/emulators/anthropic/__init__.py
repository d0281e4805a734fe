"""An emulator of Anthropic's API: messages, the count of tokens, models.

Its words and shapes are those of the API reference and of what the official SDK reads; what
is its own invention is told in docs/emulators.md.
"""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..bench import Bench
from ..desk import application
from ..telling import Stamped, as_json
from .desk import FAULTS, Desk
from .errors import answer, refused
from .messages import Messages
from .models import MODELS, listed

__all__ = ["FAULTS", "app", "settings"]


def app(bench: Bench) -> ASGIApp:
    """The application of one bench."""
    desk = Desk(bench)
    messages = Messages(desk)

    async def models(request: Request) -> Response:
        desk.check(request)
        names = list(MODELS)
        ends = {"first_id": names[0], "last_id": names[-1], "has_more": False}
        return as_json({"data": [listed(name) for name in names], **ends})

    async def model(request: Request) -> Response:
        desk.check(request)
        name = request.path_params["id"]
        if name not in MODELS:
            raise refused("not_found_error", f"model: {name}")
        return as_json(listed(name))

    def unknown(request: Request, status: int) -> Response:
        return answer("not_found_error", "Not Found", status)

    routes = [
        Route("/v1/messages", messages.create, methods=["POST"]),
        Route("/v1/messages/count_tokens", messages.count, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{id}", model),
    ]
    made = application(routes, unknown, lambda response: _numbered(response, desk))
    return Stamped(made, lambda: {"request-id": desk.id("req_")})


def settings(address: str, key: str) -> str:
    """What to put into safelight.toml."""
    return f'[providers.anthropic]\nurl = "{address}"\nkey = "{key}"'


def _numbered(response: Response, desk: Desk) -> Response:
    """With the id of the request, in the header and in the body of an error."""
    id = desk.id("req_")
    if response.headers.get("content-type") == "application/json":
        told = json.loads(bytes(response.body)) | {"request_id": id}
        made = as_json(told, response.status_code)
        if "retry-after" in response.headers:
            made.headers["retry-after"] = response.headers["retry-after"]
        response = made
    response.headers["request-id"] = id
    return response
