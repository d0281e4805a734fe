"""The Phoenix socket's second transport: GET and POST on /socket/longpoll.

phoenix.js falls back to it, for good, after one WebSocket that did not open
(`longPollFallbackMs`). Every answer is HTTP 200 with the real status in its body; what
frames mean is the same as on a WebSocket, see `connection.py`. The contract is in
docs/wire.md; who may ask is decided by `auth.py`.
"""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Any
from urllib.parse import unquote

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused
from safelight_protocol.frames import FrameError, serializer_for

from ..telemetry import log
from .bodies import whole_body
from .connection import Connection
from .context import Context, context_of
from .polls import TOKEN, Session
from .pump import Pump

BODY_FRAMES = 2
"""A body may be this many times the largest frame: base64 adds a third, and a batch is
many frames."""

MAX_LINES = 1000
"""Frames in one body; phoenix.js sends at most 100 (older ones what came up at once)."""

PREFLIGHT_SECONDS = 3600

AGAIN = 500
"""The one status at which phoenix.js comes back in a moment."""

HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "cache-control": "no-store",
    "access-control-allow-origin": "*",
}
"""Any page may read the answers: those to a page that may not ask say only that, and
phoenix.js stops at them, where it would try for ever at an answer it may not read."""


async def longpoll(request: Request) -> Response:
    """/socket/longpoll: a poll, frames of a client, or a browser's question beforehand."""
    context = context_of(request)
    if request.method not in ("GET", "POST"):
        return _preflight(request)
    try:
        context.auth.admit_page(request.scope)
        if request.method == "POST":
            return await _post(request, context)
        return await _get(request, context)
    except (Refused, FrameError) as refused:
        log("socket.refused", reason=str(refused))
        return _answer(_status(refused))


def _status(refused: Refused | FrameError) -> int:
    """What the body of an answer says of a refusal: 403 stops phoenix.js, others do not."""
    name = refused.code.name if isinstance(refused, Refused) else ""
    return {"too_large": 413, "shutting_down": AGAIN}.get(name, 403)


async def _get(request: Request, context: Context) -> Response:
    await whole_body(request, context, 0)  # a poll has none; now only its end may come
    session = _session(request, context)
    if session is None:
        return _open(request, context)
    frames, gone = await _poll(request, session, context.polls.window)
    if gone or frames or not session.over:
        return _answer(200 if frames else 204, session.token, frames)
    return _open(request, context)


def _open(request: Request, context: Context) -> Response:
    """A fresh session. 410 means "this one is new": a client that had another reports its
    end and joins again, with its cursors."""
    owner = context.auth.admit(_without_session(request)).owner
    _refuse_planted(request, context)
    serializer = serializer_for(request.query_params.get("vsn"))
    address = request.client.host if request.client and not context.settings.tokens else ""
    session = None if context.draining() else context.polls.create(owner, address)
    if session is None:
        return _answer(AGAIN)
    pump = Pump(session)
    connection = Connection(pump, context, owner, serializer)
    context.polls.start(session, partial(pump.run, connection))
    return _answer(410, session.token, [])


def _refuse_planted(request: Request, context: Context) -> None:
    """A browser asks for the image of another site's page without an Origin. Where no
    token is needed such a page could open all the sessions there are."""
    settings, headers = context.settings, request.headers
    foreign = headers.get("sec-fetch-site") == "cross-site" and "origin" not in headers
    if foreign and not settings.tokens and "*" not in settings.allowed_origins:
        raise Refused("forbidden", "A page of another site, which names no origin.")


async def _poll(request: Request, session: Session, window: float) -> tuple[list[str], bool]:
    """The frames to answer with, and whether the client went meanwhile.

    They are taken at the last moment, and not for a client that is seen to have gone.
    """
    poll = session.begin()
    try:
        with anyio.move_on_after(window):
            async with anyio.create_task_group() as group:
                group.start_soon(_until_gone, request, group.cancel_scope)
                await session.wait(poll)
                group.cancel_scope.cancel()
        gone = await request.is_disconnected()
        return ([] if gone else session.take(poll)), gone
    finally:
        session.end(poll)


async def _until_gone(request: Request, scope: anyio.CancelScope) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _post(request: Request, context: Context) -> Response:
    session = _session(request, context)
    if session is None:
        return _answer(410)
    limit = BODY_FRAMES * context.settings.max_frame_bytes
    body = await whole_body(request, context, limit)
    batched = request.headers.get("content-type", "").startswith("application/x-ndjson")
    lines = body.split(b"\n", MAX_LINES) if batched else [body]
    if len(lines) > MAX_LINES:
        return _answer(413)
    with anyio.move_on_after(context.polls.window):
        taken = await session.give([_frame(line) for line in lines if line.strip()])
        return _answer(200 if taken else 410)
    return _answer(408)


def _frame(line: bytes) -> str | bytes:
    """A line that begins as JSON is text, any other is base64 of a binary frame. What is
    neither is handed on as it is: the session knows what to answer."""
    text = line.decode(errors="replace").strip()
    if text[0] in "[{":
        return text
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text


def _session(request: Request, context: Context) -> Session | None:
    """The session whose token the request carries. The token is enough: phoenix.js sends
    no other with a POST. But another owner's finds nothing."""
    token = _session_token(request)
    session = None if token is None else context.polls.find(token)
    if session is None:
        return None
    try:
        asking = context.auth.admit(_without_session(request)).owner
    except Refused:
        return session
    return session if asking == session.owner else None


def _session_token(request: Request) -> str | None:
    carried = [
        request.headers.get("x-phoenix-longpoll-token", ""),
        *request.query_params.getlist("token"),
    ]
    return next((token for token in carried if TOKEN.fullmatch(token)), None)


def _without_session(request: Request) -> dict[str, Any]:
    """The scope without the session's token, which is no bearer token: phoenix.js puts
    both into the query under the same name when `params` has a `token`."""
    query = request.scope["query_string"].decode("latin-1")
    kept = [pair for pair in query.split("&") if not _is_session(pair)]
    return {**request.scope, "query_string": "&".join(kept).encode("latin-1")}


def _is_session(pair: str) -> bool:
    name, _, value = pair.partition("=")
    return name == "token" and (not value or TOKEN.fullmatch(unquote(value)) is not None)


def _answer(status: int, token: str | None = None, frames: list[str] | None = None) -> Response:
    body: dict[str, Any] = {"status": status}
    if frames is not None:
        body |= {"token": token, "messages": frames}
    return Response(msgspec.json.encode(body), 200, HEADERS)


def _preflight(request: Request) -> Response:
    asked = request.headers.get("access-control-request-headers", "")
    headers = {
        **HEADERS,
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": asked,
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }
    return Response(b"", 200, headers)
