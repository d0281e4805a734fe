"""How one join is spoken to, and what its channels need of the connection beneath.

Owns the few types that joins, commands and channels share. Knows no task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from safelight_protocol.frames import Serializer

Frames = list[str | bytes]

Push = Callable[[str, bytes], Frames]
"""`(event, payload)` as frames of this join; none if the join is over."""

Previews = Literal["binary", "url"] | None


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """How one join is spoken to. `answers` says whether it wants its commands answered."""

    topic: str
    serializer: Serializer
    push: Push
    previews: Previews = None
    answers: bool = True


class Channel(Protocol):
    """What the connection's writer asks of a joined topic."""

    def close(self) -> None:
        """Send nothing more and hold nothing more."""

    async def pull(self) -> Frames:
        """What is to be sent next, in order; empty when the reader has everything."""


class Socket(Protocol):
    """What joins and commands need of their connection."""

    @property
    def takes_binary(self) -> bool:
        """Whether binary frames reach this client."""

    def send(self, frames: Frames) -> None:
        """Write these after what is already waiting."""

    def open(self, topic: str, channel: Channel) -> None:
        """Begin to pull from a channel."""

    def wake(self, topic: str) -> None:
        """There is something to pull from the topic's channel."""

    def shut(self, topic: str) -> None:
        """Write nothing more of a topic from here on."""
