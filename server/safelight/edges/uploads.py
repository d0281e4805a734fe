"""Files that come in by HTTP: POST the bytes alone, or a form with a field `file`.

Streamed through to the disk and never held whole. What they are is for their bytes to say,
not for the headers. The id in the answer is the right to see the file, as with artifacts;
only its owner may use it in a task, or delete it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused

from ..incoming import refuse_larger
from .bodies import answer, header, plain
from .context import context_of
from .files import Shown, artifact_response
from .multipart import MOST_HEADER_BYTES, boundary_of, field


async def create(request: Request) -> Response:
    """POST /api/uploads: 201 with the id to name it by. The same bytes, sent again, are
    the same upload."""
    context = context_of(request)
    owner = context.owner(request)
    most = context.uploads.max_bytes
    boundary = boundary_of(header(request, b"content-type") or "")
    announced = header(request, b"content-length") or ""
    most = most if boundary is None else most + MOST_HEADER_BYTES
    if announced.isdecimal():
        refuse_larger(int(announced[:18]), most)
    with anyio.CancelScope() as scope, context.guests.staying(scope.cancel):
        async with aclosing(_pieces(request, boundary, most)) as pieces:
            taken = await context.uploads.take(owner, pieces)
        return answer(plain(taken), "Upload kept", 201)
    raise Refused("shutting_down", "The server is going down; the upload did not come whole.")


async def show(request: Request) -> Response:
    """GET /api/uploads/{id}. The id is the right to see it."""
    context = context_of(request)
    row = await context.uploads.find(request.path_params["id"])
    if row is None:
        raise Refused("not_found", "No such upload, or it was deleted.")
    shown = Shown(row.sha256, row.media_type, row.created_at)
    return await artifact_response(request, context.artifacts.storage, shown)


async def delete(request: Request) -> Response:
    """DELETE /api/uploads/{id}: a task that has not begun with it will fail."""
    context = context_of(request)
    id = request.path_params["id"]
    await context.uploads.delete(context.owner(request), id)
    return answer({"id": id}, "Upload deleted")


async def _pieces(
    request: Request, boundary: bytes | None, most: int
) -> AsyncGenerator[bytes, None]:
    async with aclosing(_up_to(request, most)) as stream:
        async for piece in stream if boundary is None else field(stream, boundary, "file"):
            yield piece


async def _up_to(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body, to that many bytes: also of a form whose other parts do not end."""
    size = 0
    async with aclosing(request.stream()) as stream:
        async for piece in stream:
            size += len(piece)
            refuse_larger(size, most)
            yield piece
