"""A line: tasks of one owner for one model at one host, in the order in which they came.

Whoever leaves from the middle is passed over where it stands, and cleared away with others,
so that joining, leaving and counting who stands before somebody cost no walk along the line.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter

import msgspec

FEW = 64
"""Entries of those who left that may stand in a line before it is put in order."""


class Waiting(msgspec.Struct, gc=False, eq=False):
    """One stay in the queue. `order` is the place in time at which it joined its line, 0
    before that. `told_at` is when it last heard why it waits; `low` and `high` are the instants
    between which its end was promised, while it stood at `standing`."""

    uid: str
    owner: str
    host: str
    model: str
    not_before: int
    order: int = 0
    told_at: int = 0
    low: int | None = None
    high: int | None = None
    standing: tuple[int, int] | None = None


_order = attrgetter("order")


class Line:
    """`listed` while its lane knows of it."""

    __slots__ = ("_entries", "_gone", "_head", "listed")

    def __init__(self) -> None:
        self._entries: list[Waiting] = []
        self._head = 0
        self._gone: list[int] = []
        self.listed = False

    def __len__(self) -> int:
        return len(self._entries) - self._head - len(self._gone)

    def append(self, waiting: Waiting) -> None:
        """To the end; its order is the highest of all."""
        self._entries.append(waiting)

    def first(self) -> Waiting | None:
        """Who is next."""
        gone = self._gone
        while self._head < len(self._entries):
            waiting = self._entries[self._head]
            if not gone or gone[0] != waiting.order:
                return waiting
            del gone[0]
            self._head += 1
        return None

    def pop(self) -> None:
        """The first one, which `first` has just shown, goes."""
        self._head += 1
        if self._head > FEW and self._head > len(self._entries) // 2:
            del self._entries[: self._head]
            self._head = 0

    def leave(self, waiting: Waiting) -> None:
        """Somebody who stands in the line goes."""
        insort(self._gone, waiting.order)
        if len(self._gone) > FEW and len(self._gone) > len(self):
            self._entries = list(self)
            self._head, self._gone = 0, []

    def before(self, order: int) -> int:
        """How many joined earlier than that and still stand here."""
        place = bisect_left(self._entries, order, lo=self._head, key=_order)
        return place - self._head - bisect_left(self._gone, order)

    def entries(self) -> int:
        """Entries, those of who left included."""
        return len(self._entries) + len(self._gone)

    def __iter__(self) -> Iterator[Waiting]:
        """Those who stand here, the first one first."""
        return self.stretch(0)

    def firsts(self, most: int) -> list[Waiting]:
        """The first so many."""
        if not self._gone:
            return self._entries[self._head : self._head + most]
        return list(islice(self, most))

    def stretch(self, start: int, count: int | None = None) -> Iterator[Waiting]:
        """Of those between two places of the line, the ones who still stand there."""
        begin = self._head + start
        end = None if count is None else begin + count
        gone = set(self._gone)
        entries = islice(self._entries, begin, end)
        return (one for one in entries if one.order not in gone)
