"""The Studio's page and its static files, from a wheel or from the checkout.

Files are read at each request and revalidated by ETag, so that an edit shows at the
next reload; they are small and few. Owns the policy that lets the page load nothing
from elsewhere. Knows nothing of what the page does.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safelight_protocol.codes import Refused

from .files import etag_matches

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' ws: wss:;"
    " style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
"""What is served. A table of our own: the system's differs from machine to machine."""


def studio_root() -> Traversable:
    """The folder of the page: in the installed package, else in the checkout beside it."""
    package = files("safelight")
    packed = package / "studio"
    if packed.is_dir():
        return packed
    return Path(str(package)).parents[1] / "clients" / "browser"


def studio_routes(root: Traversable | None = None) -> list[Route]:
    """`/` and `/studio/{path}`, for GET and HEAD."""
    folder = studio_root() if root is None else root

    async def page(request: Request) -> Response:
        return await _serve(request, folder, "index.html")

    async def file(request: Request) -> Response:
        return await _serve(request, folder, request.path_params["path"])

    return [Route("/", page), Route("/studio/{path:path}", file)]


async def _serve(request: Request, root: Traversable, path: str) -> Response:
    media_type = MEDIA_TYPES.get("." + path.rpartition(".")[2])
    data = None if media_type is None else await anyio.to_thread.run_sync(_read, root, path)
    if data is None:
        raise Refused("not_found", f"There is nothing at {request.url.path}.")
    etag = '"' + hashlib.sha256(data).hexdigest()[:32] + '"'
    headers = {
        "etag": etag,
        "cache-control": "no-cache",
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=media_type)


def _read(root: Traversable, path: str) -> bytes | None:
    """A file below the root, None if there is none. No part may lead out of it."""
    parts = path.split("/")
    if any(not part or part.startswith(".") or "\\" in part for part in parts):
        return None
    found = root.joinpath(*parts)
    return found.read_bytes() if found.is_file() else None
