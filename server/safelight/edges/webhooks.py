"""The door for providers that call us back.

It has no token: a call is believed by its signature, which its provider checks. What is
answered is only whether it was taken; a provider that hears 4xx or 5xx comes again.
"""

from __future__ import annotations

import anyio
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from .bodies import answer, header, whole_body
from .context import Context, context_of

MOST_BYTES = 16 * 1024 * 1024
"""A call carries a whole prediction: all of its text and its logs."""

FEW_BYTES = 64 * 1024
"""What most calls have; these are always read."""

AT_ONCE = 8
"""Larger calls that are read at once: before it has come whole nobody knows who calls."""


async def take(request: Request) -> Response:
    """POST /api/webhooks/{provider}: a provider tells how a prediction is."""
    context = context_of(request)
    name = request.path_params["provider"]
    deliver = context.callbacks.get(name)
    if deliver is None:
        raise Refused("not_found", f"No provider {shown(name)} calls back here.")
    announced = header(request, b"content-length") or ""
    if announced.isdecimal() and int(announced[:18]) <= FEW_BYTES:
        body = await whole_body(request, context, FEW_BYTES)
    else:
        body = await _large(request, context)
    await deliver(dict(request.query_params), dict(request.headers), body)
    return answer({}, "Taken")


async def _large(request: Request, context: Context) -> bytes:
    """Raises Refused `too_many` where as many are being read as may be; what was to be told
    is asked for as well, so nothing is lost."""
    try:
        context.callers.acquire_nowait()
    except anyio.WouldBlock:
        message = f"{AT_ONCE} calls of this size are being read; come again."
        raise Refused("too_many", message) from None
    try:
        return await whole_body(request, context, MOST_BYTES)
    finally:
        context.callers.release()
