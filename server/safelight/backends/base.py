"""What a backend is: one named object with one address, health and lists of its own.

Whoever runs predictions on backends brings a class for its type; the directory looks
after them, whatever they are. A backend knows neither tasks nor other backends. What
they must keep to is tested with doubles in tests/server/backends.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

Status = Literal["up", "down", "unknown"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend was found to be. `unknown` until it was asked, and while it is silent
    after it had been up: a busy one may not answer for a minute.

    `checked_at` is in milliseconds since 1970; the directory fills it in, and `latency_ms`
    too. `queue_*` count everybody's prompts there, not only ours.
    """

    status: Status = "unknown"
    version: str | None = None
    queue_running: int | None = None
    queue_pending: int | None = None
    checked_at: int | None = None
    latency_ms: float | None = None
    error: str | None = None
    devices: tuple[dict[str, Any], ...] = ()


class Wanted(Protocol):
    """What is asked of a backend: of a prediction, what matters before it is one."""

    @property
    def model(self) -> str: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def n(self) -> int: ...


class Unreachable(Exception):
    """The backend could not be asked: refused, cut off, or not what it was taken for. The
    message is one that owners may read."""


class Backend(Protocol):
    """One backend. `type` is its provider's name; `url` is normalised and has no
    credentials in it. Its methods may be cancelled at any time, and may take for ever:
    the directory bounds them."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def url(self) -> str: ...

    async def health(self) -> Health:
        """Ask it now. One that cannot be asked is a Health that is `down`, or Unreachable."""

    async def checkpoints(self) -> list[str]:
        """The checkpoints that it has. Raises Unreachable."""

    async def check(self, wanted: Wanted) -> None:
        """Hold what is asked for against what it has. Raises Refused `invalid`, naming the
        field, the value and the nearest allowed; Unreachable if it could not be asked."""
