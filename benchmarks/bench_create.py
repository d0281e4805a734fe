"""Creates and status reads over HTTP: ours beside servers without a store, and beside queues.

    python -m benchmarks.bench_create [--with gradio] [--only NAME ...] [--rounds N] [--seconds S]

Sixty-four keep-alive connections post a task of their own each time (`c/http.c`, closed loop,
core 1); the server, its threads and its database have core 0. Ours is the real `safelight serve`
with a token, at synchronous=FULL; its four places are taken by tasks that hang, so that creates
wait in the queue and nothing is painted. Every phase begins with a new process on a new folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import machine
from benchmarks.stores.phases import CONNECTIONS, GRADIO, OURS, Bench, Peer, Phase
from benchmarks.stores.services import Service, postgres, redis
from benchmarks.tables import Cell, Table, goal, publish

REFERENCE, EACH = "Starlette, no store", "a transaction each"


CREATES = (
    Peer("uvicorn, bare ASGI, no store", "benchmarks.stores.bare"),
    Peer(REFERENCE, "benchmarks.stores.nothing"),
    Peer(OURS, "safelight"),
    Peer(EACH, "benchmarks.stores.transaction"),
    Peer("asyncpg, PostgreSQL", "benchmarks.stores.postgres", needs="postgres", package="asyncpg"),
    Peer("arq, Redis", "benchmarks.stores.with_arq", needs="redis", package="arq"),
    Peer("Celery, Redis", "benchmarks.stores.with_celery", needs="redis", package="celery"),
)
QUEUE_OF_GRADIO = Peer(
    GRADIO,
    "benchmarks.stores.with_gradio",
    path="/gradio_api/call/paint",
    status=200,
    package="gradio",
    listed="gradio",
)
READS = (
    Peer(REFERENCE, "benchmarks.stores.nothing", status=200),
    Peer(OURS, "safelight", status=200),
)


Phases = dict[str, list[Phase]]


def interleaved(
    peers: list[Peer], measure: Callable[[Peer, float], Phase], rounds: int, seconds: float
) -> Phases:
    """A B C, A B C, A B C: whatever the machine does besides meets all alike.

    A peer that needs a package and fails is left out from there on; nobody else may fail.
    """
    found: Phases = {peer.name: [] for peer in peers}
    for turn in range(rounds):
        for peer in peers:
            if peer.name not in found:
                continue
            try:
                one = measure(peer, seconds)
            except (RuntimeError, TimeoutError) as trouble:
                if not peer.package:
                    raise
                print(f"  {peer.name} is left out: {trouble}", flush=True)
                del found[peer.name]
                continue
            found[peer.name].append(one)
            said = f"{one.rate:,.0f}/s, p99 {one.p99:.1f} ms"
            print(f"  round {turn + 1}: {peer.name}: {said}", flush=True)
    return found


def ratio(found: Phases, name: str, to: str, field: str = "rate") -> float | None:
    """The median of the rounds' own ratios; None where one of the two is not there."""
    if not found.get(name) or not found.get(to):
        return None
    mine, theirs = ([float(getattr(one, field)) for one in found[who]] for who in (name, to))
    return round(statistics.median(a / b for a, b in zip(mine, theirs, strict=True)), 3)


def rows(found: Phases, *references: str) -> list[list[Cell]]:
    """Medians by rate, the fastest first."""
    made: list[list[Cell]] = []
    for name, phases in found.items():
        rates = [one.rate for one in phases]
        middle = [statistics.median(column) for column in zip(*phases, strict=True)]
        made.append(
            [
                name,
                round(middle[0]),
                f"{min(rates):,.0f}-{max(rates):,.0f}",
                *(ratio(found, name, to) for to in references),
                *(round(value, 2) for value in middle[1:4]),
                *(f"{share:.0%}" for share in middle[4:]),
                len(phases),
            ]
        )
    return sorted(made, key=lambda row: -float(row[1] or 0))


COLUMNS = [
    "p50 ms",
    "p99 ms",
    "us CPU/request",
    "core used",
    "elsewhere",
    "generator idle",
    "rounds",
]


def publish_creates(found: Phases, missing: list[str], versions: dict[str, str]) -> None:
    """The table of POST and its goals."""
    publish(
        Table(
            name="create",
            title=f"Create: POST, durable row, 202 ({CONNECTIONS} connections)",
            columns=["", "req/s", "range", "x no store", "x transaction each", *COLUMNS],
            rows=rows(found, REFERENCE, EACH),
            goal=[
                goal("to Starlette with no store", ratio(found, OURS, REFERENCE), 0.85, 0.6),
                goal("to a transaction each", ratio(found, OURS, EACH), 9, 6),
                goal("p99 to no store", ratio(found, OURS, REFERENCE, "p99"), 1.5, 2.5, most=True),
            ],
            notes=[
                "safelight: synchronous=FULL, token checked, four tasks hang in its places and"
                " the others wait; its answer is the task's whole snapshot",
                "CPU is that of the whole process tree, with Redis and PostgreSQL where there is"
                " one; all of it shares core 0",
                "core used, elsewhere: the shares of core 0 that the server's processes and others"
                " took; in the rest it waited, for the disk; where others took more than 10 %, only"
                " the CPU is to be trusted",
                "Redis runs with appendfsync=always; no worker takes the jobs of arq and Celery",
                *missing,
            ],
            versions=versions,
        )
    )


def publish_reads(found: Phases) -> None:
    """The table of GET."""
    publish(
        Table(
            name="status",
            title=f"Status: GET of one live task ({CONNECTIONS} connections)",
            columns=["", "req/s", "range", "x constant", *COLUMNS],
            rows=rows(found, REFERENCE),
            notes=["the reference answers one constant; safelight checks the token and the owner"],
        )
    )


SERVICES = {"redis": redis, "postgres": postgres}


class Here(NamedTuple):
    """Who can be measured on this machine, their packages' versions, and notes on the others."""

    peers: list[Peer]
    versions: dict[str, str]
    missing: list[str]


def here(wanted: list[Peer], services: dict[str, Service | None]) -> Here:
    """Look for the packages and services of those who need any."""
    found = Here([], {name: one.version for name, one in services.items() if one}, [])
    for peer in wanted:
        package = machine.peer_versions(peer.package, listed=peer.listed) if peer.package else {}
        if (peer.package and not package) or (peer.needs and services[peer.needs] is None):
            found.missing.append(f"missing here: {peer.name}")
        else:
            found.peers.append(peer)
            found.versions.update(package)
    return found


def main(given: argparse.Namespace) -> None:
    """Both tables."""
    generator = machine.build("http.c")
    if generator is None:
        return
    wanted = [*CREATES, *([QUEUE_OF_GRADIO] if "gradio" in given.peers else [])]
    wanted = [peer for peer in wanted if not given.only or peer.name in given.only]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services: dict[str, Service | None] = {}
        for need in {peer.needs for peer in wanted if peer.needs}:
            services[need] = stack.enter_context(SERVICES[need](folder / need))
        peers, versions, missing = here(wanted, services)
        bench = Bench(generator, folder, services)
        creates = interleaved(peers, bench.create, given.rounds, given.seconds)
        missing += [f"failed here: {peer.name}" for peer in peers if peer.name not in creates]
        publish_creates(creates, missing, versions)
        publish_reads(interleaved(list(READS), bench.read, given.rounds, given.seconds))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--with", dest="peers", action="append", default=[], choices=["gradio"])
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=machine.rounds(3))
    parser.add_argument("--seconds", type=float, default=machine.seconds(3))
    main(parser.parse_args())
