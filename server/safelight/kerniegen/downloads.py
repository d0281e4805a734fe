"""Routes about files: download with ranges, previews and channels; upload.

Multipart bodies are split here and their heads read by the standard library's parser of
mail: enough for forms of a few parts, and one dependency less.
"""

from __future__ import annotations

import io
import mimetypes
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from .answers import as_json, empty, flag
from .files import ANNOTATED, FOLDERS, Outside
from .studio import MAX_UPLOAD, Studio

UNSAFE = ("text/html", "text/html-sandboxed", "application/xhtml+xml", "text/javascript")
"""Types that a browser would run: handed out as bytes."""


class Downloads:
    """The handlers; one per route."""

    def __init__(self, studio: Studio) -> None:
        self._place = studio.place

    async def view(self, request: Request) -> Response:
        """GET /view."""
        asked = request.query_params
        if "filename" not in asked:
            return empty(404)
        name, folder = asked["filename"], asked.get("type", "output")
        if match := ANNOTATED.match(name):
            name, folder = match["name"], match["folder"]
        if name.startswith("/") or ".." in name or folder not in FOLDERS:
            return empty(400)
        try:
            path = self._place.inside(folder, asked.get("subfolder", ""), Path(name).name)
        except Outside:
            return empty(403)
        if not path.is_file():
            return empty(404)
        disposition = {"Content-Disposition": f'filename="{path.name}"'}
        if "preview" in asked or "channel" in asked:
            shown, media_type = await run_in_threadpool(_rendered, path, dict(asked))
            return Response(shown, media_type=media_type, headers=disposition)
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if media_type in UNSAFE:
            media_type = "application/octet-stream"
        return FileResponse(path, media_type=media_type, headers=disposition)

    async def upload(self, request: Request) -> Response:
        """POST /upload/image and /upload/mask."""
        body = bytearray()
        size = 0
        async for part in request.stream():
            size += len(part)
            if size <= MAX_UPLOAD:
                body += part
        if size > MAX_UPLOAD:
            return too_large()
        fields = read_form(request.headers.get("content-type", ""), bytes(body))
        name, content = fields.get("image", ("", b""))
        folder = _text(fields, "type") or "input"
        if not name or folder not in FOLDERS:
            return empty(400)
        subfolder = _text(fields, "subfolder")
        overwrite = flag(_text(fields, "overwrite"))
        try:
            kept = await run_in_threadpool(
                self._place.upload, folder, subfolder, name, content, overwrite
            )
        except Outside:
            return empty(400)
        return as_json(kept)


def too_large() -> Response:
    """A body over the limit."""
    text = f"Maximum request body size {MAX_UPLOAD} exceeded."
    return Response(text, 413, media_type="text/plain; charset=utf-8")


def read_form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """The fields of a multipart form (RFC 7578): name to file name and content."""
    kind = Message()
    kind["Content-Type"] = content_type
    boundary = kind.get_boundary()
    fields: dict[str, tuple[str, bytes]] = {}
    if not boundary:
        return fields
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        about = message_from_bytes(head.lstrip(b"\r\n"))
        name = about.get_param("name", header="content-disposition")
        if isinstance(name, str):
            fields[name] = (about.get_filename() or "", content)
    return fields


def _text(fields: dict[str, tuple[str, bytes]], name: str) -> str:
    return fields.get(name, ("", b""))[1].decode(errors="replace")


def _rendered(path: Path, asked: dict[str, str]) -> tuple[bytes, str]:
    """A picture in another format, or one of its channels."""
    with Image.open(path) as opened:
        opened.load()
        image: Image.Image = opened.copy()
    out = io.BytesIO()
    if "preview" in asked:
        form, _, quality = asked["preview"].partition(";")
        form = form if form in ("webp", "jpeg") else "webp"
        if form == "jpeg" or asked.get("channel") == "rgb":
            image = image.convert("RGB")
        image.save(out, form.upper(), quality=int(quality) if quality.isdecimal() else 90)
        return out.getvalue(), f"image/{form}"
    if asked["channel"] == "a":
        alpha = image.convert("RGBA").getchannel("A")
        image = Image.new("RGBA", image.size)
        image.putalpha(alpha)
    elif asked["channel"] == "rgb":
        image = image.convert("RGB")
    image.save(out, "PNG")
    return out.getvalue(), "image/png"
