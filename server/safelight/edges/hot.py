"""The application, and a short way to the two routes that are asked most.

A create and a look at a task go straight to their endpoints, past the framework's router
and middleware; the endpoints, the refusals and the handlers of errors are those of every
other route. Whatever is not exactly such a request goes the ordinary way, which has the
same routes: this decides how fast an answer comes, never what it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import tasks
from .problems import HANDLERS

Endpoint = Callable[[Request], Awaitable[Response]]

PATH = "/api/tasks"
ONE = PATH + "/"


class App(Starlette):
    """A Starlette application whose hottest routes are found by two comparisons."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one socket, or the lifespan."""
        endpoint = _endpoint(scope)
        if endpoint is None:
            return await super().__call__(scope, receive, send)
        scope["app"] = self
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except Exception as trouble:
            handled = next(kind for kind in type(trouble).__mro__ if kind in HANDLERS)
            response = await HANDLERS[handled](request, trouble)
            await response(scope, receive, send)
            if handled is Exception:
                raise  # as the framework does, so that whoever runs us sees it too
        else:
            await response(scope, receive, send)


def _endpoint(scope: Scope) -> Endpoint | None:
    if scope["type"] != "http" or scope.get("root_path"):
        return None
    path, method = scope["path"], scope["method"]
    if method == "POST" and path == PATH:
        return tasks.create
    if method == "GET" and path.startswith(ONE):
        id = path[len(ONE) :]
        if id and "/" not in id:
            scope["path_params"] = {"id": id}
            return tasks.show
    return None
