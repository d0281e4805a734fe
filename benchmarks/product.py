"""The product as a target of the fan-out benchmarks: the real application, as it is served.

    python benchmarks/product.py PORT TOPICS FOLDER [stock]

It is started by `safelight.serve` with a token, a store in FOLDER and the scripted provider;
its TOPICS tasks are made by the orchestrator and are live until the process ends. Followers
join them like any client. `stock` serves the same application on uvicorn as it comes.

The one thing added is a socket that publishes: each order is an event of a live task,
encoded, taken into the log and told to the followers by the doors that the orchestrator
uses after its commit. The commit itself is left out, as no peer stores anything; what it
costs stands in the tables of `bench_latency.py`. Prints `listening on <address>`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from safelight import telemetry
from safelight.app import create_app
from safelight.doors import make_room
from safelight.edges.context import Context, context_of
from safelight.providers.scripted import Scripted
from safelight.serve import serve
from safelight.settings import Settings
from safelight.subscriptions import tasks_of
from safelight_protocol.commands import read_native
from safelight_protocol.events import Progress, encode_event, timestamp
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

TOKEN = "bench-token"
OWNER = "bench"
GATE = "never"
TASKS_AT_ONCE = 100
RUNNING = 4
"""As many as one provider runs at a time; the other tasks wait their turn, for ever."""


class Publisher:
    """The tasks of all topics, in order, and the last seq of each."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: list[Task] = []
        self._seqs: list[int] = []

    async def make(self, count: int) -> None:
        """Create that many tasks, many at a time."""
        for start in range(0, count, TASKS_AT_ONCE):
            some = range(start, min(start + TASKS_AT_ONCE, count))
            await asyncio.gather(*(self._create(number) for number in some))
        for number in range(count):
            task = await self._context.orchestrator.find(OWNER, f"bench-{number:04d}")
            self._tasks.append(task)
        for task in self._tasks[:RUNNING]:
            await self._claimed(task)
        self._seqs = [self._snapshot(task).seq for task in self._tasks]

    async def _create(self, number: int) -> None:
        script = [{"do": "wait", "gate": GATE}]
        body = {
            "id": f"bench-{number:04d}",
            "kind": "image",
            "prompt": "a crowd that watches",
            "model": "scripted/image",
            "params": {"script": script},
        }
        await self._context.orchestrator.create(OWNER, read_native(body))

    async def _claimed(self, task: Task) -> None:
        """An event tells it, and the followers of the task are woken."""
        claimed = asyncio.Event()
        subscription = self._context.subscriptions.follow(task.uid, claimed.set)
        while self._snapshot(task).status != "processing":
            claimed.clear()
            await claimed.wait()
        subscription.close()

    def _snapshot(self, task: Task) -> Snapshot:
        snapshot = self._context.log.live_snapshot(task.uid)
        assert snapshot is not None, "a task that has not ended is in memory"
        return snapshot

    def publish(self, topic: int, stamp: str) -> None:
        """One event of a task, as the orchestrator tells it after its commit."""
        task = self._tasks[topic]
        self._seqs[topic] += 1
        event = Progress(
            task_id=task.id,
            seq=self._seqs[topic],
            status="processing",
            progress=0.421337,
            timestamp=timestamp(int(time.time() * 1000)),
            attempt=1,
            step=42,
            steps=100,
            message=stamp,
            eta=None,
        )
        self._context.log.append(task, event, encode_event(event))
        self._context.subscriptions.wake(task.uid)
        self._context.subscriptions.wake(tasks_of(OWNER))


async def obey(websocket: WebSocket) -> None:
    """Orders "FIRST COUNT TOPICS STAMP" of load.c."""
    context_of(websocket).owner(websocket)
    publisher: Publisher = websocket.app.state.publisher
    await websocket.accept()
    await websocket.send_text("ok")
    async for order in websocket.iter_text():
        first, count, topics, stamp = order.split()
        for topic in range(int(first), int(first) + int(count)):
            publisher.publish(topic % int(topics), stamp)


def with_topics(settings: Settings, count: int) -> Starlette:
    """The application as shipped, whose tasks are there before it listens."""
    app = create_app(settings, {"scripted": Scripted()})
    app.router.routes.append(WebSocketRoute("/bench/publish", obey))
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[object]:
        async with inner(app) as state:
            app.state.publisher = Publisher(app.state.context)
            await app.state.publisher.make(count)
            yield state

    app.router.lifespan_context = lifespan  # type: ignore[assignment]
    return app


def serve_stock(app: Starlette, port: int) -> None:
    """The same application without our doors: any ASGI server's ordinary sends."""
    make_room()
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_config=None,
        access_log=False,
        backlog=2048,
    )


def main() -> None:
    """Serve until a signal."""
    port, count, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    settings = Settings(
        port=port,
        data_dir=folder,
        tokens={TOKEN: OWNER},
        scripted=True,
        attempt_timeout_seconds=3600.0,
    )
    if sys.argv[4:] == ["stock"]:
        telemetry.configure(settings.log_level, settings.log_format)
        serve_stock(with_topics(settings, count), port)
    else:
        serve(
            settings, lambda line: print(line, flush=True), lambda given: with_topics(given, count)
        )


if __name__ == "__main__":
    main()
