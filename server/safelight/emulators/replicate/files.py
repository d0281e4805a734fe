"""Files: those that were uploaded to be used as inputs, and those that predictions made.

What a prediction made needs no key, only its address, which nobody can guess.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from email.message import Message
from email.parser import BytesParser

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..bench import Bench
from .answers import invalid, not_found
from .store import Store, Upload, new_id


class Files:
    """Uploads, and what predictions made."""

    def __init__(self, bench: Bench, store: Store) -> None:
        self._bench = bench
        self._store = store

    async def create(self, request: Request) -> Response:
        """POST /files, a form."""
        parts = _form(request.headers.get("content-type", ""), await request.body())
        content = parts.get("content")
        if content is None:
            wrong = {"type": "required", "field": "(root)", "description": "content is required"}
            raise invalid([wrong])
        data = content.get_payload(decode=True)
        named = _text(parts.get("filename")) or content.get_filename() or "file"
        try:
            metadata = json.loads(_text(parts.get("metadata")) or "{}")
        except ValueError:
            metadata = {}
        upload = Upload(
            id=new_id(),
            name=named,
            content=data if isinstance(data, bytes) else b"",
            content_type=_text(parts.get("type")) or content.get_content_type(),
            metadata=metadata,
            created=self._bench.now(),
        )
        self._store.uploads[upload.id] = upload
        return JSONResponse(upload.told(self._bench.address), 201)

    async def many(self, request: Request) -> Response:
        """GET /files."""
        now = self._bench.now()
        kept = [u for u in self._store.uploads.values() if self._store.upload(u.id, now)]
        told = [upload.told(self._bench.address) for upload in reversed(kept)]
        return JSONResponse({"previous": None, "next": None, "results": told})

    async def one(self, request: Request) -> Response:
        """GET and DELETE /files/{id}."""
        upload = self._found(request)
        if request.method == "DELETE":
            del self._store.uploads[upload.id]
            return Response(status_code=204)
        return JSONResponse(upload.told(self._bench.address))

    async def download(self, request: Request) -> Response:
        """GET /files/{id}/download with its owner, expiry and signature."""
        upload, query = self._found(request), request.query_params
        said = f"{query.get('owner', '')} {upload.id} {query.get('expiry', '')}"
        mac = hmac.digest(self._bench.key.encode(), said.encode(), hashlib.sha256)
        signature = base64.b64encode(mac).decode()
        expiry = query.get("expiry", "")
        fresh = expiry.isdecimal() and int(expiry) >= self._bench.now()
        if not fresh or not hmac.compare_digest(signature, query.get("signature", "")):
            raise not_found()
        return Response(upload.content, media_type=upload.content_type)

    async def made(self, request: Request) -> Response:
        """GET of an output, for whoever knows its address."""
        made = self._store.made(request.url.path, self._bench.now())
        if made is None:
            return Response("Not found", 404)
        return Response(made.content, media_type=made.media_type)

    def _found(self, request: Request) -> Upload:
        found = self._store.upload(request.path_params["id"], self._bench.now())
        if found is None:
            raise not_found()
        return found


def _form(content_type: str, body: bytes) -> dict[str, Message]:
    """The parts of a form by their names; none of what is no form."""
    whole = BytesParser().parsebytes(f"content-type: {content_type}\r\n\r\n".encode() + body)
    if not whole.is_multipart():
        return {}
    parts: dict[str, Message] = {}
    for part in whole.get_payload():
        name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        if isinstance(name, str):
            parts[name] = part  # type: ignore[assignment]
    return parts


def _text(part: Message | None) -> str:
    data = None if part is None else part.get_payload(decode=True)
    return data.decode(errors="replace") if isinstance(data, bytes) else ""
