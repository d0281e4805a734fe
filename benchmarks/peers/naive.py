"""A peer: Starlette on uvicorn, the way it is mostly written.

    python benchmarks/peers/naive.py PORT

An endpoint for each follower with a queue of its own, and `send_json` of what comes out of
it. uvicorn has its fastest parts: uvloop, httptools, the sans-I/O WebSocket class.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from event import Orders
from serving import serve
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

followers: defaultdict[int, set[asyncio.Queue[object]]] = defaultdict(set)
orders = Orders()


async def follow(websocket: WebSocket) -> None:
    """Send whatever is put into this follower's queue."""
    queue: asyncio.Queue[object] = asyncio.Queue()
    topic = followers[websocket.path_params["topic"]]
    await websocket.accept()
    await websocket.send_text("ok")
    topic.add(queue)
    try:
        while True:
            await websocket.send_json(await queue.get())
    finally:
        topic.discard(queue)


async def publish(websocket: WebSocket) -> None:
    """Put each event into the queues of its topic."""
    await websocket.accept()
    await websocket.send_text("ok")
    async for order in websocket.iter_text():
        for topic, event in orders.read(order):
            for queue in followers[topic]:
                queue.put_nowait(event)


app = Starlette(
    routes=[
        WebSocketRoute("/follow/{topic:int}", follow),
        WebSocketRoute("/bench/publish", publish),
    ]
)

if __name__ == "__main__":
    serve(app)
