"""A database connection that fails when a test says so, and forgets it when told.

Stands for a disk with I/O errors: the error has the code that SQLite gives it, and comes
before or after the statement was carried out. Unrealistic: nothing on the disk is damaged,
and a real error often comes to all handles at once; tests/faults has the real thing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiosqlite

from safelight.store import database


def error_of(code: int) -> sqlite3.OperationalError:
    """The error that Python's sqlite3 makes of a code."""
    made = sqlite3.OperationalError(f"error {code} of the disk")
    made.sqlite_errorcode = code
    return made


class Sulky:
    """Makes connections for `open_store(connect=…)`, and knows them all.

    `before` and `after` get each statement and return a code to fail with, or None;
    `opening` is asked for each new connection.
    """

    def __init__(self) -> None:
        self.before: Callable[[str], int | None] = lambda statement: None
        self.after: Callable[[str], int | None] = lambda statement: None
        self.opening: Callable[[], int | None] = lambda: None
        self.made: list[Sulking] = []

    async def connect(self, path: Path, *, read_only: bool = False) -> Any:
        """A connection that fails as it is told."""
        code = self.opening()
        if code is not None:
            raise error_of(code)
        sulking = Sulking(self, await database.connect(path, read_only=read_only), read_only)
        self.made.append(sulking)
        return sulking

    def content(self) -> None:
        """Nothing fails any more."""
        self.before = self.after = lambda statement: None
        self.opening = lambda: None


class Sulking:
    """One connection; what is not overridden here is the real one's."""

    def __init__(self, by: Sulky, real: aiosqlite.Connection, read_only: bool) -> None:
        self._by = by
        self._real = real
        self.read_only = read_only
        self.open = True

    async def execute_fetchall(self, statement: str, values: Any = ()) -> Any:
        """Fail before, carry out, fail after."""
        self._fail(self._by.before(statement))
        rows = await self._real.execute_fetchall(statement, values)
        self._fail(self._by.after(statement))
        return rows

    async def execute_all(self, statements: Any, done: list[Any]) -> None:
        """One statement after another, each with its own chance to fail."""
        for statement, bound in statements:
            done.append(await self.execute_fetchall(statement, bound))

    async def close(self) -> None:
        """Closed once, and noted."""
        self.open = False
        await self._real.close()

    def _fail(self, code: int | None) -> None:
        if code is not None:
            raise error_of(code)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def once(word: str, code: int) -> Callable[[str], int | None]:
    """Fail the first statement with that word in it, and no other."""
    left = [code]
    return lambda statement: left.pop() if left and word in statement else None


def always(word: str, code: int) -> Callable[[str], int | None]:
    """Fail every statement with that word in it."""
    return lambda statement: code if word in statement else None
