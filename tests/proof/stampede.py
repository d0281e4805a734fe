"""Fifty creators, three doors, one key: one task and one run at the provider.

    python -m tests.proof.stampede --rounds 1000

In each round all creators ask at once for one request under one id and one key, over
REST, over sockets (a join with `create`) and in batches. Real sockets, a real database
file; server and creators share one process, so that the provider itself says how often
it was asked to run. Prints what was counted and ends with 1 if any round broke.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from safelight import telemetry
from safelight_protocol.codes import Refused
from tests.doubles.served import Phone, Served, served

CREATORS = 50
DOORS = ("rest", "socket", "batch")

Creator = Callable[[str, dict[str, Any]], Awaitable[tuple[str, bool]]]
"""Asks for a request under its id; returns the task's id and whether it was created."""


class Tally(msgspec.Struct):
    """What happened. `broken` has a sentence for each round that was not as promised."""

    rounds: int = 0
    creates: int = 0
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    tasks: int = 0
    runs: int = 0
    broken: list[str] = msgspec.field(default_factory=list)


async def stampede(house: Served, rounds: int, creators: int = CREATORS) -> Tally:
    """Run the rounds against a server that was just started."""
    tally = Tally()
    async with AsyncExitStack() as stack:
        asking: list[tuple[str, Creator]] = []
        for place in range(creators):
            door = DOORS[place % len(DOORS)]
            asking.append((door, await _creator(house, door, stack)))
        for number in range(rounds):
            await _round(house, asking, number, tally)
    return tally


async def _round(
    house: Served, asking: list[tuple[str, Creator]], number: int, tally: Tally
) -> None:
    id = f"stampede-{number}"
    body = {
        "kind": "text",
        "prompt": f"round {number}",
        "model": "scripted/text",
        "id": id,
        "request_id": f"key-{number}",
    }
    before = len(house.scripted.started)
    turn = number % len(asking)  # so that each door is first in its turn
    asking = [*asking[turn:], *asking[:turn]]
    got = await asyncio.gather(*(ask(id, body) for _, ask in asking))
    await house.events(id)  # to its end: the runs are counted after it
    created = [door for (door, _), (_, fresh) in zip(asking, got, strict=True) if fresh]
    ids = {told for told, _ in got}
    runs = house.scripted.started[before:]
    tally.rounds += 1
    tally.creates += len(asking)
    tally.answers.update(created)
    tally.tasks += len(ids)
    tally.runs += len(runs)
    if ids != {id} or len(created) != 1 or len(runs) != 1:
        tally.broken.append(f"round {number}: ids {ids}, created at {created}, runs {runs}")


async def _creator(house: Served, door: str, stack: AsyncExitStack) -> Creator:
    if door == "rest":
        return lambda id, body: _by_rest(house, body)
    if door == "batch":
        return lambda id, body: _by_batch(house, body)
    phone = await stack.enter_async_context(house.connect())
    refs = itertools.count(1)
    return lambda id, body: _by_socket(phone, str(next(refs)), id, body)


async def _by_rest(house: Served, body: dict[str, Any]) -> tuple[str, bool]:
    answer = await house.post("/api/tasks", body)
    assert answer.status_code in (200, 202), answer.text
    data = answer.json()["data"]
    return data["task_id"], data["created"]


async def _by_batch(house: Served, body: dict[str, Any]) -> tuple[str, bool]:
    answer = await house.post("/api/tasks:batch", {"tasks": [body]})
    (row,) = answer.json()["data"]["results"]
    assert row["status"] in (200, 202), row
    return row["data"]["task_id"], row["data"]["created"]


async def _by_socket(phone: Phone, ref: str, id: str, body: dict[str, Any]) -> tuple[str, bool]:
    topic = f"task:{id}"
    reply = await phone.join(topic, {"create": body}, ref)
    if reply["status"] != "ok":
        raise Refused("internal", f"a join was refused: {reply}")
    await phone.push(topic, "phx_leave", {}, ref)
    phone.received.clear()
    return reply["response"]["task"]["task_id"], reply["response"]["created"]


async def _main(rounds: int, creators: int) -> Tally:
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder) / "data") as house:
            return await stampede(house, rounds, creators)


def main() -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--creators", type=int, default=CREATORS)
    args = parser.parse_args()
    telemetry.configure("warning", "console")
    began = time.monotonic()
    tally = asyncio.run(_main(args.rounds, args.creators))
    seconds = time.monotonic() - began
    first = ", ".join(f"{door} {count}" for door, count in sorted(tally.answers.items()))
    print(f"{tally.rounds} rounds of {args.creators} creators, {seconds:.1f} s")
    print(f"creates asked {tally.creates}, tasks {tally.tasks}, runs at the provider {tally.runs}")
    print(f"who was first: {first}")
    for sentence in tally.broken[:20]:
        print("BROKEN", sentence)
    print(f"rounds broken: {len(tally.broken)}")
    return 1 if tally.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
