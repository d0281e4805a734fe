"""Starlette endpoints without any store: the reference. Nothing survives.

POST decodes and answers; GET answers one constant, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.stores.common import Keep, Wanted, accepted, application, serve

CONSTANT = accepted("0" * 25)


@asynccontextmanager
async def keeping(_folder: Path) -> AsyncIterator[Keep]:
    """Keep nothing."""

    async def keep(_id: str, _body: bytes, _wanted: Wanted) -> None:
        return None

    yield keep


async def show(request: Request) -> Response:
    """The constant; the id is read from the path, as a real one would."""
    assert request.path_params["id"]
    return Response(CONSTANT, media_type="application/json")


if __name__ == "__main__":
    app = application(keeping)
    app.routes.append(Route("/api/tasks/{id}", show))
    serve(app)
