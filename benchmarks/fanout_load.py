"""Drives the generator (c/load.c) against one server, and measures that server meanwhile.

A `Crowd` is the generator with its sockets; a phase of it gives `Figures`: what was
delivered, what the server's processes used for it, and how long deliveries took. A phase
from which other work took more than a little of either core is done once again. Knows
neither which servers there are nor what is made of the figures.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks import machine
from benchmarks.fanout_targets import Running, many_files, prefer

DISTURBED = 0.12
"""The part of a core that other work may take before a phase is repeated."""

QUIET_SHARE = 0.02
QUIET_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 10.0


class Lost(Exception):
    """A server that did not deliver everything, or hung up."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One phase. Times in microseconds; shares are of one core, or of the phase."""

    cpu_us: float
    per_second: float
    idle: float
    folded: int
    disturbed: float
    p50_us: int | None = None
    p99_us: int | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """How the sockets came in."""

    per_second: float
    cpu_us: float


class Crowd:
    """The generator, connected: `sockets` followers spread over `topics`."""

    def __init__(self, child: subprocess.Popen[str], server: Running, entry: Entry) -> None:
        self._child = child
        self._server = server
        self.entry = entry

    def run(self, order: str, *, once: bool = False) -> Figures:
        """Obey one line (see load.c); `once` where the figures do not count. Raises Lost."""
        figures = self._run(order)
        if once or figures.disturbed <= DISTURBED:
            return figures
        again = self._run(order)
        return min(figures, again, key=lambda one: one.disturbed)

    def _run(self, order: str) -> Figures:
        assert self._child.stdin is not None and self._child.stdout is not None
        pid = self._server.pid
        busy, used, began = _busy_seconds(), machine.cpu_seconds(pid), time.monotonic()
        self._child.stdin.write(order + "\n")
        self._child.stdin.flush()
        told = json.loads(self._child.stdout.readline() or "null")
        used = machine.cpu_seconds(pid) - used
        took = time.monotonic() - began
        elsewhere = (_busy_seconds() - busy - used) / took
        if told is None:
            raise Lost(f"{self._server.target.name}: the generator gave up")
        if told["delivered"] != told["owed"] or told["gaps"] or told["closed"]:
            raise Lost(f"{self._server.target.name}: {told}")
        return Figures(
            cpu_us=used / max(1, told["delivered"]) * 1e6,
            per_second=told["in_time"] / told["seconds"],
            idle=told["idle"],
            folded=told["folded"],
            disturbed=max(elsewhere, 1 - told["cpu"]),
            p50_us=told.get("p50_us"),
            p99_us=told.get("p99_us"),
        )


@contextmanager
def crowd(load: Path, server: Running, sockets: int, topics: int) -> Iterator[Crowd]:
    """Connect and join; at the end all hang up, and the server has come to rest."""
    target = server.target
    command = [str(load), "-p", str(server.port), "-n", str(sockets), "-t", str(topics)]
    command += ["-d", target.dialect, *(["-k", target.token] if target.token else [])]
    used = machine.cpu_seconds(server.pid)
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=many_files,
    )
    machine.pin(child.pid, machine.GENERATOR_CORE)
    prefer(child.pid)
    with child:
        try:
            assert child.stdout is not None
            told = child.stdout.readline()
            if not told:
                raise Lost(f"{target.name}: not all of {sockets} sockets could join")
            used = machine.cpu_seconds(server.pid) - used
            count = sockets + 1
            entry = Entry(per_second=count / json.loads(told)["seconds"], cpu_us=used / count * 1e6)
            yield Crowd(child, server, entry)
        finally:
            child.kill()
    rest(server.pid)


def rest(pid: int) -> None:
    """Return once the process has next to nothing to do, or does not stop."""
    for _ in range(round(LONGEST_WAIT_SECONDS / QUIET_SECONDS)):
        used = machine.cpu_seconds(pid)
        time.sleep(QUIET_SECONDS)
        little = machine.cpu_seconds(pid) - used < QUIET_SHARE * QUIET_SECONDS
        if little and not _wants_to_run(pid):
            return


def _wants_to_run(pid: int) -> bool:
    """Whether it only waits for a core that others have."""
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "R"


def _busy_seconds() -> float:
    """What the server's core has worked since the machine began, for anybody, with what
    the machine's host took of it."""
    name = f"cpu{machine.SERVER_CORE} "
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(name):
            user, nice, system, _idle, _wait, irq, softirq, stolen = map(int, line.split()[1:9])
            return (user + nice + system + irq + softirq + stolen) / 100
    return 0.0
