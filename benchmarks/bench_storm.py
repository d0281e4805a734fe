"""A resume storm: two thousand sockets come back at once to a server that was killed.

    python -m benchmarks.bench_storm [--sockets N] [--tasks N] [--rounds N]

Sockets follow tasks that have not ended. The server is killed by SIGKILL and started again
on its data; the instant it listens, every socket reconnects with its cursor and joins. Said
is how long until each has its place again, and until each has its task's end, which is made
after the restart. A gap, a hole or a repeated event would be counted, and fails the run. The
crowd lives in a process of its own (`storm_client.py`); which side was busier is said too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import machine
from benchmarks.tables import Cell, Table, publish

STEPS = 10
SPARE_FILES = 200
"""Descriptors that a process needs besides its sockets."""

SCRIPT = [{"do": "hang", "attempt": 1}]
SCRIPT += [{"do": "progress", "to": n / STEPS, "step": n, "steps": STEPS} for n in range(STEPS)]
QUEUED = SCRIPT[1:]
PLACES = 4
"""Tasks that run at once; the others wait behind them until the restart."""


class Server:
    """The product on one data directory, started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = 0
        self._child: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The same after each start."""
        return self._port

    def start(self) -> float:
        """Returns when it listens, on the clock that all processes share."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
        command = [sys.executable, "-m", "safelight", "serve"]
        command += ["--port", str(self._port), "--data-dir", str(self._folder)]
        self._child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment | {"SAFELIGHT_SCRIPTED": "true"},
        )
        assert self._child.stdout is not None
        self._port = int(self._child.stdout.readline().rpartition(":")[2])
        return time.monotonic()

    def kill(self) -> None:
        """SIGKILL."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        assert self._child is not None
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Crowd:
    """The other process: orders down, facts up."""

    def __init__(self) -> None:
        client = Path(__file__).with_name("storm_client.py")
        self._process = subprocess.Popen(
            [sys.executable, str(client)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, **what: Any) -> None:
        """Hand over one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def fact(self) -> Any:
        """The next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the crowd has died")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            end.close()


@contextmanager
def house() -> Iterator[tuple[Server, Crowd]]:
    """A server that listens and a crowd that waits; both ended at exit."""
    with tempfile.TemporaryDirectory() as folder:
        server, crowd = Server(Path(folder) / "data"), Crowd()
        server.start()
        try:
            yield server, crowd
        finally:
            server.kill()
            crowd.close()


def create(url: str, count: int) -> list[str]:
    """Tasks of which the first ones hang and the others wait for their place."""
    ids = []
    with httpx2.Client(base_url=url, trust_env=False, timeout=30) as http:
        for number in range(count):
            script = SCRIPT if number < PLACES else QUEUED
            body = {"kind": "image", "prompt": f"view {number}", "model": "scripted/image"}
            answer = http.post("/api/tasks", json=body | {"params": {"script": script}})
            ids.append(answer.json()["data"]["task_id"])
    return ids


def one_round(sockets: int, tasks: int) -> dict[str, Any]:
    """Join, kill, start, storm: the figures of the crowd and of the server."""
    with house() as (server, crowd):
        crowd.order(port=server.port, ids=create(server.url, tasks), sockets=sockets)
        assert crowd.fact() == "joined"
        server.kill()
        assert crowd.fact() == "lost"
        killed = time.monotonic()
        listening = server.start()
        used = server.cpu_seconds()
        crowd.order(again=listening)
        figures: dict[str, Any] = crowd.fact()
        figures["server_cpu"] = server.cpu_seconds() - used
        figures["restart"] = listening - killed
        return figures


def report(rounds: list[dict[str, Any]], sockets: int, tasks: int) -> None:
    """The table: median of the rounds, and the slowest."""
    rows: list[list[Cell]] = []
    for name, place in (("p50", 0.5), ("p99", 0.99), ("last", 1.0)):
        for key, what in (("rejoined", "has its place again"), ("caught_up", "has its task's end")):
            rows.append(_row(f"a socket {what}, {name}", [at(r[key], place) for r in rounds]))
    rows.append(_row("from kill to listening", [r["restart"] for r in rounds]))
    rows.append(_row("processor time of the server", [r["server_cpu"] for r in rounds]))
    rows.append(_row("processor time of the clients", [r["cpu"] for r in rounds]))
    busier = "server" if rounds[0]["server_cpu"] > rounds[0]["cpu"] else "client side"
    publish(
        Table(
            name="storm",
            title=f"Resume storm: {sockets:,} sockets come back at once after a kill",
            columns=["seconds since it listens", "median", "slowest round", "rounds"],
            rows=[[*row, len(rounds)] for row in rows],
            notes=[
                f"{tasks} tasks, killed by SIGKILL; every socket joins again with its cursor and"
                " follows to the end of its task, which is made after the restart",
                f"gaps {sum(r['gaps'] for r in rounds)},"
                f" repeats {sum(r['twice'] for r in rounds)},"
                f" frames {[r['frames'] for r in rounds]}; any gap or repeat fails the run",
                f"the {busier} was the busier side; the clients are Python, not pinned to a core",
            ],
        )
    )


def at(values: list[float], place: float) -> float:
    """The value at that place of a sorted list, 1.0 being the last."""
    return values[min(int(len(values) * place), len(values) - 1)]


def _row(name: str, values: list[float]) -> list[Cell]:
    return [name, round(statistics.median(values), 3), round(max(values), 3)]


def _possible(sockets: int) -> int:
    """As many as descriptors allow, said aloud if that is fewer."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = hard - SPARE_FILES
    if sockets > most:
        print(f"scaled down from {sockets} to {most} sockets: {hard} descriptors are allowed")
    return min(sockets, most)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, default=2_000)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=machine.rounds(3))
    given = parser.parse_args()
    crowd_size = _possible(given.sockets)
    results = [one_round(crowd_size, given.tasks) for _ in range(max(1, given.rounds))]
    report(results, crowd_size, given.tasks)
    if any(result["gaps"] or result["twice"] for result in results):
        sys.exit("somebody missed an event, or was told one twice")
