"""Start-up and scale: a server over a million tasks and five million events.

    python -m benchmarks.bench_startup [--tasks N] [--live N] [--rounds N]

Builds the database once (`scale.py`, some gigabytes in a temporary folder that is removed at
the end), then starts the real server on it again and again, in turns with one on an empty
folder; reads pages at the beginning, the middle and the end; and creates tasks while old
logs are swept, tasks expire and a long one is deleted. The provider is the scripted one and
its scripts hang, so nothing is computed but what is measured.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine, scale
from benchmarks.tables import Cell, Table, goal, publish

FILE = "safelight.sqlite3"
DUE = 100_000
"""Ended tasks that are due while creates are measured (a tenth of a smaller database)."""

LONG_EVENTS = 100_000
IMPORTS = """
import httptools, uvloop, safelight.cli.serve, safelight.serve
print("here", flush=True)
input()
"""


class Served:
    """The real server as a process on the core of servers, and one connection to it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.port = machine.free_port()
        named = {f"SAFELIGHT_{name.upper()}": str(value) for name, value in settings.items()}
        given = {
            "PORT": str(self.port),
            "DATA_DIR": str(folder),
            "SCRIPTED": "true",
            "LOG_LEVEL": "error",
        }
        plain = {k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
        began = time.perf_counter()
        self.child = subprocess.Popen(
            [sys.executable, "-m", "safelight", "serve"],
            env=plain | {f"SAFELIGHT_{name}": value for name, value in given.items()} | named,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_on_the_servers_core,
        )
        assert self.child.stdout is not None
        assert "listening" in self.child.stdout.readline()
        self.listening = time.perf_counter() - began
        self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.ask("GET", "/api/tasks?limit=1")
        self.answered = time.perf_counter() - began
        self.cpu = machine.cpu_seconds(self.child.pid)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[float, dict[str, Any]]:
        """Seconds until the answer was read, and its data."""
        text = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self.http.request(method, path, text, {"Content-Type": "application/json"})
        answer = self.http.getresponse()
        told = answer.read()
        took = time.perf_counter() - began
        assert answer.status < 300, (answer.status, told[:200])
        return took, json.loads(told).get("data") or {}

    def statistics(self) -> dict[str, float]:
        """What /healthz counts."""
        counted: dict[str, float] = self.ask("GET", "/healthz")[1]["statistics"]
        return counted

    def stop(self) -> None:
        """End it as an operator does."""
        self.http.close()
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(60)


def _on_the_servers_core() -> None:
    machine.pin(0, machine.SERVER_CORE)


@contextmanager
def served(folder: Path, **settings: object) -> Iterator[Served]:
    """A server that is ended at exit."""
    server = Served(folder, **settings)
    try:
        yield server
    finally:
        server.stop()


def import_seconds() -> tuple[float, float]:
    """From the start of a process until all that serving imports is there, and the processor
    time of it."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", IMPORTS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_on_the_servers_core,
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "here\n"
        took = time.perf_counter() - began
        used = machine.cpu_seconds(child.pid)
        child.communicate("\n")
        return took, used


def drop_cache(folder: Path) -> None:
    """Have the kernel forget what it holds of the database."""
    for path in folder.glob(FILE + "*"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def set_live(folder: Path, tasks: int, live: int, *, on: bool) -> None:
    """Put the youngest tasks back into the queue, or end them, so that one file is both."""
    state = "queued" if on else "failed"
    with sqlite3.connect(folder / FILE) as database:
        database.execute(
            "UPDATE tasks SET state = ?, handle = NULL, deadline = NULL, not_before = NULL,"
            " ended_at = CASE WHEN ? THEN NULL ELSE updated_at END WHERE n > ? AND n <= ?",
            (state, on, tasks - live, tasks),
        )
    database.close()


def starts(big: Path, empty: Path, tasks: int, live: int, rounds: int) -> Table:
    """Every kind of start once a round: where, with the live tasks, with a cold cache."""
    whole = f"{tasks:,} tasks, {live:,} live"
    kinds = {
        "an empty folder": (empty, False, False),
        f"{tasks:,} tasks, none live": (big, False, False),
        whole: (big, True, False),
        f"{whole}, page cache dropped": (big, True, True),
    }
    imports: list[tuple[float, float]] = []
    seen: dict[str, list[Served]] = {name: [] for name in kinds}
    for _ in range(rounds):
        imports.append(import_seconds())
        for name, (folder, on, cold) in kinds.items():
            if folder is big:
                set_live(big, tasks, live, on=on)
            if cold:
                drop_cache(folder)
            with served(folder) as server:
                seen[name].append(server)
    rows = _starts(imports, seen)
    reached = next(row[3] for row in rows if row[0] == whole)
    assert isinstance(reached, float)
    restart = f"restart with {live:,} live of {tasks:,} tasks: first answer beyond imports"
    size = (big / FILE).stat().st_size / 1e9
    return Table(
        name="startup",
        title=f"Start of the server, medians of {rounds} rounds, milliseconds",
        columns=["on", "listening", "first answer", "beyond imports", "beyond empty", "CPU beyond"],
        rows=rows,
        goal=[goal(restart, reached, 150, 500, unit="ms", most=True)],
        notes=[
            "From the start of the process; the first answer is a page of one task over HTTP.",
            f"The database has {5 * tasks:,} events in {size:.1f} GB.",
        ],
    )


def _starts(imports: list[tuple[float, float]], seen: dict[str, list[Served]]) -> list[list[Cell]]:
    base, used = (statistics.median(part) * 1000 for part in zip(*imports, strict=True))
    rows: list[list[Cell]] = [["imports alone", base, base, 0.0, None, 0.0]]
    empty: float | None = None
    for title, found in seen.items():
        listening = statistics.median(one.listening for one in found) * 1000
        answered = statistics.median(one.answered for one in found) * 1000
        empty = answered if empty is None else empty
        cpu = statistics.median(one.cpu for one in found) * 1000 - used
        rows.append([title, listening, answered, answered - base, answered - empty, cpu])
    return rows


def pages(server: Served, tasks: int, requests: int) -> Table:
    """A page of fifty at the beginning, the middle and the end of one owner's tasks."""
    rows: list[list[Cell]] = []
    for title, before in (
        ("the newest", None),
        ("the middle", tasks // 2),
        ("the oldest", 60),
    ):
        start = "" if before is None else f"&before={before}"
        took = sorted(
            server.ask("GET", f"/api/tasks?limit=50{start}")[0] * 1000 for _ in range(requests)
        )
        rows.append([title, *_spread(took)])
    return Table(
        name="pages",
        title=f"GET /api/tasks?limit=50, {requests} requests one after another, milliseconds",
        columns=["page", "p50", "p99", "max"],
        rows=rows,
        notes=[f"{tasks:,} tasks, nine of ten of the owner who asks; 50 KB of JSON a page."],
    )


def _spread(took: list[float]) -> list[Cell]:
    took = sorted(took)
    return [statistics.median(took), took[len(took) * 99 // 100], took[-1]]


SPREAD = ("create p50", "p99", "max")
DELAYS = ("loop delay p50", "p99", "max")
BODY = {
    "kind": "image",
    "model": "scripted/image",
    "prompt": "a medieval monk",
    "params": {"script": [{"do": "hang"}]},
}


def creates(server: Served, seconds: float) -> list[float]:
    """Milliseconds of creates one after another."""
    took = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        took.append(server.ask("POST", "/api/tasks", BODY | {"reuse": "never"})[0] * 1000)
    return took


def sweeps(big: Path, due: int, seconds: float) -> Table:
    """Creates with nothing to sweep, and beside each kind of sweep."""
    age = _age_of(big, due)
    long = _make_long(big)
    kinds: list[tuple[str, dict[str, object], str | None]] = [
        ("nothing to sweep", {}, None),
        (f"logs of {due:,} tasks are due", {"log_retention_seconds": age}, None),
        (f"{due:,} tasks expire", {"task_retention_seconds": age}, None),
        (f"DELETE of a log of {LONG_EVENTS:,} events", {}, long),
    ]
    rows: list[list[Cell]] = []
    for title, settings, doomed in kinds:
        with served(big, **settings) as server:
            asked = None if doomed is None else server.ask("DELETE", f"/api/tasks/{doomed}")[0]
            took = creates(server, seconds)
            seen = server.statistics()
        delays: list[Cell] = [seen[f"loop_delay_ms_{of}"] for of in ("p50", "p99", "max")]
        gone = (seen["swept_events"] + seen["swept_tasks"]) / seconds
        step = None if asked is None else asked * 1000
        rows.append([title, *_spread(took), *delays, seen["sweep_step_ms_max"], gone, step])
    return Table(
        name="sweeps",
        title=f"Creates one after another for {seconds:g} s beside sweeps, milliseconds",
        columns=["beside", *SPREAD, *DELAYS, "longest step", "rows gone/s", "the DELETE"],
        rows=rows,
        notes=["Loop delay is what the server says of itself (/healthz), a beat every 50 ms."],
    )


def _age_of(big: Path, due: int) -> float:
    """The retention at which so many tasks are due now."""
    with sqlite3.connect(big / FILE) as database:
        (ended,) = database.execute(
            "SELECT ended_at FROM tasks WHERE ended_at IS NOT NULL ORDER BY ended_at"
            " LIMIT 1 OFFSET ?",
            (due,),
        ).fetchone()
    database.close()
    return time.time() - ended / 1000


def _make_long(big: Path) -> str:
    """The youngest ended task gets a very long log."""
    with sqlite3.connect(big / FILE) as database:
        uid, id = database.execute(
            "SELECT uid, id FROM tasks WHERE ended_at IS NOT NULL AND owner = 'local'"
            " ORDER BY n DESC LIMIT 1"
        ).fetchone()
        database.execute(
            "WITH RECURSIVE more(seq) AS (SELECT 6 UNION ALL SELECT seq + 1 FROM more LIMIT ?)"
            " INSERT INTO events SELECT uid, more.seq, run, body FROM events, more"
            " WHERE uid = ? AND events.seq = 3",
            (LONG_EVENTS, uid),
        )
        database.execute("UPDATE tasks SET seq = ? WHERE uid = ?", (LONG_EVENTS + 5, uid))
    database.close()
    return str(id)


def measure(folder: Path, tasks: int, live: int, rounds: int, seconds: float) -> None:
    """Everything, and the tables."""
    big, empty = folder / "big", folder / "empty"
    live, due = min(live, tasks // 2), min(DUE, tasks // 10)
    began = time.perf_counter()
    size = scale.build(big, tasks, live).stat().st_size
    print(f"{size / 1e9:.1f} GB built in {time.perf_counter() - began:.0f} s", flush=True)
    publish(starts(big, empty, tasks, live, rounds))
    set_live(big, tasks, live, on=True)
    with served(big) as server:
        publish(pages(server, tasks, 200))
    publish(sweeps(big, due, seconds))


def in_room(folder: Path | None, work: Callable[[Path], None]) -> None:
    """In a folder of its own, removed at the end, if the disk has room for it."""
    made = Path(tempfile.mkdtemp(prefix="safelight-scale-", dir=folder))
    try:
        free = shutil.disk_usage(made).free
        if free < 12e9:
            print(f"{free / 1e9:.0f} GB are free, 12 are needed: nothing was measured.")
            return
        work(made)
    finally:
        shutil.rmtree(made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--live", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=machine.rounds(3))
    parser.add_argument("--folder", type=Path, default=None, help="where the database may lie")
    given = parser.parse_args()
    machine.pin(0, machine.GENERATOR_CORE)
    phase = machine.seconds(12.0)
    in_room(given.folder, lambda room: measure(room, given.tasks, given.live, given.rounds, phase))
