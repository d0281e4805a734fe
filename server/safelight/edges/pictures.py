"""Bytes: artifacts and thumbnails by their capability, and the latest preview of a task."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused

from .context import context_of
from .files import Shown, artifact_response

EXPIRED = "The file was kept as long as this server keeps files; what it was is still told."


async def artifact(request: Request) -> Response:
    """GET /api/artifacts/{id}. The id is the right to see it: images carry no tokens."""
    return await _file(request, small=False)


async def thumbnail(request: Request) -> Response:
    """GET /api/artifacts/{id}/thumbnail: a small WebP of it, or itself where there is none."""
    return await _file(request, small=True)


async def preview(request: Request) -> Response:
    """GET /api/previews/{token}: the newest there is, whatever the step in the query."""
    shown = context_of(request).subscriptions.preview_by_token(request.path_params["token"])
    if shown is None:
        raise Refused("not_found", "No preview: the attempt is over or has shown none yet.")
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(shown.data, media_type=shown.header.media_type, headers=headers)


async def _file(request: Request, *, small: bool) -> Response:
    context = context_of(request)
    row = await context.gallery.artifact(request.path_params["id"])
    if row is None:
        raise Refused("not_found", "No such artifact, or it was deleted.")
    if row.expired_at is not None:
        raise Refused("gone", EXPIRED)
    shown = Shown(row.sha256, row.media_type, row.created_at)
    if small:
        if not row.media_type.startswith("image/"):
            raise Refused("not_found", "There is no thumbnail of this artifact.")
        made = await context.drawings.small(row)
        shown = Shown(made.sha256, made.media_type, row.created_at, made.settled)
    return await artifact_response(request, context.artifacts.storage, shown)
