"""Durable creates: one transaction each against group commit, side by side.

    python -m benchmarks.bench_store [creates] [rounds]

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

from benchmarks import machine
from benchmarks.tables import Table, publish
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


ONE, TOGETHER = "one by one", "64 at once"


async def main(count: int, rounds: int) -> None:
    """Creates per second of both, in turns."""
    rates: dict[str, list[float]] = {ONE: [], TOGETHER: []}
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(Path(folder), 1) as store:
            for turn in range(rounds):
                for name, way in ((ONE, one_by_one), (TOGETHER, at_once)):
                    creations = [creation(f"{name[:1]}-{turn}-{i}") for i in range(count)]
                    began = time.perf_counter()
                    await way(store, creations)
                    rates[name].append(count / (time.perf_counter() - began))
    report(rates, count)


def report(rates: dict[str, list[float]], count: int) -> None:
    """The table: medians, and the ratio round by round."""
    ratios = [b / a for a, b in zip(rates[ONE], rates[TOGETHER], strict=True)]
    publish(
        Table(
            name="store",
            title="Store: group commit beside one transaction each",
            columns=["durable creates", "creates/s", "slowest round", "x one by one", "rounds"],
            rows=[
                [name, round(statistics.median(found)), round(min(found)), times, len(found)]
                for (name, found), times in zip(
                    rates.items(), (1, round(statistics.median(ratios), 2)), strict=True
                )
            ],
            notes=[
                f"the store alone, without HTTP, at synchronous=FULL; {count} creates a round;"
                " not pinned to a core",
                f"the rounds' ratios lie between {min(ratios):.1f} and {max(ratios):.1f}",
            ],
        )
    )


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]] + [640, machine.rounds(5)][len(sys.argv) - 1 :]
    asyncio.run(main(numbers[0], numbers[1]))
