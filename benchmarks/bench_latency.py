"""From a line of a provider's stream to the frame at a subscriber, each event on disk before.

    python -m benchmarks.bench_latency

Fifty jobs, each a stream of JSON lines over HTTP and one subscriber's socket; the whole
way is timed by one clock at both ends of it. Beside our server: the naive one, with a commit
for each event at FULL and without any store, and our server with a provider inside it,
which shows what the stream costs. A peer that stores nothing promises less than we do.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import uvloop

from benchmarks.latency_load import Load, Phase
from benchmarks.machine import (
    GENERATOR_CORE,
    ROOT,
    SERVER_CORE,
    cpu_seconds,
    favour,
    pin,
    rounds,
    seconds,
    versions,
)
from benchmarks.tables import Cell, Table, goal, publish

JOBS = 50
OUTSTANDING = 4
RATES = (200, 1_000, 3_000)
SATURATED = 0
"""Stands for the phase in which each job has OUTSTANDING events under way all the time."""

START_SECONDS = 30.0
OURS, INSIDE = "ours, FULL", "ours, FULL, provider inside"
NAIVE, STORELESS = "naive, FULL", "naive, no store"


class Server(msgspec.Struct, frozen=True):
    """What is started for a row: a module of this folder and its last argument."""

    module: str
    kind: str


SERVERS = {
    OURS: Server("latency_ours", "stream"),
    NAIVE: Server("latency_naive", "full"),
    STORELESS: Server("latency_naive", "none"),
    INSIDE: Server("latency_ours", "inside"),
}


class Measured(msgspec.Struct, frozen=True):
    """One phase of one server: milliseconds, microseconds of the server's processor time for
    each event, events a second, and the share of what was sent that came in time."""

    p50: float
    p99: float
    cpu: float
    rate: float
    kept: float


Found = dict[tuple[str, int], list[Measured]]


@contextmanager
def running(server: Server, provider: str) -> Iterator[tuple[int, str]]:
    """The server's process id and address; ended at exit."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"benchmarks.{server.module}"]
        with subprocess.Popen(
            [*command, provider, folder, server.kind],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as child:
            try:
                pin(child.pid, SERVER_CORE)
                favour(child.pid)
                assert child.stdout is not None
                yield child.pid, child.stdout.readline().split()[-1]
            finally:
                child.terminate()
                child.wait(START_SECONDS)


async def phase(load: Load, kind: str, rate: int) -> Phase:
    """One phase, by whoever sets the pace."""
    length = seconds(2.0)
    if kind == "inside":
        return await load.paced(rate, length)
    if rate == SATURATED:
        return await load.saturated(length, OUTSTANDING)
    return await load.at_rate(rate, length)


async def measure(load: Load, name: str, found: Found) -> None:
    """All phases of one server in one round."""
    server = SERVERS[name]
    rates = RATES if server.kind == "inside" else (*RATES, SATURATED)
    with running(server, load.url) as (pid, address):
        await load.begin(address, JOBS, 1 if server.kind == "inside" else JOBS)
        await phase(load, server.kind, RATES[0])  # for warmth
        for rate in rates:
            before = cpu_seconds(pid)
            seen = await phase(load, server.kind, rate)
            spent = (cpu_seconds(pid) - before) * 1e6 / max(1, seen.received)
            measured = Measured(
                p50=seen.percentile(0.5),
                p99=seen.percentile(0.99),
                cpu=spent,
                rate=seen.received / seen.seconds,
                kept=seen.received / max(1, seen.sent),
            )
            found.setdefault((name, rate), []).append(measured)
        load.end()


async def main() -> None:
    """Measure in turns and publish the table."""
    pin(0, GENERATOR_CORE)
    favour(0)
    load, found = Load(), Found()
    await load.open()
    try:
        for _ in range(rounds(3)):
            for name in SERVERS:
                await measure(load, name, found)
    finally:
        load.close()
    publish(table(found))


def median(found: Found, name: str, rate: int, what: str) -> float:
    """The median over the rounds of one figure."""
    return statistics.median(getattr(each, what) for each in found[name, rate])


def row(found: Found, name: str, rate: int) -> list[Cell]:
    """A line of the table."""
    p50, p99, cpu, got, kept = (
        median(found, name, rate, what) for what in ("p50", "p99", "cpu", "rate", "kept")
    )
    if rate == SATURATED:
        return [name, "saturated", p50, p99, cpu, round(got), "-"]
    return [name, f"{rate:,}", p50, p99, cpu, round(got), "yes" if kept >= 0.98 else "no"]


def table(found: Found) -> Table:
    """What was found, and the goals."""
    most, fast = median(found, OURS, SATURATED, "rate"), median(found, OURS, RATES[-1], "p50")
    return Table(
        name="latency",
        title="A line of the provider's stream to the frame at the subscriber",
        columns=["server", "events/s", "p50 ms", "p99 ms", "us CPU/event", "got/s", "kept up"],
        rows=[row(found, *key) for key in sorted(found, key=lambda key: key[1] or 10**9)],
        goal=[
            goal("durable events/s, closed loop", most, 3_000, 3_000, unit="events/s"),
            goal("p50 at 3,000 events/s", fast, 1.5, 1.5, unit="ms", most=True),
        ],
        notes=[
            f"{JOBS} jobs, one subscriber each; saturated: {OUTSTANDING} events of each under way.",
            "A naive server that stores nothing has promised its clients less.",
            "The other commits each event, on one connection where a commit takes along what all "
            "have inserted: a group commit by accident. It keeps no state, claim or snapshot.",
            "The provider inside keeps time by the loop's milliseconds: 3 events come at once.",
            "An fsync of this disk takes what `bench_store` shows; a commit each waits for it.",
        ],
        versions=versions("httpx2", "uvloop", "starlette", "aiosqlite"),
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
