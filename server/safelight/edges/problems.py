"""A refusal as each door tells it: problem document, `error` member, socket reply.

Owns the shape of errors; what can go wrong, and the status of each, is the table in
`safelight_protocol.codes`. The documents follow RFC 9457 and carry, beside its
members, what the deployed app decodes. Their examples stand in docs/wire.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Match

from safelight_protocol.codes import Code, Refused

from ..telemetry import log

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

NO_UPGRADE = (
    "This is the address of a WebSocket, and the request did not ask for one: a proxy in"
    " between may have dropped its Upgrade header."
)

_SOCKET_REASONS = {
    "not_found": "Task not found",
    "unmatched_topic": "unmatched topic",
    "too_many_channels": "too many channels joined",
    "unauthorized": "unauthorized",
}
"""Words that deployed clients look for: the old server's, then those of Phoenix."""


def mark_app_form(request: HTTPConnection) -> None:
    """From here on errors of this request use the deployed app's codes and details."""
    request.state.app_form = True


def problem(refused: Refused, *, app: bool = False) -> Response:
    """The refusal as an answer whose body is its problem document."""
    document = problem_document(refused, app=app)
    status = document["status"]
    return Response(msgspec.json.encode(document), status, _headers(status), MEDIA_TYPE)


def problem_document(refused: Refused, *, app: bool = False) -> dict[str, Any]:
    """The refusal as a problem document; `extra` members of the refusal join it."""
    row = refused.code
    document = {
        "type": f"urn:safelight:problem:{row.name}",
        "title": row.meaning,
        "status": _status(row),
        "detail": refused.message,
        "code": row.name,
        "retry": row.retry,
        "success": False,
        "error": error_body(refused, app=app),
    }
    return {**refused.extra, **document}


def error_body(refused: Refused, *, app: bool = False) -> dict[str, Any]:
    """`{code, message, details}`: also the `error` of image_response and llm_response.

    Native details are a list of `{field, found, expected}`; the app's are
    `{field: [messages]}` under the names that it sent, with its own codes.
    """
    row = refused.code
    if not app:
        return {"code": row.name, "message": refused.message, "details": refused.details}
    messages: dict[str, list[str]] = {}
    for detail in refused.details:
        field = str(detail.get("field", "request")).removeprefix("input_data.")
        messages.setdefault(field, []).append(_sentence(detail))
    return {"code": row.app or row.name, "message": refused.message, "details": messages}


def socket_error(refused: Refused) -> dict[str, Any]:
    """`{reason, code, message, details, …}`: the response of a reply with status error."""
    name = refused.code.name
    return {
        **refused.extra,
        "reason": _SOCKET_REASONS.get(name, refused.message),
        "code": name,
        "message": refused.message,
        "details": refused.details,
    }


def refusal(trouble: BaseException) -> Response:
    """What goes wrong behind a request, as the handlers below answer it."""
    return problem(trouble if isinstance(trouble, Refused) else unexpected(trouble))


def unexpected(defect: BaseException) -> Refused:
    """Log a bug under a fresh reference and make of it a refusal that tells only that."""
    reference = secrets.token_hex(6)
    log("request.failed", reference=reference, exc=defect)
    message = f"A defect of the server; it was logged under the reference {reference}."
    return Refused("internal", message, reference=reference)


async def _on_refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refused)
    return problem(exc, app=getattr(request.state, "app_form", False))


async def _on_http_exception(request: Request, exc: Exception) -> Response:
    """What the router itself refuses; its headers (Allow) are kept."""
    assert isinstance(exc, HTTPException)
    wanted = f"{request.method} {request.url.path}"
    headers = dict(exc.headers or {})
    match exc.status_code:
        case 404 if request.url.path == "/socket/websocket":
            refused = Refused("not_found", NO_UPGRADE)
        case 404:
            refused = Refused("not_found", f"There is nothing at {wanted}.")
        case 405:
            headers["Allow"] = ", ".join(_methods(request))
            message = f"The path does not answer to {wanted}, only to {headers['Allow']}."
            refused = Refused("method_not_allowed", message)
        case 413:
            refused = Refused("too_large", exc.detail)
        case status if status < 500:
            refused = Refused("invalid", exc.detail)
        case _:
            refused = unexpected(exc)
    answer = problem(refused, app=getattr(request.state, "app_form", False))
    answer.headers.update(headers)
    return answer


def _methods(request: Request) -> list[str]:
    """What a path answers to: each of its methods has a route of its own."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)


async def _on_defect(request: Request, exc: Exception) -> Response:
    return problem(unexpected(exc), app=getattr(request.state, "app_form", False))


async def _on_gone(request: Request, exc: Exception) -> Response:
    """The client went in the middle of its request: that is no defect, and nobody listens."""
    return Response(status_code=400)


Handler = Callable[[Request, Exception], Awaitable[Response]]

HANDLERS: dict[int | type[Exception], Handler] = {
    Refused: _on_refused,
    HTTPException: _on_http_exception,
    ClientDisconnect: _on_gone,
    Exception: _on_defect,
}
"""For `Starlette(exception_handlers=HANDLERS)`."""


def _status(row: Code) -> int:
    """Codes that belong to the socket have no status; they say at least whose fault it is."""
    return row.http or (503 if row.retry == "later" else 400)


def _headers(status: int) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in (429, 503):
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return headers


def _sentence(detail: dict[str, object]) -> str:
    if "expected" not in detail:
        return "is wrong"
    return f"found {detail.get('found', 'nothing')}, expected {detail['expected']}"
