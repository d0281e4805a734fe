"""What a socket costs that is joined and silent, and what it costs to let it in.

    python -m benchmarks.bench_idle [--rounds 3] [--only safelight,naive]

Each server is started anew, meets a few sockets (so that what is loaded late is not counted)
and then SOCKETS of them, each of which joins a topic of its own. Memory is the growth of the
proportional set size of its whole process tree from before until all sit still; the kernel's
own buffers are not in it. Letting in is connecting, the upgrade and the join.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import msgspec

from benchmarks import machine
from benchmarks.fanout_load import Lost, crowd, rest
from benchmarks.fanout_targets import NAIVE, OURS, NotStarted, Target, only, running, versions
from benchmarks.tables import Cell, Table, goal, publish

SOCKETS = 1000
FEW = 10
SETTLE_SECONDS = 0.3


class Round(msgspec.Struct, frozen=True):
    """One server in one round."""

    kib: float
    per_second: float
    cpu_us: float


def attend(target: Target, load: Path) -> Round:
    """Start, fill, weigh. Raises Lost."""
    with running(target) as server:
        with crowd(load, server, FEW, FEW):
            pass
        rest(server.pid)
        empty = machine.pss_kib(server.pid)
        with crowd(load, server, SOCKETS, SOCKETS) as these:
            time.sleep(SETTLE_SECONDS)
            full = machine.pss_kib(server.pid)
            entry = these.entry
    return Round((full - empty) / (SOCKETS + 1), entry.per_second, entry.cpu_us)


def row(target: Target, rounds: list[Round], naive: list[Round]) -> list[Cell]:
    """The medians of one server; ratios above 1 where it is better."""
    if not rounds:
        why = f" (missing: {target.missing})" if target.missing else ""
        return [target.name + why, *[None] * 6, 0]
    pairs = list(zip(naive, rounds, strict=False))
    return [
        target.name,
        median(one.kib for one in rounds),
        min(one.kib for one in rounds),
        median(a.kib / b.kib for a, b in pairs) if pairs else None,
        round(median(one.per_second for one in rounds)),
        median(one.cpu_us for one in rounds),
        median(a.cpu_us / b.cpu_us for a, b in pairs) if pairs else None,
        len(rounds),
    ]


def table(chosen: list[Target], results: dict[str, list[Round]], troubles: list[str]) -> Table:
    """One table for both questions."""
    ours = [one.kib for one in results[OURS]]
    return Table(
        name="idle",
        title=f"Idle sockets: {SOCKETS:,} that have joined a topic each; and letting them in",
        columns=[
            "server",
            "KiB/socket",
            "least",
            "x naive",
            "joins/s",
            "us/join",
            "x naive, CPU",
            "rounds",
        ],
        rows=[row(one, results[one.name], results[NAIVE]) for one in chosen],
        goal=[
            goal(
                "PSS per idle joined socket",
                median(ours) if ours else None,
                6,
                10,
                unit="KiB",
                most=True,
            )
        ],
        notes=[
            "Growth of the proportional set size of the process tree, divided by the sockets; what"
            " the kernel holds for a connection is not in it.",
            "A join is the connection, the upgrade and the subscription, 64 at a time from one"
            " thread of C; us/join is user and system time of the server. safelight checks a"
            " token, reads the task from its store and answers with its snapshot meanwhile; no"
            " peer reads anything.",
            *troubles,
        ],
        versions=versions(),
    )


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=machine.rounds(3))
    parser.add_argument("--only", default="", help="parts of servers' names, with commas")
    given = parser.parse_args()
    load = machine.build("load.c")
    if load is None:
        return
    chosen = only(given.only)
    results: defaultdict[str, list[Round]] = defaultdict(list)
    troubles = []
    for number in range(given.rounds):
        for target in chosen:
            if target.missing:
                continue
            print(f"round {number + 1} of {given.rounds}: {target.name}", flush=True)
            try:
                results[target.name].append(attend(target, load))
            except (Lost, NotStarted) as lost:
                troubles.append(f"Round {number + 1}: {lost}")
    publish(table(chosen, results, troubles))


if __name__ == "__main__":
    main()
