"""Two hundred different tasks at once through a server with default settings.

    python -m benchmarks.bench_crowd [tasks]

Publishes how long until all have ended, how much memory the server and its painters took
at most, and how long the event loop kept others waiting meanwhile. Paints small
pictures, so that it ends within a minute or two.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter

import httpx2

from benchmarks.machine import pss_kib, tree
from benchmarks.tables import Cell, Table, publish

SMALL = {"width": 256, "height": 256, "steps": 4}


async def ended(http: httpx2.AsyncClient, id: str) -> str:
    """The status of a task at its end."""
    while True:
        answer = await http.get(f"/api/tasks/{id}/events?wait=30&after=0")
        data = answer.json()["data"]
        if data["ended"]:
            return str(data["events"][-1]["type"])
        seq = data["events"][-1]["seq"]
        await http.get(f"/api/tasks/{id}/events?wait=30&after={seq}&log={data['log']}")


async def watch(pid: int, peak: dict[str, float]) -> None:
    """Note how much memory the server and its painters ever have, until it is ended."""
    while True:
        whole, painters = pss_kib(pid), sum(pss_kib(child) for child in tree(pid)[1:])
        peak["server"] = max(peak["server"], (whole - painters) / 1024)
        peak["painters"] = max(peak["painters"], painters / 1024)
        await asyncio.sleep(0.2)


async def main(url: str, pid: int, count: int) -> None:
    """Create, wait, report."""
    peak = {"server": 0.0, "painters": 0.0}
    limits = httpx2.Limits(max_connections=count + 10)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as http:
        watching = asyncio.create_task(watch(pid, peak))
        began = time.perf_counter()
        body = {"kind": "image", "params": SMALL}
        answers = await asyncio.gather(
            *(http.post("/api/tasks", json=body | {"prompt": f"view {i}"}) for i in range(count))
        )
        accepted = time.perf_counter() - began
        ids = {answer.json()["data"]["task_id"] for answer in answers}
        ends = Counter(await asyncio.gather(*(ended(http, id) for id in ids)))
        took = time.perf_counter() - began
        watching.cancel()
        counted = (await http.get("/healthz")).json()["data"]["statistics"]
    delays = {k: v for k, v in counted.items() if k.startswith("loop_delay")}
    rows: list[list[Cell]] = [
        ["s until all were accepted", round(accepted, 2)],
        ["s until all had ended", round(took, 1)],
        ["MiB of the server at most (PSS)", round(peak["server"])],
        ["MiB of its painters at most (PSS)", round(peak["painters"])],
        *([f"{name.replace('_', ' ')}, over the last minute", at] for name, at in delays.items()),
    ]
    publish(
        Table(
            name="crowd",
            title=f"Crowd: {count} different tasks at once, default settings",
            columns=["", "one run"],
            rows=rows,
            notes=[
                f"{len(ids)} tasks, which ended as {dict(ends)}; pictures of 256 x 256 in 4 steps",
                "one run of everything together, painters included, not pinned to a core",
            ],
        )
    )


if __name__ == "__main__":
    crowd = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "safelight", "serve", "--port", "0", "--data-dir", folder]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        ) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            try:
                asyncio.run(main(address, server.pid, crowd))
            finally:
                server.terminate()
