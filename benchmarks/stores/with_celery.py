"""Celery: one message a request, on a Redis that flushes its log before it answers.

Celery's client blocks, so it is called in a thread, as its users do. No worker runs.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import celery
import redis
from starlette.concurrency import run_in_threadpool

from benchmarks.stores.common import Keep, Wanted, application, serve


@asynccontextmanager
async def keeping(_folder: Path) -> AsyncIterator[Keep]:
    """An empty queue; results are not asked for."""
    port = int(os.environ["PEER_REDIS"])
    redis.Redis(port=port).flushall()
    queue = celery.Celery("peer", broker=f"redis://127.0.0.1:{port}/0")

    @queue.task(name="paint", ignore_result=True)
    def paint(kind: str, prompt: str) -> None: ...

    async def keep(id: str, _body: bytes, wanted: Wanted) -> None:
        await run_in_threadpool(
            paint.apply_async, (wanted.kind, wanted.prompt), task_id=id, ignore_result=True
        )

    yield keep


if __name__ == "__main__":
    serve(application(keeping))
