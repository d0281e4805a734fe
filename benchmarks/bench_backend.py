"""From a step that a backend tells to the frame at a subscriber, each event on disk before.

    python -m benchmarks.bench_backend

Twenty prompts run on one backend, each with a subscriber. The backend is a script in the
generator's loop, so that one clock times both ends; the server is a process of its own, as
it ships, with its adapter and its store. Beside it a client of the backend's own socket: what
remains is what the server adds.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import msgspec
import uvloop

from benchmarks.backend_load import GRAPH, Backend, Direct
from benchmarks.latency_load import PATIENCE, Follower, Phase
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
from benchmarks.tables import Cell, Table, publish

JOBS = 20
RATES = (200, 1_000)
OURS, DIRECT = "through the server", "the backend's own socket"
STEP = re.compile(rb'"step":\s?(\d+)')
START_SECONDS = 30.0


class Measured(msgspec.Struct, frozen=True):
    """One phase: milliseconds, microseconds of the server's processor time for each step, and
    the share of the steps that were told one by one."""

    p50: float
    p99: float
    cpu: float
    kept: float


Found = dict[tuple[str, int], list[Measured]]


class Load:
    """The backend, who listens to it, and when each step was told."""

    def __init__(self) -> None:
        self.backend = Backend()
        self._told: dict[int, int] = {}
        self._made = 0
        self._phase = Phase(latencies=[])
        self._followers: list[asyncio.BaseTransport] = []

    async def follow_tasks(self, address: str) -> None:
        """A task for each prompt, followed by a socket of its own, and begun."""
        async with httpx2.AsyncClient(base_url=address, timeout=PATIENCE) as http:
            for job in range(JOBS):
                body = {"kind": "image", "model": "comfyui/workflow", "prompt": str(job)}
                body |= {"params": {"workflow": GRAPH}}
                answer = await http.post("/api/tasks", json=body)
                assert answer.status_code in (200, 202), answer.text
                await self._join(address, answer.json()["data"]["task_id"])
        async with asyncio.timeout(PATIENCE):
            while len(self.backend.prompts) < JOBS:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _join(self, address: str, id: str) -> None:
        parts, loop = urlsplit(address), asyncio.get_running_loop()
        joined = loop.create_future()
        transport, _ = await loop.create_connection(
            lambda: Follower(id, joined, self._take, STEP), parts.hostname, parts.port
        )
        self._followers.append(transport)
        async with asyncio.timeout(PATIENCE):
            await joined

    async def follow_directly(self) -> None:
        """As many prompts, all of one client of the backend's socket."""
        parts, loop = urlsplit(self.backend.url), asyncio.get_running_loop()
        transport, _ = await loop.create_connection(
            lambda: Direct("direct", self._take), parts.hostname, parts.port
        )
        self._followers.append(transport)
        self.backend.prompts += [(f"prompt-{job}", "direct") for job in range(JOBS)]
        await asyncio.sleep(0.1)

    def end(self) -> None:
        """Leave what was begun."""
        for transport in self._followers:
            transport.abort()  # type: ignore[attr-defined]
        self._followers.clear()
        self.backend.end()

    async def at_rate(self, rate: float, length: float) -> Phase:
        """Steps at a rate over all prompts; what came of them, a moment later."""
        phase = self._phase = Phase(latencies=[])
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < length:
            while phase.sent < passed * rate:
                phase.sent += 1
                self._made += 1
                self._told[self._made] = time.monotonic_ns()
                self.backend.tell(self._made % JOBS, self._made)
            await asyncio.sleep(0)
        await asyncio.sleep(0.5)
        phase.received = len(phase.latencies)
        self._told.clear()
        return phase

    def _take(self, steps: list[bytes]) -> None:
        now = time.monotonic_ns()
        for step in steps:
            told = self._told.pop(int(step), None)
            if told is not None:
                self._phase.latencies.append((now - told) / 1e6)


@contextmanager
def running(backend: str) -> Iterator[tuple[int, str]]:
    """The server's process id and address; ended at exit."""
    place = "SAFELIGHT_BACKENDS__BENCH__"
    given = {f"{place}URL": backend, f"{place}CONCURRENCY": str(JOBS)}
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "safelight", "serve", "--port", "0", "--data-dir", folder],
            cwd=ROOT,
            env=os.environ | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        ) as child,
    ):
        try:
            pin(child.pid, SERVER_CORE)
            favour(child.pid)
            assert child.stdout is not None
            line = next(line for line in child.stdout if "http://" in line)
            yield child.pid, line.split()[-1]
        finally:
            child.terminate()
            child.wait(START_SECONDS)


async def phases(load: Load, name: str, pid: int | None, found: Found) -> None:
    """All rates, after a short one for warmth."""
    await load.at_rate(RATES[0], min(1.0, seconds(5.0)))
    for rate in RATES:
        before = 0.0 if pid is None else cpu_seconds(pid)
        seen = await load.at_rate(rate, seconds(5.0))
        spent = 0.0 if pid is None else cpu_seconds(pid) - before
        measured = Measured(
            p50=seen.percentile(0.5),
            p99=seen.percentile(0.99),
            cpu=spent * 1e6 / max(1, seen.sent),
            kept=seen.received / max(1, seen.sent),
        )
        found.setdefault((name, rate), []).append(measured)


async def main() -> None:
    """Measure in turns and publish the table."""
    pin(0, GENERATOR_CORE)
    favour(0)
    load, found = Load(), Found()
    await load.backend.open()
    try:
        for _ in range(rounds(3)):
            with running(load.backend.url) as (pid, address):
                await load.follow_tasks(address)
                await phases(load, OURS, pid, found)
                load.end()
            await load.follow_directly()
            await phases(load, DIRECT, None, found)
            load.end()
    finally:
        load.backend.close()
    publish(table(found))


def median(found: Found, name: str, rate: int, what: str) -> float:
    """The median over the rounds of one figure."""
    return statistics.median(getattr(each, what) for each in found[name, rate])


def rows(found: Found, rate: int) -> list[list[Cell]]:
    """The lines of one rate; what the server adds is taken round by round."""
    made: list[list[Cell]] = []
    for name in (OURS, DIRECT):
        p50, p99 = (median(found, name, rate, what) for what in ("p50", "p99"))
        cpu = None if name is DIRECT else median(found, name, rate, "cpu")
        told = f"{median(found, name, rate, 'kept'):.1%}"
        made.append([name, f"{rate:,}", p50, p99, cpu, told])
    pairs = list(zip(found[OURS, rate], found[DIRECT, rate], strict=True))
    added = [statistics.median(a.p50 - b.p50 for a, b in pairs)]
    added.append(statistics.median(a.p99 - b.p99 for a, b in pairs))
    return [*made, ["added", f"{rate:,}", *added, None, None]]


def table(found: Found) -> Table:
    """What was found."""
    return Table(
        name="backend",
        title="A step that a backend tells to the frame at the subscriber",
        columns=["way", "steps/s", "p50 ms", "p99 ms", "us CPU/step", "told one by one"],
        rows=[row for rate in RATES for row in rows(found, rate)],
        notes=[
            f"{JOBS} prompts on one backend, one subscriber each. A step is two frames "
            "(`progress_state`, `progress`) and becomes one event, committed before it is told.",
            "The backend is a script that stamps and sends; it paints nothing. A real one runs one "
            "prompt at a time and tells some ten steps a second.",
            "Of steps that come while an event of the same task is being committed the newest is "
            "told; the others are not, and do not count here.",
            "From just before the two frames are written to the read of the event's frame, by one "
            "clock; server on one core, backend and subscribers on the other.",
        ],
        versions=versions("websockets", "httpx2", "uvloop", "aiosqlite"),
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
