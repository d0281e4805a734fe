"""The application, and two short ways to the two routes that are asked most.

A create and a look at a task go straight to their endpoints, past the framework's router
and middleware; the endpoints, the refusals and the handlers of errors are those of every
other route. Where our own server asks (`short.py`), those with nothing wrong about them are
answered without a call of the application at all. Whatever is not exactly such a request
goes the ordinary way, which has the same routes: this decides how fast an answer comes,
never what it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..whole import Head
from . import tasks
from .problems import HANDLERS
from .short import Client, Say

Endpoint = Callable[[Request], Awaitable[Response]]

PATH = "/api/tasks"
ONE = PATH + "/"


class App(Starlette):
    """A Starlette application whose hottest routes are found by two comparisons."""

    short_starts = (b"POST /api/tasks HTTP/1.1\r\n", b"GET /api/tasks/")

    def shortly(self, head: Head, body: bytes, client: Client, say: Say) -> bool:
        """Whether it is a create or a look that needs no waiting but for its commit. What goes
        wrong before anything was begun goes wrong the ordinary way too, and is answered there."""
        context = getattr(self.state, "context", None)
        if context is None:
            return False
        asked = {"headers": head.headers, "query_string": b"", "client": client}
        try:
            if head.method == "POST":
                return head.path == PATH and tasks.create_soon(context, asked, body, say)
            id = _named(head.path) if head.method == "GET" else None
            answer = None if id is None else tasks.show_now(context, asked, id)
        except Exception:  # whatever it is, it comes again on the ordinary way
            return False
        if answer is not None:
            say(answer)
        return answer is not None

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
    id = _named(path) if method == "GET" else None
    if id is None:
        return None
    scope["path_params"] = {"id": id}
    return tasks.show


def _named(path: str) -> str | None:
    """The id of the one task that a path is about."""
    id = path[len(ONE) :] if path.startswith(ONE) else ""
    return id if id and "/" not in id else None
