"""aiosqlite at synchronous=FULL, one transaction for each request: how it is done usually.

A lock holds each transaction together on the one connection, so that no commit carries the
row of another request by chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite

from benchmarks.stores.common import Keep, Wanted, application, serve


@asynccontextmanager
async def keeping(folder: Path) -> AsyncIterator[Keep]:
    """One table, one connection."""
    async with aiosqlite.connect(folder / "tasks.sqlite") as db:
        await db.execute("PRAGMA journal_mode=WAL")
        await db.execute("PRAGMA synchronous=FULL")
        await db.execute("CREATE TABLE tasks (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")
        await db.commit()
        one_at_a_time = asyncio.Lock()

        async def keep(id: str, body: bytes, _wanted: Wanted) -> None:
            async with one_at_a_time:
                await db.execute("INSERT INTO tasks VALUES (?, ?)", (id, body))
                await db.commit()

        yield keep


if __name__ == "__main__":
    serve(application(keeping))
