"""A peer: python-socketio on uvicorn, a room for each topic, WebSockets only.

python benchmarks/peers/rooms.py PORT
"""

from __future__ import annotations

import sys

import socketio
import uvicorn
from event import Orders

server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], http_compression=False)
orders = Orders()


@server.on("subscribe")
async def subscribe(sid: str, topic: int) -> None:
    """Enter the topic's room, and say so."""
    await server.enter_room(sid, f"topic-{topic}")
    await server.emit("subscribed", to=sid)


@server.on("publish")
async def publish(sid: str, order: str) -> None:
    """Emit each event to the room of its topic."""
    for topic, event in orders.read(order):
        await server.emit("progress", event, room=f"topic-{topic}")


if __name__ == "__main__":
    uvicorn.run(
        socketio.ASGIApp(server),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        log_level="critical",
        backlog=2048,
        timeout_graceful_shutdown=1,
    )
