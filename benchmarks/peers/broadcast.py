"""A peer: the `websockets` library and its `broadcast`, on uvloop, without compression.

    python benchmarks/peers/broadcast.py PORT

Encoded once for an event, as its documentation advises.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict

import uvloop
from event import Orders
from websockets.asyncio.server import ServerConnection, broadcast, serve

followers: defaultdict[int, set[ServerConnection]] = defaultdict(set)
orders = Orders()


async def follow(connection: ServerConnection) -> None:
    """Be in the topic's set until the connection is closed."""
    topic = followers[int(connection.request.path.rpartition("/")[2])]
    await connection.send("ok")
    topic.add(connection)
    try:
        await connection.wait_closed()
    finally:
        topic.discard(connection)


async def publish(connection: ServerConnection) -> None:
    """Broadcast each event to the set of its topic."""
    await connection.send("ok")
    async for order in connection:
        for topic, event in orders.read(order):
            broadcast(followers[topic], json.dumps(event, separators=(",", ":")))


async def handle(connection: ServerConnection) -> None:
    """The two addresses."""
    publishes = connection.request.path == "/bench/publish"
    await (publish if publishes else follow)(connection)


async def main() -> None:
    """Serve until a signal."""
    port = int(sys.argv[1])
    async with serve(
        handle, "127.0.0.1", port, compression=None, ping_interval=None, backlog=2048
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
