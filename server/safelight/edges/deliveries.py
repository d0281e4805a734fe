"""The doors to what an owner's webhooks have come to: lists, another try, and the secret."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from .bodies import answer, plain, query_number
from .context import context_of


async def index(request: Request) -> Response:
    """GET /api/deliveries: those that nobody took (`?state=waiting`: those under way)."""
    context = context_of(request)
    owner = context.owner(request)
    limit = query_number(request, "limit", 50, low=1, high=200) or 50
    state = request.query_params.get("state", "dead")
    page = await context.outbox.page(owner, state, request.query_params.get("before"), limit)
    return answer(plain(page), f"{len(page.deliveries)} {state}")


async def retry(request: Request) -> Response:
    """POST /api/deliveries/{id}/retry: a dead one is tried again from the start."""
    context = context_of(request)
    id = request.path_params["id"]
    await context.outbox.revive(context.owner(request), id)
    return answer({"id": id}, "It is tried again", 202)


async def delete(request: Request) -> Response:
    """DELETE /api/deliveries/{id}: forget a dead one."""
    context = context_of(request)
    id = request.path_params["id"]
    await context.outbox.delete(context.owner(request), id)
    return answer({"id": id}, "Forgotten")


async def secret(request: Request) -> Response:
    """GET /api/webhook-secret: what notices are signed with."""
    context = context_of(request)
    return answer(plain(await context.outbox.secret(context.owner(request))), "The secret")


async def change_secret(request: Request) -> Response:
    """POST /api/webhook-secret: another one; the one before signs beside it for a day."""
    context = context_of(request)
    made = await context.outbox.change_secret(context.owner(request))
    return answer(plain(made), "Another secret")
