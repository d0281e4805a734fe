"""One file as an HTTP answer: ranges, validators, caching.

Single ranges, If-Range, If-None-Match and HEAD as RFC 9110 says, from whatever storage the
file lies in. Not Starlette's FileResponse, which keeps the file open for as long as its
reader likes (and answers 400 where section 14.2 lets a server ignore a Range, and several
ranges as multipart, which no player needs). Knows no tasks: whether the caller may have the
file is settled before.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import PurePath
from typing import Literal

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from ..artifacts import name_of
from ..incoming import plainly
from ..media import is_shown
from ..storage import Lying, Storage
from ..telemetry import log
from .problems import problem

CACHE_CONTROL = "private, max-age=31536000, immutable"
"""An id names the same bytes for ever; only the caller's own cache may hold them."""


class Shown(msgspec.Struct, frozen=True):
    """A file of ours at an address: `since` is when the address came to be, in milliseconds
    since 1970. When the bytes did is nobody's business: another owner may have sent them.
    What is not `settled` may be another file the next time."""

    sha256: str
    media_type: str
    since: int
    settled: bool = True


async def artifact_response(request: Request, storage: Storage, file: Shown) -> Response:
    """The file, or the part of it that a GET or HEAD asks for.

    Raises Refused `not_found` if the file is gone, `unavailable` if its storage is away.
    """
    name = name_of(file.sha256, file.media_type)
    size = (await _stat(storage, name)).bytes
    etag = entity_tag(file.sha256)
    headers = {
        "etag": etag,
        "cache-control": CACHE_CONTROL if file.settled else "no-cache",
        "x-content-type-options": "nosniff",
    }
    if etag_matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    match _range(request, etag, size):
        case "unsatisfiable":
            return _unsatisfiable(request.headers["range"], size)
        case "whole":
            part, status = range(size), 200
        case part:
            status = 206
            headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    manner = "inline" if is_shown(file.media_type) else "attachment"
    headers |= {
        "accept-ranges": "bytes",
        "content-length": str(len(part)),
        "content-disposition": f'{manner}; filename="safelight{PurePath(name).suffix}"',
        "last-modified": formatdate(file.since / 1000, usegmt=True),
    }
    sent = range(0) if request.method == "HEAD" else part
    return _Part(_pieces(storage, name, sent), status, headers, file.media_type)


class _Part(StreamingResponse):
    """A part of a file, which is open only while a piece of it is read: however many
    readers take their time, they hold no open files. A file that is deleted meanwhile, or
    whose storage goes away, ends the answer short, and the server then cuts the line."""

    async def stream_response(self, send: Send) -> None:
        """Everything, or as much as there is."""
        try:
            await super().stream_response(send)
        except FileNotFoundError:
            pass
        except Refused as trouble:
            log("artifact.trouble", error=trouble.message, tries=1)


async def _pieces(storage: Storage, name: str, part: range) -> AsyncIterator[bytes]:
    for start in range(part.start, part.stop, storage.piece_bytes):
        size = min(storage.piece_bytes, part.stop - start)
        with plainly():
            piece = await anyio.to_thread.run_sync(storage.read, name, start, size)
        yield piece


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


async def _stat(storage: Storage, name: str) -> Lying:
    try:
        with plainly():
            found = await anyio.to_thread.run_sync(storage.stat, name)
    except FileNotFoundError:
        raise Refused("not_found", "The file is no longer there.") from None
    return found
