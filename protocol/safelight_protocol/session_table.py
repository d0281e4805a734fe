"""The dispatch table of a session: what a frame asks for, given what its topic is.

Owns the decision, and nothing of how it is carried out (`session.py`). One cell for
each kind of frame and each standing of its topic; none is missing. docs/wire.md
explains the cells.
"""

from __future__ import annotations

from enum import Enum, auto

from . import topics


class Kind(Enum):
    """What a frame says, by its event."""

    HEARTBEAT = auto()
    JOIN = auto()
    LEAVE = auto()
    SERVERS = auto()
    """phx_reply, phx_close or phx_error: not for a client to say."""
    OTHER = auto()


class Standing(Enum):
    """What a frame's topic is to the socket, given the frame's join_ref."""

    CURRENT = auto()
    """Joined or joining, and the frame's join_ref is equal or null."""
    STALE = auto()
    """Joined or joining, and the frame names another join."""
    FREE = auto()
    FULL = auto()
    """Free, but the socket has as many channels as it may."""
    NOWHERE = auto()
    """No topic has that form."""


class Do(Enum):
    """What the session does about it."""

    BEAT = auto()
    """Reply ok at once, with a null join_ref."""
    JOIN = auto()
    """Ask the driver to join; what had the topic is left first and closed after."""
    TOO_MANY = auto()
    """Reply error."""
    LEAVE = auto()
    """Stop the channel, reply ok, then phx_close."""
    ABSENT = auto()
    """Reply ok to a leave of what is not joined."""
    CRASH = auto()
    """Stop the channel with phx_error: its client is out of order."""
    COMMAND = auto()
    """Hand it to the driver."""
    UNMATCHED = auto()
    """Reply error, with a null join_ref."""
    IGNORE = auto()
    """Say nothing."""


_GRID = {
    #               CURRENT     STALE      FREE          FULL          NOWHERE
    Kind.HEARTBEAT: (Do.BEAT, Do.BEAT, Do.BEAT, Do.BEAT, Do.BEAT),
    Kind.JOIN: (Do.JOIN, Do.JOIN, Do.JOIN, Do.TOO_MANY, Do.UNMATCHED),
    Kind.LEAVE: (Do.LEAVE, Do.IGNORE, Do.ABSENT, Do.ABSENT, Do.ABSENT),
    Kind.SERVERS: (Do.CRASH, Do.IGNORE, Do.UNMATCHED, Do.UNMATCHED, Do.UNMATCHED),
    Kind.OTHER: (Do.COMMAND, Do.IGNORE, Do.UNMATCHED, Do.UNMATCHED, Do.UNMATCHED),
}

TABLE: dict[tuple[Kind, Standing], Do] = {
    (kind, standing): cell
    for kind, cells in _GRID.items()
    for standing, cell in zip(Standing, cells, strict=True)
}

_KINDS = {
    "phx_join": Kind.JOIN,
    "phx_leave": Kind.LEAVE,
    "phx_reply": Kind.SERVERS,
    "phx_close": Kind.SERVERS,
    "phx_error": Kind.SERVERS,
}


def kind_of(topic: str, event: str) -> Kind:
    """The kind of a client's frame."""
    if topic == topics.PHOENIX and event == "heartbeat":
        return Kind.HEARTBEAT
    return _KINDS.get(event, Kind.OTHER)
