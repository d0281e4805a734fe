"""Channels of events, as a broadcaster without a memory has them.

What is told while nobody listens is lost, and nothing says that anything was. No event has
an id, and none comes twice for whoever comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Message = dict[str, Any]


class Hub:
    """Who listens to what."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[asyncio.Queue[Message]]] = {}

    def tell(self, channel: str, message: Message) -> None:
        """Whoever listens now gets it."""
        for queue in self._listeners.get(channel, ()):
            queue.put_nowait(message)

    @contextmanager
    def listening(self, channel: str) -> Iterator[asyncio.Queue[Message]]:
        """What is told on a channel from here on."""
        queue: asyncio.Queue[Message] = asyncio.Queue()
        self._listeners.setdefault(channel, []).append(queue)
        try:
            yield queue
        finally:
            self._listeners[channel].remove(queue)
            if not self._listeners[channel]:
                del self._listeners[channel]
