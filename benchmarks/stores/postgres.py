"""asyncpg and PostgreSQL as it comes (fsync on): one INSERT, and so one commit, a request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from benchmarks.stores.common import Keep, Wanted, application, serve

CONNECTIONS = 16


@asynccontextmanager
async def keeping(_folder: Path) -> AsyncIterator[Keep]:
    """A pool on an empty table."""
    where = {"host": os.environ["PEER_POSTGRES"], "user": "postgres", "database": "postgres"}
    async with asyncpg.create_pool(**where, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        await pool.execute("DROP TABLE IF EXISTS tasks")
        await pool.execute("CREATE TABLE tasks (id text PRIMARY KEY, body bytea)")

        async def keep(id: str, body: bytes, _wanted: Wanted) -> None:
            await pool.execute("INSERT INTO tasks VALUES ($1, $2)", id, body)

        yield keep


if __name__ == "__main__":
    serve(application(keeping))
