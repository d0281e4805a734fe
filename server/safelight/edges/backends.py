"""The doors to named backends: how each of them is, and which one the owner prefers.

Every answer is given from memory at once; with `?refresh=1` they are asked first, for a
bounded while. Decides nothing: which backend a request gets is the registry's business.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.events import timestamp
from safelight_protocol.fields import Field, invalid, read_object, typed

from ..backends import Backend
from .bodies import answer, answer_of, read_json
from .context import Context, context_of


class BackendQueue(msgspec.Struct, frozen=True):
    """Everybody's prompts on a backend, as it says itself; null where it does not say."""

    running: int | None
    pending: int | None


class BackendTasks(msgspec.Struct, frozen=True):
    """Our own tasks for a backend: those that run there, and those that wait here."""

    running: int
    waiting: int


class BackendShown(msgspec.Struct, frozen=True, kw_only=True):
    """One backend as it was when it was last asked. `status` is `up`, `down` or `unknown`
    (not asked yet, or silent after it was up). `models` may be asked for with it,
    `checkpoints` are those it has. `reason` says why nothing is sent there now, `unreachable`
    what becomes of a new task then: `refuse` or `queue`. `default` is the settings' choice,
    `chosen` the owner's."""

    name: str
    label: str
    type: str
    url: str
    status: str
    version: str | None
    queue: BackendQueue
    ours: BackendTasks
    models: list[str]
    checkpoints: list[str]
    devices: list[dict[str, Any]]
    checked_at: str | None
    latency_ms: float | None
    error: str | None
    reason: str | None
    unreachable: str
    default: bool
    chosen: bool


async def index(request: Request) -> Response:
    """GET /api/backends: all of them, in the order of the settings."""
    context = context_of(request)
    owner = context.owner(request)
    names = [backend.name for backend in context.backends]
    await _refresh(request, context, names)
    shown = [_shown(context, backend, owner) for backend in context.backends]
    return answer({"backends": msgspec.to_builtins(shown)}, f"{len(shown)} backends")


async def show(request: Request) -> Response:
    """GET /api/backends/{name}."""
    context = context_of(request)
    owner = context.owner(request)
    backend = context.backends.backend(request.path_params["name"])
    await _refresh(request, context, [backend.name])
    shown = _shown(context, backend, owner)
    return answer_of(msgspec.json.encode(shown), f"{shown.name} is {shown.status}")


async def preferences(request: Request) -> Response:
    """GET /api/preferences: what the owner has chosen."""
    context = context_of(request)
    chosen = context.preferences.of(context.owner(request))
    return answer_of(msgspec.json.encode(chosen), "Preferences")


_CHOICE = {"backend": Field(typed(str | None, "the name of a backend, or null for none"))}


async def choose(request: Request) -> Response:
    """PATCH /api/preferences: what is named is changed, null takes it back."""
    context = context_of(request)
    owner = context.owner(request)
    body = await read_json(request, context)
    values, _ = read_object(body, _CHOICE)
    if "backend" in values:
        chosen = await context.preferences.choose(owner, values["backend"])
    else:
        chosen = context.preferences.of(owner)
    return answer_of(msgspec.json.encode(chosen), "Preferences")


async def _refresh(request: Request, context: Context, names: list[str]) -> None:
    asked = request.query_params.get("refresh", "0")
    if asked not in ("0", "1"):
        raise invalid([{"field": "refresh", "found": asked[:80], "expected": "0 or 1"}])
    if asked == "1":
        await context.backends.refresh(names, context.settings.backend_check_seconds)


def _shown(context: Context, backend: Backend, owner: str) -> BackendShown:
    name, health = backend.name, context.backends.health(backend.name)
    running, waiting = context.orchestrator.counts(backend.type, name)
    return BackendShown(
        name=name,
        label=backend.label,
        type=backend.type,
        url=backend.url,
        status=health.status,
        version=health.version,
        queue=BackendQueue(health.queue_running, health.queue_pending),
        ours=BackendTasks(running, waiting),
        models=_models(context, backend),
        checkpoints=list(context.backends.checkpoints(name)),
        devices=list(health.devices),
        checked_at=None if health.checked_at is None else timestamp(health.checked_at),
        latency_ms=health.latency_ms,
        error=health.error,
        reason=context.backends.reason(name),
        unreachable=context.settings.unreachable,
        default=context.settings.default_backend == name,
        chosen=context.preferences.backend(owner) == name,
    )


def _models(context: Context, backend: Backend) -> list[str]:
    """The models that may be asked for with it, in the order of defaults."""
    return [model.name for model in context.registry.models() if backend.name in model.backends]
