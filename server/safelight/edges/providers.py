"""The door to the providers that are asked over the network: whether each of them takes us.

Every answer is given from memory; nobody is asked because of it.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.events import timestamp

from ..greetings import State
from .bodies import answer
from .context import Context, context_of


class ProviderPlaces(msgspec.Struct, frozen=True):
    """Our own tasks there: the places that are `taken`, `of` how many, and who waits for one."""

    taken: int
    of: int
    waiting: int


class OpenBreaker(msgspec.Struct, frozen=True):
    """A model that is left alone there after faults in a row or a 429, and until when."""

    model: str
    until: str


class ProviderShown(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as it was when it was last heard of, by a greeting or by a task. `state` is
    `up`, `refused` (it does not take our key, or our account has no credit), `unreachable` or
    `unknown`, and began at `since`; `why` says what is wrong and names the setting. `models` is
    how many may be asked for that run there."""

    name: str
    type: str
    url: str
    state: State
    since: str | None
    why: str | None
    models: int
    places: ProviderPlaces
    breakers: list[OpenBreaker]


async def index(request: Request) -> Response:
    """GET /api/providers: all of them, in the order of the settings."""
    context = context_of(request)
    context.owner(request)
    shown = [_shown(context, name) for name in context.receptions]
    return answer({"providers": msgspec.to_builtins(shown)}, f"{len(shown)} providers")


def _shown(context: Context, name: str) -> ProviderShown:
    found, room = context.receptions.of(name), context.patience.room(name)
    models = [one for one in context.registry.models() if one.provider == name and one.usable]
    return ProviderShown(
        name=name,
        type=context.receptions.speaks(name),
        url=context.receptions.url(name),
        state=found.state,
        since=None if found.since is None else timestamp(found.since),
        why=found.why,
        models=len(models),
        places=ProviderPlaces(room.taken, room.places, room.waiting),
        breakers=[OpenBreaker(one.model, timestamp(one.until)) for one in room.held],
    )
