"""Durable creates: one transaction each against group commit, side by side.

    python benchmarks/bench_store.py [creates] [rounds]

Both at synchronous=FULL, in one process, in turns. What counts is the ratio; the
absolute figures belong to the machine and its disk.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from safelight.store import Birth, Creation, Store, open_store
from safelight_protocol import lifecycle
from safelight_protocol.events import encode_event
from safelight_protocol.task import Asked, Resolved, Task

ASKED = Asked(kind="image", prompt="a medieval monk at dawn")
RESOLVED = Resolved(
    requested="local/paint",
    model="local/paint",
    provider="local",
    backend=None,
    params={"width": 1024, "height": 1024},
    seed=1,
    n=1,
)


def creation(name: str) -> Creation:
    """A request that meets nothing and makes a task."""
    task = Task(
        uid=name,
        owner="local",
        id=name,
        asked=ASKED,
        resolved=RESOLVED,
        created_at=1,
        updated_at=1,
    )

    def bear() -> Birth:
        step = lifecycle.born(task, "waiting")
        assert step.event is not None
        return Birth(task=step.task, fingerprint=name, event=encode_event(step.event))

    return Creation(
        owner="local",
        id=name,
        key=None,
        fingerprint=name,
        reuse="never",
        decide=lambda found: found.by_id,
        bear=bear,
    )


async def one_by_one(store: Store, creations: list[Creation]) -> None:
    """Each waits for the one before: a transaction each."""
    for each in creations:
        await store.put(each)


async def at_once(store: Store, creations: list[Creation]) -> None:
    """All wait together, sixty-four at a time: they share transactions."""
    for start in range(0, len(creations), 64):
        await asyncio.gather(*(store.put(each) for each in creations[start : start + 64]))


async def main(count: int, rounds: int) -> None:
    """Print creates per second of both, and the ratio round by round."""
    rates: dict[str, list[float]] = {"one by one": [], "64 at once": []}
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(Path(folder), 1) as store:
            for turn in range(rounds):
                for name, way in (("one by one", one_by_one), ("64 at once", at_once)):
                    creations = [creation(f"{name[:1]}-{turn}-{i}") for i in range(count)]
                    began = time.perf_counter()
                    await way(store, creations)
                    rates[name].append(count / (time.perf_counter() - began))
    for name, found in rates.items():
        print(f"{name:12} {statistics.median(found):9,.0f} creates/s (median of {rounds})")
    ratios = [b / a for a, b in zip(*rates.values(), strict=True)]
    print(f"ratio        {statistics.median(ratios):9.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]] + [640, 5][len(sys.argv) - 1 :]
    asyncio.run(main(numbers[0], numbers[1]))
