"""The disk of a simulated world: a real SQLite file behind delays, trouble and crashes.

`connect` gives what the store's writer, reader and batch need of a connection, so the
real SQL runs on real SQLite; only the thread between is gone. As there, statements of a
connection come one after another, and a cancelled waiter does not cancel his statement.
Unrealistic: no fsync is made (the machine itself does not fail), and trouble comes back
from a call, never as broken pages.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from safelight.store import open_store

FILE = "safelight.sqlite3"


@cache
def empty_database() -> bytes:
    """The file of a store that was opened once and closed, by the real migrations."""

    async def make(directory: Path) -> None:
        async with open_store(directory, 0):
            pass

    with TemporaryDirectory() as directory:
        asyncio.run(make(Path(directory)))
        return (Path(directory) / FILE).read_bytes()


class Disk:
    """One file in `directory`, and what befalls it. Trouble comes in windows of virtual
    time, each statement in one fails with probability `ILLNESS`.

    The planted bugs: with `eager` a commit is reported before it is done; with
    `forgetful` a crash takes back the last commit that was reported.
    """

    ILLNESS = 0.4

    def __init__(
        self,
        directory: Path,
        dice: Random,
        windows: list[tuple[float, float]],
        *,
        eager: bool = False,
        forgetful: bool = False,
    ) -> None:
        self.path = directory / FILE
        self.dice = dice
        self.eager = eager
        self.forgetful = forgetful
        self.calm = True
        self.failures = 0
        self._windows = windows
        self._open: list[SimulatedConnection] = []
        self._before: tuple[bytes, bytes] | None = None
        self._wal = self.path.with_name(FILE + "-wal")
        self._replace(empty_database(), b"")
        self._witness = self.raw()

    def raw(self) -> sqlite3.Connection:
        """A plain connection to the file."""
        raw = sqlite3.connect(self.path, isolation_level=None, cached_statements=256)
        raw.row_factory = sqlite3.Row
        raw.execute("PRAGMA synchronous=OFF")
        return raw

    async def connect(self, path: Path, *, read_only: bool = False) -> Any:
        """A connection for the store: an argument of `open_store`."""
        assert path == self.path
        made = SimulatedConnection(self, self.raw())
        self._open.append(made)
        return made

    def ask(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """What is committed, asked by the test beside everybody else."""
        return self._witness.execute(statement, values).fetchall()

    def is_ill(self, now: float) -> bool:
        """Whether a statement that runs now fails."""
        ill = not self.calm and any(start <= now < end for start, end in self._windows)
        return ill and self.dice.random() < self.ILLNESS

    def heal(self) -> None:
        """No more trouble from here on."""
        self._windows = []

    def remember(self) -> None:
        """Keep the file as it is before a commit."""
        if self.forgetful:
            wal = self._wal.read_bytes() if self._wal.exists() else b""
            self._before = (self.path.read_bytes(), wal)

    def crash(self) -> None:
        """The process is gone: what was not committed is undone, its connections are dead."""
        for connection in self._open:
            connection.kill()
        self._open.clear()
        if self.forgetful and self._before is not None:
            self._witness.close()
            self._replace(*self._before)
            self._witness = self.raw()

    def close(self) -> None:
        """The world ends."""
        self.crash()
        self._witness.close()

    def _replace(self, database: bytes, wal: bytes) -> None:
        self.path.write_bytes(database)
        self.path.with_name(FILE + "-shm").unlink(missing_ok=True)
        self._wal.unlink(missing_ok=True)
        if wal:
            self._wal.write_bytes(wal)


class SimulatedConnection:
    """What the store uses of an aiosqlite connection."""

    def __init__(self, disk: Disk, raw: sqlite3.Connection) -> None:
        self._disk = disk
        self._raw = raw
        self._loop = asyncio.get_running_loop()
        self._calls: deque[tuple[str, Any, asyncio.Future[list[sqlite3.Row]]]] = deque()
        self._answers: deque[tuple[asyncio.Future[Any], Callable[[Any], None], Any]] = deque()
        self._free = 0.0
        self._told = 0.0
        self._dead = False
        self._closed = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return not self._dead and not self._closed and self._raw.in_transaction

    async def execute_fetchall(self, statement: str, values: Any = ()) -> list[sqlite3.Row]:
        """Run one statement, some time later; its rows come back later still."""
        if self._closed:
            raise ValueError("no active connection")
        return await self._ask(statement, values)

    async def execute_all(self, statements: Any, done: list[Any]) -> None:
        """One after another, as the real one does in one visit; each takes its time."""
        for statement, bound in statements:
            done.append(await self.execute_fetchall(statement, bound))

    async def _ask(self, statement: str, values: Any = ()) -> list[sqlite3.Row]:
        answer: asyncio.Future[list[sqlite3.Row]] = self._loop.create_future()
        self._calls.append((statement, values, answer))
        self._free = max(self._free, self._loop.time() + self._delay(statement))
        self._loop.call_at(self._free, self._work)
        if self._disk.eager and statement == "COMMIT":
            return []
        return await answer

    async def close(self) -> None:
        """Close it, after what was asked before; what is asked later fails."""
        if not self._closed and not self._dead:
            self._closed = True
            await self._ask("")
            self._raw.close()

    def kill(self) -> None:
        """From here on nothing is done and nothing is answered."""
        self._dead = True
        self._raw.close()

    def _work(self) -> None:
        if self._dead or not self._calls:
            return
        statement, values, answer = self._calls.popleft()
        try:
            rows = self._run(statement, values)
        except sqlite3.Error as error:
            self._answer(answer, answer.set_exception, error)
        else:
            self._answer(answer, answer.set_result, rows)

    def _run(self, statement: str, values: Any) -> list[sqlite3.Row]:
        if statement in ("", "ROLLBACK") or not self._disk.is_ill(self._loop.time()):
            if statement == "COMMIT":
                self._disk.remember()
            return self._raw.execute(statement, values).fetchall()
        self._disk.failures += 1
        dice = self._disk.dice
        if statement == "COMMIT" and dice.random() < 0.4:
            self._raw.execute("COMMIT")  # it is done, and its end is not learnt
        elif self._raw.in_transaction and dice.random() < 0.5:
            self._raw.execute("ROLLBACK")  # SQLite often does so by itself
        raise _trouble(dice)

    def _answer(
        self, answer: asyncio.Future[Any], settle: Callable[[Any], None], with_: Any
    ) -> None:
        self._answers.append((answer, settle, with_))
        self._told = max(self._told, self._loop.time() + self._delay(""))
        self._loop.call_at(self._told, self._tell)

    def _tell(self) -> None:
        answer, settle, with_ = self._answers.popleft()
        if not answer.done() and not self._dead:
            settle(with_)

    def _delay(self, statement: str) -> float:
        dice = self._disk.dice
        kind = dice.random()
        if kind < 0.5:
            return 0.0
        if kind < 0.97 or statement != "COMMIT":
            return dice.random() * 0.02
        return dice.random() * 2.0  # a disk that has to catch up


def _trouble(dice: Random) -> sqlite3.OperationalError:
    code, message = dice.choice(
        [
            (sqlite3.SQLITE_IOERR, "disk I/O error"),
            (sqlite3.SQLITE_FULL, "database or disk is full"),
        ]
    )
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error
