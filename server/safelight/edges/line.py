"""What our own server offers beyond ASGI: the line beneath an accepted WebSocket.

An extension of the scope under `LINE`. Whoever takes the line is called back for what
comes in and writes whole frames itself, so that an idle client costs neither a task nor a
queue, and one frame is made for all who are to get it. On any other ASGI server the
extension is absent, and ordinary sends carry the same frames. Implemented in `lines.py`.
"""

from __future__ import annotations

from typing import Protocol

LINE = "safelight.line"
"""The key of `scope["extensions"]`; its value is `{"line": <Line>}`."""


class Receiver(Protocol):
    """Who is called back for one line. No call may block or raise."""

    def received(self, message: str | bytes) -> None:
        """A whole message: text, of valid UTF-8, or bytes."""

    def lost(self) -> None:
        """Nothing comes any more, and nothing that is written reaches anybody. Called
        once, last, also for the receiver's own `close`."""

    def pause_writing(self) -> None:
        """The client takes less than is written: the write buffer is above its mark. May
        be called from within `write`."""

    def resume_writing(self) -> None:
        """The client took enough of it."""


class Line(Protocol):
    """An accepted WebSocket on a server of ours."""

    def attach(self, receiver: Receiver) -> None:
        """From here on the receiver is called, at once for what has already come, and the
        endpoint may return without ending the connection."""

    def write(self, frames: bytes) -> None:
        """Put whole frames (see `framing.py`) on the line, after all that was written."""

    @property
    def untaken(self) -> int:
        """How many bytes wait in the write buffer."""

    def pause_reading(self) -> None:
        """Read nothing more from the client for now."""

    def resume_reading(self) -> None:
        """Go on reading."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye after what was written, also to a client that reads nothing; what is
        left after a moment is cut off. May be called twice."""
