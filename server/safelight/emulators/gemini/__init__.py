"""An emulator of Google's Gemini API: content of text and picture models, and their list.

Both versions of the API, v1 and v1beta, answer alike. Its words and shapes are those of the
API reference and of what the official SDK reads; what is its own invention is told in
docs/emulators.md.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from ..bench import Bench
from ..desk import application
from ..telling import as_json
from .contents import Contents
from .desk import FAULTS, Desk
from .errors import refused
from .models import MODELS, listed

__all__ = ["FAULTS", "app", "settings"]

PAGE = 50


def app(bench: Bench) -> ASGIApp:
    """The application of one bench."""
    desk = Desk(bench)
    contents = Contents(desk)

    async def models(request: Request) -> Response:
        desk.check(request)
        names = list(MODELS)
        size, start = (request.query_params.get(name, "") for name in ("pageSize", "pageToken"))
        first = int(start) if start.isdecimal() else 0
        end = first + (int(size) if size.isdecimal() and int(size) else PAGE)
        more = {"nextPageToken": str(end)} if end < len(names) else {}
        return as_json({"models": [listed(name) for name in names[first:end]]} | more)

    async def model(request: Request) -> Response:
        desk.check(request)
        name = request.path_params["name"]
        if name not in MODELS:
            raise refused(404, f"models/{name} is not found.")
        return as_json(listed(name))

    routes: list[BaseRoute] = []
    for version in ("/v1beta", "/v1"):
        routes += [
            Route(f"{version}/models", models),
            Route(f"{version}/models/{{name}}", model),
            Route(f"{version}/models/{{call}}", contents.call, methods=["POST"]),
        ]
    return application(routes, _unknown)


def settings(address: str, key: str) -> str:
    """What to put into safelight.toml."""
    return f'[providers.gemini]\nurl = "{address}"\nkey = "{key}"'


def _unknown(request: Request, status: int) -> Response:
    """A path that nobody knows is a page of Google's, not JSON."""
    text = f"<!DOCTYPE html><title>Error {status} (Not Found)!!1</title>"
    return Response(text, status, media_type="text/html; charset=UTF-8")
