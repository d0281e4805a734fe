"""Bytes of a request to values, and values to answers in the shape the app decodes."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused
from safelight_protocol.fields import invalid

from .context import Context

_encoder = msgspec.json.Encoder()


async def read_json(request: Request, context: Context) -> Any:
    """The body as JSON. Raises Refused `too_large`, `invalid` or `shutting_down`.

    A body that announces or passes the limit is refused without being read to its end.
    """
    limit = context.settings.max_body_bytes
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > limit:
        raise _too_large(int(announced[:18]), limit)
    return parse_json(await whole_body(request, context, limit))


async def whole_body(request: Request, context: Context, limit: int) -> bytes:
    """The body up to its end. Raises Refused `too_large` at the first part above the limit,
    and `shutting_down` once the server goes down while the rest is still awaited."""
    body = bytearray()
    with anyio.CancelScope() as scope, context.guests.staying(scope.cancel):
        async for chunk in request.stream():
            if len(body) + len(chunk) > limit:
                raise _too_large(len(body) + len(chunk), limit)
            body += chunk
        return bytes(body)
    raise Refused("shutting_down", "The server is going down; the request did not come whole.")


def parse_json(body: bytes) -> Any:
    """One JSON document. Raises Refused `invalid`, naming the field `body`."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = body[:60].decode(errors="replace") if body else "nothing"
        wrong: dict[str, object] = {"field": "body", "found": found, "expected": "one JSON object"}
        message = f"The body is not JSON: {error}." if body else "The body is empty."
        raise Refused("invalid", message, [wrong]) from None


def compact(body: bytes) -> bytes:
    """JSON without blanks: JavaPhoenixClient cuts frames at their commas by hand, and a
    blank behind one becomes part of what follows."""
    return msgspec.json.format(body, indent=-1)


def answer(
    data: dict[str, Any], message: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """`{"success": true, "data", "message"}`, as the deployed app decodes it."""
    body = _encoder.encode({"success": True, "data": data, "message": message})
    return Response(body, status, headers, media_type="application/json")


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """A struct as a dict, to which a door may add fields of its own."""
    built = msgspec.to_builtins(value)
    assert isinstance(built, dict), "structs become objects"
    return built


def query_number(
    request: Request, name: str, default: int | None, *, low: int, high: int
) -> int | None:
    """A whole number of the query. Raises Refused `invalid` for anything else."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 17 and low <= int(text) <= high:
        return int(text)
    expected = f"a whole number, {low} to {high}"
    raise invalid([{"field": name, "found": text[:80], "expected": expected}])


def _too_large(size: int, limit: int) -> Refused:
    found = {"field": "body", "found": f"{size} bytes or more", "expected": f"at most {limit}"}
    return Refused("too_large", f"The body is larger than {limit} bytes.", [dict(found)])
