"""A provider as the server tells of it: whether it takes the server's key, and its places."""

from __future__ import annotations

import msgspec


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Predictions there at a time: `taken`, `of` how many; `waiting` are tasks without one."""

    taken: int
    of: int
    waiting: int = 0


class OpenBreaker(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the server leaves alone there, until when."""

    model: str
    until: str


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider. `state` is `up`, `refused`, `unreachable` or `unknown`, since `since`; `why`
    is what the operator of the server should know. `models` is how many run there."""

    name: str
    type: str
    url: str
    state: str
    since: str | None
    why: str | None
    models: int
    places: Places
    breakers: tuple[OpenBreaker, ...] = ()


class Providers(msgspec.Struct, frozen=True):
    """All of them, in the order of the server's settings."""

    providers: tuple[Provider, ...]
