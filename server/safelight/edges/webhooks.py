"""The door for providers that call us back.

It has no token: a call is believed by its signature, which its provider checks. What is
answered is only whether it was taken; a provider that hears 4xx or 5xx comes again.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from .bodies import answer, whole_body
from .context import context_of

MOST_BYTES = 16 * 1024 * 1024
"""A call carries a whole prediction: all of its text and its logs."""


async def take(request: Request) -> Response:
    """POST /api/webhooks/{provider}: a provider tells how a prediction is."""
    context = context_of(request)
    name = request.path_params["provider"]
    deliver = context.callbacks.get(name)
    if deliver is None:
        raise Refused("not_found", f"No provider {shown(name)} calls back here.")
    body = await whole_body(request, context, MOST_BYTES)
    await deliver(dict(request.query_params), dict(request.headers), body)
    return answer({}, "Taken")
