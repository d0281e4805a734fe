"""The doors to money: what a request would cost, and what was spent.

Answered from the orchestrator and the ledger; a quote is a create that makes nothing.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from .bodies import answer, plain, query_number, read_body
from .context import context_of
from .tasks import command_of


async def quote(request: Request) -> Response:
    """POST /api/quotes: the body of a create, and what that would cost."""
    context = context_of(request)
    owner = context.owner(request)
    command = command_of(request, await read_body(request, context))
    found = await context.orchestrator.quote(owner, command)
    return answer(plain(found), found.basis)


async def usage(request: Request) -> Response:
    """GET /api/usage?from=&to=&entries=1: sums, and with `entries` the lines behind them."""
    context = context_of(request)
    owner = context.owner(request)
    first, last = request.query_params.get("from"), request.query_params.get("to")
    before = query_number(request, "before", None, low=0, high=2**53)
    limit = query_number(request, "limit", 50, low=1, high=200) or 50
    if query_number(request, "entries", 0, low=0, high=1):
        found = await context.accounts.entries(owner, first, last, before, limit)
    else:
        found = await context.accounts.usage(owner, first, last)
    return answer(plain(found), f"{found.first} to {found.to}")
