"""Bytes: artifacts by their capability, and the latest preview of a running task."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused

from .context import context_of
from .files import artifact_response


async def artifact(request: Request) -> Response:
    """GET /api/artifacts/{id}. The id is the right to see it: images carry no tokens."""
    context = context_of(request)
    row = await context.gallery.artifact(request.path_params["id"])
    if row is None:
        raise Refused("not_found", "No such artifact, or it was deleted.")
    path = context.artifacts.path(row.sha256, row.media_type)
    return await artifact_response(request, path, row.media_type, row.sha256)


async def preview(request: Request) -> Response:
    """GET /api/previews/{token}: the newest there is, whatever the step in the query."""
    shown = context_of(request).subscriptions.preview_by_token(request.path_params["token"])
    if shown is None:
        raise Refused("not_found", "No preview: the attempt is over or has shown none yet.")
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Response(shown.data, media_type=shown.header.media_type, headers=headers)
