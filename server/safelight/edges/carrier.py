"""What a connection needs of whatever carries its frames: a line of ours, or a pump.

The other direction, what a carrier tells its connection, is `line.Receiver`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from safelight_protocol.effects import Hangup

from ..broadcast import Frames

Pull = Callable[[], Coroutine[Any, Any, None]]
"""Takes what a client's topics have to tell, and writes it."""


class Carrier(Protocol):
    """What carries the frames of one client. It calls its connection back as a `Receiver`
    (see `line.py`). `takes_binary` says whether binary frames reach the client;
    `idle_seconds` is how long it may be silent, heartbeats included; `untaken` is what was
    written and not taken, in any unit, and `backlog` what of it this carrier itself holds until
    `resume_writing`; `wire` writes frames as they travel, where they do."""

    @property
    def takes_binary(self) -> bool: ...
    @property
    def idle_seconds(self) -> float: ...
    @property
    def untaken(self) -> int: ...
    @property
    def backlog(self) -> int: ...
    @property
    def wire(self) -> Callable[[bytes], None] | None: ...

    def write(self, frames: Frames) -> int:
        """Send these after all that was written. Returns what that added to `untaken`."""

    def pause_reading(self) -> None:
        """Take nothing more from the client for now."""

    def resume_reading(self) -> None:
        """Go on."""

    def start(self, pull: Pull) -> None:
        """Run this, which pulls frames and writes them, as soon as may be."""

    async def flush(self) -> None:
        """Return once what was written is handed over, as far as this carrier can tell."""

    def close(self, why: Hangup, *, unsaid: bool = False) -> None:
        """Say goodbye with a code, if anybody still listens; with `unsaid`, what has not
        gone out yet need not."""
