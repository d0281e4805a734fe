"""How one join is spoken to, and what its channels need of the connection beneath.

Owns the few types that joins, commands and channels share. Knows no task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from safelight_protocol import realtime
from safelight_protocol.frames import Serializer
from safelight_protocol.session import Session

from ..broadcast import Frames

__all__ = ["Channel", "Frames", "Previews", "Socket", "Voice"]

Previews = Literal["binary", "url"] | None


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """How one join is spoken to. `answers` says whether it wants its commands answered."""

    topic: str
    serializer: Serializer
    session: Session
    previews: Previews = None
    answers: bool = True

    def push(self, event: str, payload: bytes) -> Frames:
        """An event for this join alone; no frames if the join is over."""
        return [*self.session.push(self.topic, *realtime.spoken(self.topic, event, payload))]


class Channel(Protocol):
    """What a connection asks of a joined topic."""

    def close(self) -> None:
        """Send nothing more and hold nothing more."""

    def fall_behind(self) -> None:
        """The client takes nothing at the moment: what comes is pulled later."""

    async def pull(self, room: int) -> Frames:
        """What is to be sent next, in order, of about `room` bytes or one frame; empty when
        the reader has everything."""


class Socket(Protocol):
    """What joins and commands need of their connection."""

    @property
    def takes_binary(self) -> bool:
        """Whether binary frames reach this client."""

    @property
    def is_taking(self) -> bool:
        """Whether the client takes what is written, as far as is known."""

    def fail(self, defect: Exception) -> None:
        """Hang up: what was to be written could not be."""

    @property
    def wire(self) -> Callable[[bytes], None] | None:
        """Writes frames as they travel, where this client can be written to so."""

    def send(self, frames: Frames) -> None:
        """Write these after what is already waiting."""

    def open(self, topic: str, channel: Channel) -> None:
        """Begin to pull from a channel."""

    def wake(self, topic: str) -> None:
        """There is something to pull from the topic's channel."""

    def channel(self, topic: str) -> Channel | None:
        """What was opened for a topic."""

    def shut(self, topic: str) -> None:
        """Write nothing more of a topic from here on."""
