"""What a session asks of its driver, and the words of its own error replies.

Owns the five effects of `session.py`. They are carried out one after another, in the
order in which they came. Knows neither the session's state nor any task.
"""

from __future__ import annotations

import msgspec

from . import topics
from .frames import FrameError, Ref

Data = str | bytes
"""One message of the transport: `str` goes out as text, `bytes` as binary."""


class Send(msgspec.Struct, frozen=True):
    """Write this now."""

    data: Data


class Join(msgspec.Struct, frozen=True):
    """A client wants this topic: answer by `accept` or `refuse` before the next effect.

    The refs are as received. `generation` is unique within the session and tells this
    join from every other, even from one that repeats its refs.
    """

    topic: str
    join_ref: Ref
    ref: Ref
    payload: msgspec.Raw
    generation: int


class Leave(msgspec.Struct, frozen=True):
    """That join is over: stop writing for it before the next effect is carried out."""

    topic: str
    join_ref: Ref
    generation: int


class Command(msgspec.Struct, frozen=True):
    """An event pushed by the client on its channel. `payload` is bytes if it was binary.

    `join_ref` is the channel's, even when the frame had none. Ask `is_current` before
    carrying it out: the join it belongs to may have been refused meanwhile.
    """

    topic: str
    join_ref: Ref
    ref: Ref
    event: str
    payload: msgspec.Raw | bytes
    generation: int


class Hangup(msgspec.Struct, frozen=True):
    """Close the connection with this code; nothing else comes from this session.

    `reason` has at most 123 bytes, all that a close frame has room for.
    """

    code: int
    reason: str


Effect = Send | Join | Leave | Command | Hangup


class Detail(msgspec.Struct, frozen=True):
    """What is wrong with one field. `found` has at most 80 characters."""

    field: str
    found: str
    expected: str


class Problem(msgspec.Struct, frozen=True):
    """The response of an error reply: `reason` in Phoenix's words, then our own three.

    `code` is a row of the codes table.
    """

    reason: str
    code: str
    message: str
    details: tuple[Detail, ...] = ()


class Statistics(msgspec.Struct, frozen=True):
    """A snapshot of a session's counters.

    `stale` counts frames of an earlier join, `refused` the session's own error replies,
    `dropped` what the driver wanted to write for a join that was over or pending.
    """

    channels: int
    received: int
    stale: int
    refused: int
    dropped: int


def unmatched(topic: str, *, known: bool) -> Problem:
    """The answer for a topic that is not joined, or that has no form we know."""
    if known:
        return Problem("unmatched topic", "unmatched_topic", "The topic is not joined.")
    detail = Detail("topic", topic[:80], topics.FORM)
    return Problem("unmatched topic", "unmatched_topic", "No topic has that form.", (detail,))


def too_many(limit: int) -> Problem:
    """The answer to one join more than a socket may have."""
    message = f"The socket has joined {limit} topics, as many as it may."
    return Problem("too many channels joined", "too_many_channels", message)


def invalid(error: FrameError) -> Problem:
    """The answer to a frame of which one part is wrong."""
    detail = Detail(error.field, error.found, error.expected)
    return Problem(f"invalid {error.field}", error.code, str(error), (detail,))
