"""What every door is given: the parts of the house it may talk to, and no others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import anyio
import msgspec
from starlette.requests import HTTPConnection

from ..accounts import Accounts
from ..artifacts import ArtifactStore
from ..backends import Directory
from ..callbacks import Deliver
from ..checks import Checks
from ..drawings import Drawings
from ..gallery import Gallery
from ..greetings import Receptions
from ..log import Log
from ..orchestrator import Orchestrator
from ..patience import Patience
from ..preferences import Preferences
from ..registry import Registry
from ..settings import Settings
from ..shelf import Shelf
from ..subscriptions import Subscriptions
from ..uploads import Uploads
from ..webhooks import Outbox
from .auth import Authenticator
from .guests import Guests
from .lanes import Lanes
from .polls import Polls
from .wheel import Wheel

Start = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
"""Begins something that goes on by itself."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The doors' side of a running server.

    `drain` begins the end, and `draining` is true from then on. Whoever stays for longer
    than an answer is one of the `guests`, who are seen out before the process ends. `start`
    runs something as a task of the house, which must not raise; after the end it is not run.
    `callbacks` are the providers that call us back, by name; `callers` those whose large
    calls may still be read.
    """

    settings: Settings
    orchestrator: Orchestrator
    log: Log
    gallery: Gallery
    accounts: Accounts
    subscriptions: Subscriptions
    artifacts: ArtifactStore
    drawings: Drawings
    uploads: Uploads
    outbox: Outbox
    shelf: Shelf
    backends: Directory
    receptions: Receptions
    patience: Patience
    checks: Checks
    callbacks: Mapping[str, Deliver]
    callers: anyio.Semaphore
    preferences: Preferences
    registry: Registry
    auth: Authenticator
    guests: Guests
    polls: Polls
    lanes: Lanes
    wheel: Wheel
    start: Start
    clock: Callable[[], int]
    drain: Callable[[], None]
    draining: Callable[[], bool]
    statistics: Callable[[], dict[str, object]]

    def owner(self, connection: HTTPConnection) -> str:
        """Whose request it is. Raises Refused `unauthorized` or `forbidden`."""
        return self.auth.admit(connection.scope).owner


def context_of(connection: HTTPConnection) -> Context:
    """The context that the application was built with."""
    context: Context = connection.scope["app"].state.context
    return context
