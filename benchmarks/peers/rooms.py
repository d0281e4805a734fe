"""A peer: python-socketio on uvicorn, a room for each topic, WebSockets only.

python benchmarks/peers/rooms.py PORT
"""

from __future__ import annotations

import socketio
from event import Orders
from serving import serve

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
    serve(socketio.ASGIApp(server))
