"""A client's place in the log of one task.

Owns which events were seen, which are repeats and where one is missing. Knows no
socket: it is told of join replies and of task events. A cursor is spelt
`<log>-<seq>`; a log's name may contain hyphens. The rules are those of docs/wire.md.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from .task import ENDED_STATES


class Cursor(msgspec.Struct, frozen=True):
    """Everything up to `seq` of the history `log` is known. `log` is None if unknown."""

    log: str | None
    seq: int

    def __str__(self) -> str:
        return str(self.seq) if self.log is None else f"{self.log}-{self.seq}"


def read_cursor(text: str) -> Cursor | None:
    """The cursor that a text spells, or None. A bare number has no log."""
    log, hyphen, seq = text.rpartition("-")
    if not (seq.isascii() and seq.isdigit()):
        return None
    return Cursor(log if hyphen else None, int(seq))


class Verdict(Enum):
    """What to do with a task event."""

    NEW = auto()
    SEEN = auto()
    HOLE = auto()
    """Something before it is missing; it was not taken."""


class _Reply(msgspec.Struct, frozen=True):
    log: str | None = None
    cursor: str | None = None
    seq: int | None = None
    gap: bool = False


class _Position(msgspec.Struct, frozen=True):
    seq: int
    from_seq: int | None = None
    type: str = ""


_read_reply = msgspec.json.Decoder(_Reply).decode
_read_position = msgspec.json.Decoder(_Position).decode


class Reader:
    """Follows one task through any number of joins.

    The client's own place wins over the server's as long as the log is the same and
    no gap is announced: what lies between them is about to be sent. Otherwise the
    snapshot in the reply is the new beginning.

    The terminal event of a task that had ended before the join comes with the very
    seq of the reply's cursor. It is new unless this reader was given it before.
    """

    def __init__(self, after: str | None = None) -> None:
        """`after` is where to begin, from an earlier life; "0" asks for the whole log."""
        self.cursor: Cursor | None = None if after is None else read_cursor(after)
        self._given = 0
        self._holed_at: int | None = None

    def joined(self, response: msgspec.Raw) -> None:
        """Take the reply of a join. One that names no place leaves ours as it is."""
        try:
            reply = _read_reply(response)
        except msgspec.DecodeError:
            return
        place = _place(reply)
        own = self.cursor
        if place is None or (own and not reply.gap and own.log == place.log):
            return
        if own and not reply.gap and own.log is None:
            self.cursor = Cursor(place.log, own.seq)
            return
        self.cursor, self._given, self._holed_at = place, 0, None

    def judge(self, payload: msgspec.Raw) -> Verdict:
        """Take one task event. One without a seq is always new, and moves nothing.

        A hole is reported once at a place; when it is there again after the rejoin
        that it caused, the event is taken, or the task would be stuck for ever.
        """
        try:
            event = _read_position(payload)
        except msgspec.DecodeError:
            return Verdict.NEW
        if self.cursor is None:
            return Verdict.NEW
        here = self.cursor.seq
        if event.seq <= here:
            return self._again(event)
        first = event.seq if event.from_seq is None else event.from_seq
        if first > here + 1 and self._holed_at != here:
            self._holed_at = here
            return Verdict.HOLE
        return self._take(event)

    def _again(self, event: _Position) -> Verdict:
        owed = event.type in ENDED_STATES and self._given < event.seq
        if self.cursor and owed and event.seq == self.cursor.seq:
            return self._take(event)
        return Verdict.SEEN

    def _take(self, event: _Position) -> Verdict:
        self.cursor = Cursor(self.cursor.log if self.cursor else None, event.seq)
        self._given = event.seq
        return Verdict.NEW


def _place(reply: _Reply) -> Cursor | None:
    if reply.cursor is not None:
        return read_cursor(reply.cursor)
    return None if reply.seq is None else Cursor(reply.log, reply.seq)
