"""Black-box checks of an endpoint that speaks Safelight's wire.

For whoever writes another server, puts a proxy in front of one, or wants to know what a
client may rely on. Shares no module with the product: what it expects is written here a
second time, from docs/wire.md. It makes small tasks, never touches those of others, and
removes what it made where the endpoint lets it.
"""

from __future__ import annotations

from . import channels, frames, identity, rest, sessions, streams
from .checking import Check, Verdict, checks_of, run
from .endpoint import Endpoint, Unreachable, connect

__all__ = ["CHECKS", "Check", "Endpoint", "Unreachable", "Verdict", "connect", "run"]

CHECKS: tuple[Check, ...] = tuple(
    check
    for module in (rest, identity, streams, frames, sessions, channels)
    for check in checks_of(module)
)
"""All of them, in the order in which they are run."""
