"""One file as an HTTP answer: ranges, validators, caching.

Preconditions and the choice among ranges are decided here; the bytes are sent by
Starlette's FileResponse, which does single ranges, If-Range and HEAD as RFC 9110
says. (It knows no If-None-Match, answers 400 where section 14.2 lets a server ignore
a Range, and several ranges as multipart, which no player needs.) Knows no tasks:
whether the caller may have the file is settled before.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Literal

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from .problems import problem

CACHE_CONTROL = "private, max-age=31536000, immutable"
"""An id names the same bytes for ever; only the caller's own cache may hold them."""


async def artifact_response(
    request: Request, path: Path, media_type: str, sha256: str, *, filename: str | None = None
) -> Response:
    """The file at `path`, or the part of it that a GET or HEAD asks for.

    `filename` is what a browser proposes when the file is saved. Raises Refused
    `not_found` if the file is gone.
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
    match _range(request, etag, found.st_size):
        case "unsatisfiable":
            return _unsatisfiable(request.headers["range"], found.st_size)
        case "whole":
            _forget_range(request)
    return FileResponse(
        path,
        headers=headers,
        media_type=media_type,
        stat_result=found,
        filename=filename or f"safelight{path.suffix}",
        content_disposition_type="inline",
    )


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


def _range(request: Request, etag: str, size: int) -> Literal["whole", "part", "unsatisfiable"]:
    """What a Range asks for. Whatever is not one well-formed range of bytes, comes with
    another method than GET or with another If-Range than our tag, means the whole."""
    wanted = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    condition = request.headers.get("if-range")
    if wanted is None or request.method != "GET" or condition not in (None, etag):
        return "whole"
    first, last = wanted.groups()
    if not first and not last:
        return "whole"
    if not first:
        return "part" if int(last) > 0 and size > 0 else "unsatisfiable"
    if last and int(last) < int(first):
        return "whole"
    return "part" if int(first) < size else "unsatisfiable"


def _unsatisfiable(wanted: str, size: int) -> Response:
    expected = f"a range that begins before byte {size}"
    detail: dict[str, object] = {"field": "Range", "found": shown(wanted), "expected": expected}
    message = f"Range: found {detail['found']}, expected {expected}"
    answer = problem(Refused("range_not_satisfiable", message, [detail]))
    answer.headers["content-range"] = f"bytes */{size}"
    return answer


def _forget_range(request: Request) -> None:
    """FileResponse reads the scope, and would answer 400 or multipart to what we ignore."""
    kept = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
    request.scope["headers"] = kept


async def _stat(path: Path) -> os.stat_result:
    try:
        found = await anyio.to_thread.run_sync(os.stat, path)
    except FileNotFoundError:
        raise Refused("not_found", "The file is no longer there.") from None
    return found
