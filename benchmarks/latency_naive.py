"""The server that one would write in an afternoon, for `bench_latency.py`.

    python -m benchmarks.latency_naive <provider's address> <folder> full|none

Starlette and uvicorn; for each job a task that follows the provider's stream with httpx2;
every event is decoded, committed by itself through aiosqlite at synchronous=FULL (with
`none` nothing is stored), put on a queue for each subscriber, and told by `send_json`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


class Jobs:
    """The jobs that run, their subscribers, and the table if there is one."""

    def __init__(self, http: httpx2.AsyncClient, table: aiosqlite.Connection | None) -> None:
        self.http = http
        self.table = table
        self.queues: dict[str, list[asyncio.Queue[Any]]] = {}
        self.running: list[asyncio.Task[None]] = []

    async def follow(self, job: str) -> None:
        """Read the job's stream; store and pass on each of its lines."""
        seq = 0
        async with self.http.stream("GET", f"/jobs/{job}") as answer:
            async for text in answer.aiter_lines():
                line = json.loads(text)
                seq += 1
                event = {
                    "type": "progress",
                    "task_id": job,
                    "seq": seq,
                    "status": "processing",
                    "progress": line["progress"],
                    "timestamp": "2026-11-21T12:00:00.000Z",
                    "attempt": 1,
                    "step": line["step"],
                    "steps": line["steps"],
                    "message": line["sent"],
                    "eta": None,
                }
                if self.table is not None:
                    row = (job, seq, json.dumps(event))
                    await self.table.execute("INSERT INTO events VALUES (?, ?, ?)", row)
                    await self.table.commit()
                for queue in self.queues.get(job, ()):
                    queue.put_nowait(event)


async def create(request: Request) -> JSONResponse:
    """POST /api/tasks: begin a job."""
    jobs: Jobs = request.app.state.jobs
    job = (await request.json())["prompt"]
    jobs.running.append(asyncio.create_task(jobs.follow(job)))
    return JSONResponse({"data": {"task_id": job}}, 202)


async def subscribe(websocket: WebSocket) -> None:
    """Everything that happens to the job named in the first message."""
    await websocket.accept()
    topic = json.loads(await websocket.receive_text())[2]
    queue: asyncio.Queue[Any] = asyncio.Queue()
    jobs: Jobs = websocket.app.state.jobs
    jobs.queues.setdefault(topic.removeprefix("task:"), []).append(queue)
    await websocket.send_json(["1", "1", topic, "phx_reply", {"status": "ok"}])
    while True:
        event = await queue.get()
        await websocket.send_json([None, None, topic, "progress", event])


async def main(url: str, folder: str, kind: str) -> None:
    """Serve until a signal."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=url, timeout=None, limits=limits) as http:
            async with aiosqlite.connect(Path(folder) / "naive.sqlite3") as table:
                await table.execute("PRAGMA journal_mode=WAL")
                await table.execute("PRAGMA synchronous=FULL")
                await table.execute("CREATE TABLE events (task TEXT, seq INTEGER, body TEXT)")
                await table.commit()
                app.state.jobs = Jobs(http, table if kind == "full" else None)
                yield

    routes = [
        Route("/api/tasks", create, methods=["POST"]),
        WebSocketRoute("/socket/websocket", subscribe),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes, lifespan=lifespan),
        log_level="error",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=1,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:4]))
