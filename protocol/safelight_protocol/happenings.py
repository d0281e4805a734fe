"""What a client end tells its driver: things that happened, as structs.

Owns the outputs of `client.py` that are not writes. Payloads stay raw JSON (bytes for
a binary frame): the reader of a topic knows their types. See docs/wire.md.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .replies import Payload

Reason = Literal["timeout", "disconnected", "crashed", "closed", "left"]


class Connect(msgspec.Struct, frozen=True):
    """Open a connection now; then say `connected` or, if that fails, `disconnected`."""


class Disconnected(msgspec.Struct, frozen=True):
    """The connection is gone. `Connect` follows at `retry_at`, by `tick`."""

    code: int | None
    retry_at: float


class Joined(msgspec.Struct, frozen=True):
    """The topic is joined; what follows on it comes after this response.

    `again` is True from the second time on. `response` of a task's channel holds its
    snapshot: show that if it says `gap`, or at the first time.
    """

    topic: str
    response: Payload
    again: bool


class NotJoined(msgspec.Struct, frozen=True):
    """The server refused the join. `retry_at` None: it will not be tried again."""

    topic: str
    response: Payload
    retry_at: float | None


class Crashed(msgspec.Struct, frozen=True):
    """The channel, or the join, failed without an answer; it is joined again then."""

    topic: str
    retry_at: float


class Closed(msgspec.Struct, frozen=True):
    """The server ended the channel for good."""

    topic: str


class Told(msgspec.Struct, frozen=True):
    """An event of the channel. A task event is told once, and in the order of its log."""

    topic: str
    event: str
    payload: Payload


class Hole(msgspec.Struct, frozen=True):
    """Task events after the cursor `after` were missing when a later one came.

    The client joins again from there. If the hole is still there, the later event is
    told, and what was between stays unknown.
    """

    topic: str
    after: str


class Answered(msgspec.Struct, frozen=True):
    """The reply to a push. `response` is bytes if the reply was binary."""

    ref: str
    status: str
    response: Payload


class Unanswered(msgspec.Struct, frozen=True):
    """No reply to a push will be told. Whether the server acted on it is unknown."""

    ref: str
    reason: Reason


Happening = (
    Connect
    | Disconnected
    | Joined
    | NotJoined
    | Crashed
    | Closed
    | Told
    | Hole
    | Answered
    | Unanswered
)
