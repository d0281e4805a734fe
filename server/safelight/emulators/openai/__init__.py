"""An emulator of OpenAI's API: pictures, the Responses API, chat completions, models.

Its words and shapes are those of the API reference and of what the official SDK reads; what
is its own invention is told in docs/emulators.md.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ..bench import Bench
from ..desk import application
from ..telling import Stamped, as_json
from .chat import Chat
from .desk import FAULTS, Desk
from .errors import body, no_model
from .images import Pictures
from .models import MODELS, listed
from .responses import Responses

__all__ = ["FAULTS", "app", "settings"]


def app(bench: Bench) -> ASGIApp:
    """The application of one bench."""
    desk = Desk(bench)
    pictures, chat, responses = Pictures(desk), Chat(desk), Responses(desk)

    async def models(request: Request) -> Response:
        desk.check(request)
        return as_json({"object": "list", "data": [listed(name) for name in MODELS]})

    async def model(request: Request) -> Response:
        desk.check(request)
        name = request.path_params["id"]
        if name not in MODELS:
            raise no_model(name)
        return as_json(listed(name))

    routes = [
        Route("/v1/images/generations", pictures.generate, methods=["POST"]),
        Route("/v1/images/edits", pictures.edit, methods=["POST"]),
        Route("/v1/chat/completions", chat.complete, methods=["POST"]),
        Route("/v1/responses", responses.create, methods=["POST"]),
        Route("/v1/responses/{id}", responses.retrieve, methods=["GET"]),
        Route("/v1/responses/{id}", responses.delete, methods=["DELETE"]),
        Route("/v1/responses/{id}/cancel", responses.cancel, methods=["POST"]),
        Route("/v1/models", models),
        Route("/v1/models/{id:path}", model),
    ]

    def stamp() -> dict[str, str]:
        return {"x-request-id": desk.id("req_")[:36], "openai-version": "2020-10-01"}

    return Stamped(application(routes, _unknown_url), stamp)


def settings(address: str, key: str) -> str:
    """What to put into safelight.toml."""
    return f'[providers.openai]\nurl = "{address}/v1"\nkey = "{key}"\napi = "responses"'


def _unknown_url(request: Request, status: int) -> Response:
    return as_json(body(f"Invalid URL ({request.method} {request.url.path})"), status)
