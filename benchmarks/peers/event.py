"""The event that every peer sends, and the order that asks for it.

Together with the same words in events.cjs and ../c/ceiling.c: what a follower gets is as
long as a `progress` frame of ours, so that the ratio is the server's and not the text's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

FILLER = "." * 81
"""As much as a `progress` frame of ours is longer: 248 bytes with a seq of four digits."""


class Orders:
    """Reads orders and keeps the last seq of each topic."""

    def __init__(self) -> None:
        self._seqs: Counter[int] = Counter()

    def read(self, order: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The events, each with its topic, that "FIRST COUNT TOPICS STAMP" asks for."""
        first, count, topics, stamp = order.split()
        for number in range(int(first), int(first) + int(count)):
            topic = number % int(topics)
            self._seqs[topic] += 1
            yield topic, event(topic, self._seqs[topic], stamp)


def event(topic: int, seq: int, stamp: str) -> dict[str, Any]:
    """One event; `stamp` is the generator's clock, which times the delivery by it."""
    return {
        "topic": f"bench-{topic:04d}",
        "seq": seq,
        "type": "progress",
        "status": "processing",
        "progress": 0.421337,
        "attempt": 1,
        "step": 42,
        "steps": 100,
        "message": stamp,
        "filler": FILLER,
    }
