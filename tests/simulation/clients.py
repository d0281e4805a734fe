"""Who uses a simulated server: creators, cancelers, deleters, each trying until it knows.

A request whose answer was lost is made again with the same id or key, as our guide tells
clients to. What they are answered goes into the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Protocol

import anyio
import msgspec

from safelight_protocol.commands import read_native
from tests.simulation.doors import request
from tests.simulation.ledger import Ledger, Witness
from tests.simulation.server import Crashed, Life


class World(Protocol):
    """What clients know of their world."""

    ledger: Ledger

    def alive(self) -> Awaitable[Life]:
        """The server that runs, as soon as there is one."""


class Wish:
    """What some clients want: one task, asked for by several at once.

    `id` and `key` may both be None: then each creator may get a task of its own.
    """

    def __init__(self, number: int, dice: Random) -> None:
        self.dice = dice
        self.id = f"t{number}" if dice.random() < 0.6 else None
        self.key = f"k{number}" if dice.random() < (0.5 if self.id else 0.8) else None
        self.kind = dice.choice(["text", "image"])
        self.prompt = f"wish {number}"
        self.found: str | None = None
        self.acked = asyncio.Event()
        self.ended = asyncio.Event()
        self.witnesses: list[Witness] = []
        self.deletes = dice.random() < 0.3

    def body(self, *, other: bool) -> dict[str, Any]:
        """The request; `other` is another one under the same names."""
        prompt = self.prompt + (" instead" if other else "")
        body = {"kind": self.kind, "prompt": prompt, "model": f"scripted/{self.kind}"}
        return body | ({} if self.id is None else {"id": self.id})

    def hear(self, id: str) -> None:
        """There is a task."""
        self.found = self.found or id
        self.acked.set()


async def create(world: World, wish: Wish, dice: Random) -> None:
    """Ask for the task until something final is said."""
    other = dice.random() < 0.15 and (wish.id or wish.key) is not None
    body = wish.body(other=other)
    await anyio.sleep(dice.choice([0.0, 0.0, dice.random(), dice.random() * 8]))
    ask = _by_rest if dice.random() < 0.6 else _by_call
    status, data = await _insist(world, dice, lambda life: ask(life, dice, body, wish.key))
    if status in (200, 202):
        world.ledger.hear_created(data["task_id"], wish.key, created=data["created"])
        if data["input_data"]["prompt"] != body["prompt"]:
            world.ledger.breach("one's own task is answered", data["task_id"])
        wish.hear(data["task_id"])
    elif status == 410 and not wish.deletes:
        world.ledger.breach("nothing is gone that nobody deleted", body)
    elif status not in (409, 410, 422):
        world.ledger.breach("a create is answered", f"{status} {data}")
    world.ledger.counts[f"create {status}"] += 1


async def cancel(world: World, wish: Wish, dice: Random) -> None:
    """Ask for the task's end, whatever it is doing."""
    await wish.acked.wait()
    await anyio.sleep(dice.choice([0.0, dice.random(), dice.random() * 10]))
    path = f"/api/tasks/{wish.found}/cancel"
    status, data = await _insist(world, dice, lambda life: request(life, dice, "POST", path, {}))
    if status not in (200, 202, 410) or (status == 410 and not wish.deletes):
        world.ledger.breach("a cancel is answered", f"{status} {data}")


async def delete(world: World, wish: Wish, dice: Random) -> None:
    """Delete the task once a witness has seen its end."""
    await wish.ended.wait()
    path = f"/api/tasks/{wish.found}"
    status, data = await _insist(world, dice, lambda life: request(life, dice, "DELETE", path))
    if status not in (200, 204, 410):
        world.ledger.breach("whose end was told can be deleted", f"{status} {data}")
    status, data = await _insist(world, dice, lambda life: request(life, dice, "GET", path))
    if status != 410:
        world.ledger.breach("what is deleted is gone", f"{status} {data}")
    world.ledger.counts["deleted"] += 1


Answer = tuple[int, Any]


async def _insist(world: World, dice: Random, ask: Callable[[Life], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer that is not trouble."""
    while True:
        life = await world.alive()
        try:
            status, body = await ask(life)
        except Crashed:
            world.ledger.counts["answers lost"] += 1
            await anyio.sleep(dice.random())
            continue
        if status < 500:
            return status, body.get("data", body) if isinstance(body, dict) else body
        world.ledger.counts[f"refused {status}"] += 1
        if status not in (503, 507):
            world.ledger.breach("trouble has a name", f"{status} {body}")
        await anyio.sleep(0.2 + dice.random())


async def _by_rest(life: Life, dice: Random, body: dict[str, Any], key: str | None) -> Answer:
    headers = {} if key is None else {"idempotency-key": key}
    return await request(life, dice, "POST", "/api/tasks", body, headers)


async def _by_call(life: Life, dice: Random, body: dict[str, Any], key: str | None) -> Answer:
    """The very act without a door, so that nothing spreads the creators in time."""
    from safelight_protocol.codes import Refused

    create = life.context.orchestrator.create("local", read_native(body, key=key))
    try:
        made = await life.call(create, "create")
    except Refused as refused:
        return refused.code.http or 500, {"message": refused.message}
    shown = msgspec.to_builtins(made.snapshot)
    return (202 if made.created else 200), {"data": shown | {"created": made.created}}
