"""Bytes of a request to values, and values to answers in the shape the app decodes."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable, Mapping
from typing import Any

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from safelight_protocol.codes import Refused
from safelight_protocol.fields import invalid

from .context import Context

_encode = msgspec.json.Encoder().encode

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them."""


async def read_json(request: Request, context: Context) -> Any:
    """The body as JSON. Raises Refused `too_large`, `invalid` or `shutting_down`.

    A body that announces or passes the limit is refused without being read to its end.
    """
    return parse_json(await read_body(request, context))


async def read_body(request: Request, context: Context) -> bytes:
    """The body as it was sent. Raises Refused `too_large` or `shutting_down`."""
    limit = context.settings.max_body_bytes
    announced = header(request, b"content-length") or ""
    if announced.isdecimal() and int(announced[:18]) > limit:
        raise _too_large(int(announced[:18]), limit)
    return await whole_body(request, context, limit)


def header(request: Request, name: bytes) -> str | None:
    """The first header of that name, which is in lower case; None if there is none."""
    return header_in(request.scope["headers"], name)


def header_in(headers: Headers, name: bytes) -> str | None:
    """The same of headers alone."""
    for one, value in headers:
        if one == name:
            return str(value, "latin-1")
    return None


async def whole_body(request: Request, context: Context, limit: int) -> bytes:
    """The body up to its end. Raises Refused `too_large` at the first part above the limit,
    and `shutting_down` once the server goes down while the rest is still awaited."""
    begun = Begun(request.receive())
    if begun.ended and begun.message["type"] == "http.request":
        if not begun.message.get("more_body", False):
            return _within(begun.message.get("body", b""), limit)
    request = Request(request.scope, _after(begun, request.receive))
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
    return answer_of(_encode(data), message, status, headers)


def answer_of(
    data: bytes, message: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The same for an object that is encoded already."""
    body = b'{"success":true,"data":%b,"message":%b}' % (data, _encode(message))
    return Told(body, status, headers)


class Told(Response):
    """An answer in JSON, written as it is sent: there is nothing to do behind it."""

    media_type = "application/json"

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]
        if headers:
            for name, text in headers.items():
                self.raw_headers.append((name.lower().encode("latin-1"), text.encode("latin-1")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell it."""
        status, headers = self.status_code, self.raw_headers
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def joined(one: msgspec.Struct, other: msgspec.Struct) -> bytes:
    """Two structs as one object, encoded; the fields of `other` come last."""
    return _encode(one)[:-1] + b"," + _encode(other)[1:]


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


class Begun:
    """A call that was begun by hand, to see whether its answer is there already.

    `ended` says so, and `message` is it; otherwise awaiting this goes on with the call.
    """

    __slots__ = ("_awaited", "_call", "ended", "message")

    message: Message

    def __init__(self, call: Awaitable[Message]) -> None:
        self._call = call.__await__()
        self.ended = False
        try:
            self._awaited = next(self._call)
        except StopIteration as end:
            self.ended = True
            self.message = end.value

    def __await__(self) -> Generator[Any, Any, Message]:
        if self.ended:
            return self.message
        try:
            yield self._awaited
        except BaseException:
            self._call.close()
            raise
        message: Message = yield from self._call
        return message


def _after(begun: Begun, receive: Receive) -> Receive:
    """Receives what was begun first."""
    waiting = [begun]

    async def go_on() -> Message:
        return await (waiting.pop() if waiting else receive())

    return go_on


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(len(body), limit)
    return body


def _too_large(size: int, limit: int) -> Refused:
    found = {"field": "body", "found": f"{size} bytes or more", "expected": f"at most {limit}"}
    return Refused("too_large", f"The body is larger than {limit} bytes.", [dict(found)])
