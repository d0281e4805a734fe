"""One file as an HTTP answer: ranges, validators, caching.

Single ranges, If-Range, If-None-Match and HEAD as RFC 9110 says. Not Starlette's
FileResponse, which keeps the file open for as long as its reader likes (and answers 400
where section 14.2 lets a server ignore a Range, and several ranges as multipart, which
no player needs). Knows no tasks: whether the caller may have the file is settled before.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from typing import Literal

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from .problems import problem

CACHE_CONTROL = "private, max-age=31536000, immutable"
"""An id names the same bytes for ever; only the caller's own cache may hold them."""

PIECE_BYTES = 64 * 1024
"""Of a file, read and sent at once."""


async def artifact_response(request: Request, path: Path, media_type: str, sha256: str) -> Response:
    """The file at `path`, or the part of it that a GET or HEAD asks for.

    Raises Refused `not_found` if the file is gone.
    """
    found = await _stat(path)
    etag = entity_tag(sha256)
    headers = {
        "etag": etag,
        "cache-control": CACHE_CONTROL,
        "x-content-type-options": "nosniff",
    }
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    size = found.st_size
    match _range(request, etag, size):
        case "unsatisfiable":
            return _unsatisfiable(request.headers["range"], size)
        case "whole":
            part, status = range(size), 200
        case part:
            status = 206
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    headers |= {
        "accept-ranges": "bytes",
        "content-length": str(len(part)),
        "content-disposition": f'inline; filename="safelight{path.suffix}"',
        "last-modified": formatdate(found.st_mtime, usegmt=True),
    }
    sent = range(0) if request.method == "HEAD" else part
    return _Part(path, sent, status, headers, media_type)


class _Part(StreamingResponse):
    """A part of a file, which is open only while a piece of it is read: however many
    readers take their time, they hold no open files. A file that is deleted meanwhile
    ends the answer short, and the server then cuts the line."""

    def __init__(
        self, path: Path, part: range, status: int, headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(_pieces(path, part), status, headers, media_type)

    async def stream_response(self, send: Send) -> None:
        """Everything, or as much as there is."""
        with suppress(FileNotFoundError):
            await super().stream_response(send)


async def _pieces(path: Path, part: range) -> AsyncIterator[bytes]:
    for start in range(part.start, part.stop, PIECE_BYTES):
        size = min(PIECE_BYTES, part.stop - start)
        yield await anyio.to_thread.run_sync(_piece, path, start, size)


def _piece(path: Path, start: int, size: int) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), size, start)


def entity_tag(sha256: str) -> str:
    """A strong validator; a hash of the hash, which itself stays inside."""
    return '"' + hashlib.sha256(f"etag:{sha256}".encode()).hexdigest()[:32] + '"'


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Whether If-None-Match names the tag: a list or `*`, compared weakly (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


_ONE_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def _range(request: Request, etag: str, size: int) -> range | Literal["whole", "unsatisfiable"]:
    """The bytes that a Range asks for. Whatever is not one well-formed range of bytes,
    comes with another method than GET or with another If-Range than our tag, means the
    whole."""
    wanted = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    condition = request.headers.get("if-range")
    if wanted is None or request.method != "GET" or condition not in (None, etag):
        return "whole"
    first, last = wanted.groups()
    if not first and not last:
        return "whole"
    if not first:
        return range(max(0, size - int(last)), size) if int(last) and size else "unsatisfiable"
    if last and int(last) < int(first):
        return "whole"
    end = min(int(last) + 1, size) if last else size
    return range(int(first), end) if int(first) < size else "unsatisfiable"


def _unsatisfiable(wanted: str, size: int) -> Response:
    expected = f"a range that begins before byte {size}"
    detail: dict[str, object] = {"field": "Range", "found": shown(wanted), "expected": expected}
    message = f"Range: found {detail['found']}, expected {expected}"
    answer = problem(Refused("range_not_satisfiable", message, [detail]))
    answer.headers["content-range"] = f"bytes */{size}"
    return answer


async def _stat(path: Path) -> os.stat_result:
    try:
        found = await anyio.to_thread.run_sync(os.stat, path)
    except FileNotFoundError:
        raise Refused("not_found", "The file is no longer there.") from None
    return found
