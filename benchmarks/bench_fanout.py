"""What one event costs for each of its followers, against peers and the kernel's own price.

    python -m benchmarks.bench_fanout [--rounds 3] [--seconds 0.5] [--only safelight,naive]

Each server runs alone on one core and the generator on another; servers take turns within a
round. A server is loaded to saturation in a closed loop, where the processor time of its
whole process tree is divided by what it delivered, and then at a steady rate, where each
delivery is timed. Five tables. Who takes part: fanout_targets.py; how it is measured:
fanout_load.py and c/load.c.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import machine
from benchmarks.fanout_load import DISTURBED, Crowd, Figures, Lost, crowd, rest
from benchmarks.fanout_targets import (
    CEILING,
    EVENT_BYTES,
    NAIVE,
    OURS,
    WS,
    NotStarted,
    Running,
    Target,
    only,
    running,
    versions,
)
from benchmarks.tables import Cell, Table, goal, publish

WARM_SECONDS = 0.2
WITHOUT_MANY = ("safelight on stock uvicorn", "Socket.IO", "python-socketio")
"""Who is not asked for 5,000 followers: their connecting alone would take half of the time."""


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """One table. `full` is a closed loop: events outstanding, and events of one command;
    `rate` is events a second."""

    name: str
    title: str
    sockets: int
    topics: int
    full: tuple[int, int]
    rate: int | None


WORKLOADS = (
    Workload(
        name="fanout-1x1000",
        title="Fan-out: 1 topic with 1,000 followers, 4 events outstanding; times at 20,000/s",
        sockets=1000,
        topics=1,
        full=(4, 1),
        rate=20,
    ),
    Workload(
        name="fanout-bursts",
        title="Fan-out: 1 topic with 1,000 followers, bursts of 8 events",
        sockets=1000,
        topics=1,
        full=(32, 8),
        rate=None,
    ),
    Workload(
        name="fanout-250x4",
        title="Fan-out: 250 topics with 4 followers each; times at 10,000/s",
        sockets=1000,
        topics=250,
        full=(256, 16),
        rate=2500,
    ),
    Workload(
        name="fanout-1000x1",
        title="Fan-out: 1,000 topics with 1 follower each; times at 10,000/s",
        sockets=1000,
        topics=1000,
        full=(256, 16),
        rate=10_000,
    ),
    Workload(
        name="fanout-1x5000",
        title="Fan-out: 1 topic with 5,000 followers, 4 events outstanding; times at 10,000/s",
        sockets=5000,
        topics=1,
        full=(4, 1),
        rate=2,
    ),
)


class Round(msgspec.Struct, frozen=True):
    """What one server did in one round of one workload."""

    full: Figures
    steady: Figures | None


class Results:
    """Rounds by workload and server, and what went wrong."""

    def __init__(self) -> None:
        self._rounds: defaultdict[tuple[str, str], dict[int, Round]] = defaultdict(dict)
        self.troubles: list[str] = []

    def add(self, number: int, workload: Workload, target: Target, result: Round) -> None:
        """Keep a round; they are compared by their numbers."""
        self._rounds[workload.name, target.name][number] = result

    def of(self, workload: str, target: str) -> list[Round]:
        """The rounds of one server."""
        return list(self._rounds[workload, target].values())

    def ratio(
        self, workload: str, one: str, other: str, figure: Callable[[Round], float | None]
    ) -> float | None:
        """The median, over rounds that both have, of one's figure divided by the other's."""
        ones, others = self._rounds[workload, one], self._rounds[workload, other]
        both = [(figure(ones[n]), figure(others[n])) for n in ones.keys() & others.keys()]
        found = [a / b for a, b in both if a is not None and b]
        return median(found) if found else None


def cost(result: Round) -> float:
    """Processor time of a delivery."""
    return result.full.cpu_us


def p50(result: Round) -> float | None:
    """The median of a delivery's way, at a steady rate."""
    return None if result.steady is None else result.steady.p50_us


def measure(
    results: Results, chosen: list[Target], load: Path, rounds: int, seconds: float
) -> None:
    """All rounds of all servers."""
    for number in range(rounds):
        for target in chosen:
            if target.missing:
                continue
            print(f"round {number + 1} of {rounds}: {target.name}", flush=True)
            try:
                with running(target) as server:
                    rest(server.pid)
                    for group in groups(target):
                        attend(results, number, server, load, group, seconds)
            except NotStarted as trouble:
                results.troubles.append(f"Round {number + 1}: {trouble}")


def groups(target: Target) -> list[list[Workload]]:
    """The workloads of a server, those with the same sockets together."""
    found: dict[tuple[int, int], list[Workload]] = {}
    for workload in WORKLOADS:
        if workload.sockets <= 1000 or target.name not in WITHOUT_MANY:
            found.setdefault((workload.sockets, workload.topics), []).append(workload)
    return list(found.values())


def attend(
    results: Results,
    number: int,
    server: Running,
    load: Path,
    group: list[Workload],
    seconds: float,
) -> None:
    """One crowd and its workloads. A server that loses something has no such round."""
    first = group[0]
    try:
        with crowd(load, server, first.sockets, first.topics) as these:
            rest(server.pid)
            these.run(f"closed {WARM_SECONDS} {first.full[0]} {first.full[1]}", once=True)
            for workload in group:
                result = phases(these, workload, seconds)
                results.add(number, workload, server.target, result)
    except Lost as lost:
        results.troubles.append(f"{first.title}, round {number + 1}: {lost}")
        print(results.troubles[-1], flush=True)


def phases(these: Crowd, workload: Workload, seconds: float) -> Round:
    """Saturated, then at a steady rate."""
    window, batch = workload.full
    full = these.run(f"closed {seconds} {window} {batch}")
    steady = None
    if workload.rate is not None:
        steady = these.run(f"open {max(seconds, 0.8)} {workload.rate} 1")
    return Round(full, steady)


COLUMNS = [
    "server",
    "us/delivery",
    "best",
    "deliveries/s",
    "x naive",
    "x C",
    "p50 ms",
    "p99 ms",
    "generator idle %",
    "rounds",
]


def table(results: Results, workload: Workload, chosen: list[Target]) -> Table:
    """The medians of one workload."""
    rows = [row(results, workload, target) for target in chosen]
    return Table(
        name=workload.name,
        title=workload.title,
        columns=COLUMNS,
        rows=rows,
        goal=goals(results)[workload.name],
        notes=notes(results, workload, chosen),
        versions=versions(),
    )


def row(results: Results, workload: Workload, target: Target) -> list[Cell]:
    """One server. Ratios are medians of the rounds' own, above 1 where it is better."""
    rounds = results.of(workload.name, target.name)
    if not rounds:
        why = f" (missing: {target.missing})" if target.missing else ""
        return [target.name + why, *[None] * (len(COLUMNS) - 2), 0]
    costs = [cost(one) for one in rounds]
    steady = [one.steady for one in rounds if one.steady is not None]
    half = [one.p50_us / 1000 for one in steady if one.p50_us is not None]
    most = [one.p99_us / 1000 for one in steady if one.p99_us is not None]
    return [
        target.name,
        median(costs),
        min(costs),
        round(median(one.full.per_second for one in rounds)),
        results.ratio(workload.name, NAIVE, target.name, cost),
        results.ratio(workload.name, CEILING, target.name, cost),
        median(half) if half else None,
        median(most) if most else None,
        round(100 * median(one.full.idle for one in rounds)),
        len(rounds),
    ]


def goals(results: Results) -> dict[str, list[str]]:
    """The lines of issue 4, for the table that each belongs to."""

    def better(workload: str, than: str, at: float, floor: float) -> str:
        measured = results.ratio(workload, than, OURS, cost)
        return goal(f"CPU per delivery against {than}", measured, at, floor)

    half = results.ratio("fanout-1x1000", OURS, CEILING, p50)
    return {
        "fanout-1x1000": [
            better("fanout-1x1000", NAIVE, 9, 6),
            better("fanout-1x1000", WS, 4, 2.5),
            better("fanout-1x1000", CEILING, 2.5, 1.5),
            goal(f"p50 at 20,000/s against {CEILING}", half, 1.3, 2, most=True),
        ],
        "fanout-bursts": [better("fanout-bursts", NAIVE, 40, 20)],
        "fanout-250x4": [
            better("fanout-250x4", NAIVE, 3, 2),
            better("fanout-250x4", WS, 1.2, 0.9),
            better("fanout-250x4", CEILING, 0.8, 0.6),
        ],
        "fanout-1000x1": [
            better("fanout-1000x1", NAIVE, 2.5, 1.8),
            better("fanout-1000x1", CEILING, 0.6, 0.4),
        ],
        "fanout-1x5000": [],
    }


def notes(results: Results, workload: Workload, chosen: list[Target]) -> list[str]:
    """What a reader must know to judge the figures."""
    window, batch = workload.full
    said = [
        f"One event is one text frame of {EVENT_BYTES} bytes, without permessage-deflate. Server"
        f" and generator have a core each; {window} events are outstanding, asked for by {batch}.",
        "us/delivery is user and system time of the server's whole process tree, with the"
        " kernel's loopback work, divided by what was delivered. Ratios are medians of the"
        " rounds' own; differences below 15 % are noise.",
        "Every frame of every server was counted, and its seq checked on every socket.",
        "safelight is the application as shipped: token, session, sequence, log and store are in"
        " place, and an event is encoded, logged and told as after its commit. The commit is not"
        " in this table, since no peer stores anything.",
    ]
    if workload.sockets > 1000:
        said.append("Not run with so many: " + "; ".join(WITHOUT_MANY) + ".")
    busy = []
    for target in chosen:
        rounds = results.of(workload.name, target.name)
        folded = sum(one.full.folded + (one.steady.folded if one.steady else 0) for one in rounds)
        if folded:
            said.append(f"{target.name}: {folded:,} events came folded into later ones.")
        if any(one.full.disturbed > DISTURBED for one in rounds):
            busy.append(target.name)
    if busy:
        share = f"more than {DISTURBED:.0%} of a core"
        said.append(f"Other work took {share} in some round of: {'; '.join(busy)}.")
    return said + [line for line in results.troubles if line.startswith((workload.title, "Round"))]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=machine.rounds(3))
    parser.add_argument("--seconds", type=float, default=machine.seconds(0.5))
    parser.add_argument("--only", default="", help="parts of servers' names, with commas")
    given = parser.parse_args()
    load = machine.build("load.c")
    if load is None:
        return
    chosen = only(given.only)
    results = Results()
    measure(results, chosen, load, given.rounds, given.seconds)
    for workload in WORKLOADS:
        publish(table(results, workload, chosen))


if __name__ == "__main__":
    main()
