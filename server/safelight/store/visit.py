"""Statements on their way to the connection's thread, gathered into as few visits as can be.

A visit costs two changes of thread, whatever is done in it, and most of what a batch
writes waits for no answer: so statements are kept until one is needed. Rows go in by many
at a time, their values bound, since every statement lets go of Python's lock and has to
wait for it again. Knows neither what the statements say nor what an answer means.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Protocol

Statement = tuple[str, Sequence[Any]]
"""SQL and the values bound to it."""

Rows = list[sqlite3.Row]

AT_ONCE = 64
"""Rows of one INSERT; fewer go by powers of two, so that few statements are ever prepared."""


CHANGED = "SELECT CASE changes() WHEN ?1 THEN 1 ELSE json('too few') END"
"""Fails (a text that is no JSON is SQLite's way to say so) unless the statement before it has
changed so many rows: then what follows in the same visit, the COMMIT too, is not carried out."""


class Thread(Protocol):
    """What is visited. `execute_all` carries out one statement after another and appends the
    rows of each to `done`; it raises what the first to fail raises, and stops there."""

    async def execute_all(
        self, statements: Sequence[Statement], done: list[Rows]
    ) -> None: ...  # pragma: no cover


class Visits:
    """The statements of one transaction, in their order."""

    def __init__(self, connection: Thread) -> None:
        self._connection = connection
        self._waiting: list[Statement] = []
        self.failed = ""

    def later(self, statement: str, *bound: Any) -> None:
        """Carry it out before whatever is asked next."""
        self._waiting.append((statement, bound))

    def insert(self, head: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, in their order, before whatever is asked next. `head` is an INSERT up
        to its `VALUES`."""
        start = 0
        for count in _portions(len(rows)):
            part = rows[start : start + count]
            start += count
            bound = tuple(chain.from_iterable(part))
            self._waiting.append((_statement(head, len(part[0]), count), bound))

    def update(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Update by rows, each of which must find its own, before whatever is asked next; else
        `CHANGED` fails. `statement` has a bare `VALUES` where the rows go, the first column of
        which finds nothing where it is NULL: so rows are filled up to a power of two."""
        for start in range(0, len(rows), AT_ONCE):
            part = rows[start : start + AT_ONCE]
            width, count = len(part[0]), 1 << (len(part) - 1).bit_length()
            empty = (None,) * (width * (count - len(part)))
            bound = (*chain.from_iterable(part), *empty)
            self._waiting.append((_statement(statement, width, count), bound))
            self._waiting.append((CHANGED, (len(part),)))

    async def ask(self, *questions: Statement) -> list[Rows]:
        """The rows of each question; all that waits is carried out first, in the same visit.

        Raises what SQLite raises; `failed` is then the statement that it raised it for.
        """
        if not questions:
            return []
        statements, self._waiting = [*self._waiting, *questions], []
        done: list[Rows] = []
        try:
            await self._connection.execute_all(statements, done)
        except sqlite3.Error:
            self.failed = statements[len(done)][0]
            raise
        return done[len(done) - len(questions) :]


def _portions(rows: int) -> Iterator[int]:
    while rows:
        count = min(AT_ONCE, 1 << (rows.bit_length() - 1))
        yield count
        rows -= count


@cache
def _statement(text: str, width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return text.replace("VALUES", f"VALUES {', '.join([row] * rows)}")
