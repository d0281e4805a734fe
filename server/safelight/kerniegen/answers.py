"""Answers as the real one writes them: their JSON, their empty bodies, their 500s."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

JSON_TYPE = "application/json; charset=utf-8"
Cut = Callable[[], None]


def as_json(content: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(json.dumps(content), status, media_type=JSON_TYPE)


def empty(status: int = 200) -> Response:
    """An answer without a body or a type."""
    return Response(status_code=status)


def server_error() -> Response:
    """What the real one says when a handler of its raises."""
    text = "500 Internal Server Error\n\nServer got itself in trouble"
    return Response(text, 500, media_type="text/plain; charset=utf-8")


def not_found() -> Response:
    """What it says for a path it does not know."""
    return Response(status_code=404, media_type="application/octet-stream")


def cutter(send: object) -> Cut:
    """How the connection behind an ASGI `send` is ended without a word: no answer, no close
    frame. Does nothing where the server that runs us does not show its transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)

    def cut() -> None:
        if transport is not None:
            transport.abort()

    return cut


def flag(value: object) -> bool:
    """Whether a form's field says yes."""
    return value in ("true", "1", True)


def number_or_none(params: Mapping[str, str], name: str) -> int | None:
    """A whole number of a query. Raises ValueError for anything else."""
    given: Any = params.get(name)
    return None if given is None else int(given)
