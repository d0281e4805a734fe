"""The store: tasks, events and keys in one SQLite file, the only truth.

`Store.open` takes the data directory for this process; `put` writes (group
commit, fenced, fsynced), `read` has the queries. The contract that a second
engine would have to keep is tests/server/store/test_contract_*.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from . import database
from . import statements as sql
from .checkpoints import Checkpoints, running
from .database import DatabaseTooNew, DataDirectoryBusy, Handle, Link
from .deliveries import DeliveryRow, Forgetting, Postponed, Revived, SecretKept, SecretRow, Sent
from .entries import Entry
from .ledger import Correction
from .ledger_sums import Deferral, Total
from .preferences import Preference
from .reader import ChangeRow, EventRow, LiveRow, Reader, RunTime
from .records import (
    ArtifactRow,
    Birth,
    Change,
    Clearing,
    Created,
    Creation,
    Drawn,
    Expiring,
    Fenced,
    Item,
    Removal,
    StoreTrouble,
    Sweep,
    Swept,
    Tried,
    Unused,
    Upload,
    UploadRow,
    Withdrawal,
)
from .writer import Learn, Writer

__all__ = [
    "ArtifactRow",
    "Birth",
    "Change",
    "ChangeRow",
    "Clearing",
    "Correction",
    "Created",
    "Creation",
    "DataDirectoryBusy",
    "DatabaseTooNew",
    "Deferral",
    "DeliveryRow",
    "Drawn",
    "Entry",
    "EventRow",
    "Expiring",
    "Fenced",
    "Forgetting",
    "LiveRow",
    "Postponed",
    "Preference",
    "Removal",
    "Revived",
    "RunTime",
    "SecretKept",
    "SecretRow",
    "Sent",
    "Store",
    "StoreTrouble",
    "Sweep",
    "Swept",
    "Total",
    "Tried",
    "Unused",
    "Upload",
    "UploadRow",
    "Withdrawal",
]


class Connect(Protocol):
    """How a connection to the database file is made."""

    async def __call__(
        self, path: Path, *, read_only: bool = False
    ) -> Handle: ...  # pragma: no cover


class Store:
    """An open store. `log` is the id of this start's log, `run` its number."""

    def __init__(
        self, writer: Writer, reader: Reader, checkpoints: Checkpoints, run: int, log: str
    ) -> None:
        self._writer = writer
        self._checkpoints = checkpoints
        self.read = reader
        self.run = run
        self.log = log

    @property
    def position(self) -> int:
        """The number of the newest change on disk, over all owners."""
        return self._writer.last_change

    async def put(self, item: Item) -> Any:
        """Write one item and return after its commit: the task of a Change, Created
        of a Creation, the hashes that nothing uses any more of a Removal, a Preference as
        it is, and what the items about files say that they come to.

        Raises Fenced, Refused (of a Creation) or StoreTrouble.
        """
        return await self._writer.put(item)

    def begin(self, item: Item) -> asyncio.Future[Any]:
        """What `put` awaits, for who wants to know of it without waiting. Raises StoreTrouble
        once the store is closed."""
        return self._writer.begin(item)

    def hand(self, item: Item, learn: Learn) -> None:
        """The same without a future: `learn` is called with what the item came to, behind its
        commit, an exception if nothing was written of it. Raises as `begin` does."""
        self._writer.hand(item, learn)

    def statistics(self) -> dict[str, int]:
        """Group commits so far, the items in them, and how often the database was opened
        anew after trouble with the disk."""
        writer = self._writer
        return {
            "groups": writer.groups,
            "members": writer.members,
            "reopened": writer.reopened,
            "checkpoints": self._checkpoints.done,
            "log_pages": self._checkpoints.pages,
        }


@asynccontextmanager
async def open_store(
    directory: Path,
    now: int,
    on_group: Callable[[int], None] = lambda size: None,
    connect: Connect = database.connect,
) -> AsyncIterator[Store]:
    """Lock, migrate and open the store in `directory`; begin a new log at `now`.

    Raises DataDirectoryBusy or DatabaseTooNew. At exit everything that waits is
    written first. `connect` makes the connections: a test may put trouble between.
    """
    held = database.lock_directory(directory)
    path = directory / "safelight.sqlite3"
    writing = Link(lambda: connect(path))
    reading = Link(lambda: connect(path, read_only=True))
    keeping = Link(lambda: connect(path))
    try:
        connection = await writing.get()
        await database.migrate(connection)
        await database.settle(connection)
        last_change = int(await database.scalar(connection, sql.LAST_CHANGE))
        run, log = await database.open_log(connection, now, last_change)
        await reading.get()
        reader = Reader(reading)
        checkpoints = Checkpoints(keeping)

        async def renew() -> None:
            await reader.renew()
            await checkpoints.renew()

        writer = Writer(writing, run, last_change, renew, checkpoints, on_group)
        async with running(checkpoints):
            task = asyncio.create_task(writer.run(), name="store writer")
            try:
                yield Store(writer, reader, checkpoints, run, log)
            finally:
                writer.close()
                await task
    finally:
        await reading.close()
        await keeping.close()
        await writing.close()
        held.close()
