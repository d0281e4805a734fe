"""arq: one job a request on a Redis that flushes its log before it answers. No worker runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import arq
from arq.connections import RedisSettings

from benchmarks.stores.common import Keep, Wanted, application, serve


@asynccontextmanager
async def keeping(_folder: Path) -> AsyncIterator[Keep]:
    """An empty queue."""
    port = int(os.environ["PEER_REDIS"])
    queue = await arq.create_pool(RedisSettings(host="127.0.0.1", port=port))
    await queue.flushall()

    async def keep(id: str, _body: bytes, wanted: Wanted) -> None:
        await queue.enqueue_job("paint", wanted.kind, wanted.prompt, _job_id=id)

    yield keep
    await queue.aclose()


if __name__ == "__main__":
    serve(application(keeping))
