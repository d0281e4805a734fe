"""Two hundred different tasks at once through a server with default settings.

    python benchmarks/bench_crowd.py [tasks]

Says how long until all have ended, how much memory the server and its painters took
at most, and how long the event loop kept others waiting meanwhile. Paints small
pictures, so that it ends within a minute or two.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx2

SMALL = {"width": 256, "height": 256, "steps": 4}


def memory_mib(pid: int) -> float:
    """Proportional set size of a process, in MiB; 0 once it has gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


async def ended(http: httpx2.AsyncClient, id: str) -> str:
    """The status of a task at its end."""
    while True:
        answer = await http.get(f"/api/tasks/{id}/events?wait=30&after=0")
        data = answer.json()["data"]
        if data["ended"]:
            return str(data["events"][-1]["type"])
        seq = data["events"][-1]["seq"]
        await http.get(f"/api/tasks/{id}/events?wait=30&after={seq}&log={data['log']}")


async def main(url: str, pid: int, count: int) -> None:
    """Create, wait, report."""
    peak = {"server": 0.0, "painters": 0.0}

    async def watch() -> None:
        while True:
            peak["server"] = max(peak["server"], memory_mib(pid))
            painters = sum(memory_mib(child) for child in children(pid))
            peak["painters"] = max(peak["painters"], painters)
            await asyncio.sleep(0.2)

    limits = httpx2.Limits(max_connections=count + 10)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as http:
        watching = asyncio.create_task(watch())
        began = time.perf_counter()
        body = {"kind": "image", "params": SMALL}
        answers = await asyncio.gather(
            *(http.post("/api/tasks", json=body | {"prompt": f"view {i}"}) for i in range(count))
        )
        accepted = time.perf_counter() - began
        ids = [answer.json()["data"]["task_id"] for answer in answers]
        ends = Counter(await asyncio.gather(*(ended(http, id) for id in ids)))
        took = time.perf_counter() - began
        watching.cancel()
        counted = (await http.get("/healthz")).json()["data"]["statistics"]
    print(f"tasks        {len(set(ids))} different, {dict(ends)}")
    print(f"accepted     all after {accepted:.2f} s, ended after {took:.1f} s")
    print(
        f"memory       server {peak['server']:.0f} MiB, painters {peak['painters']:.0f} MiB (PSS)"
    )
    delays = {k.rpartition("_")[2]: v for k, v in counted.items() if k.startswith("loop_delay")}
    print(f"loop delay   {delays} ms over the last minute")


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
