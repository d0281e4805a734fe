"""A house that goes down begins nothing any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from safelight.providers.scripted import Scripted
from tests.doubles.served import PATIENCE, Served, served

GATED: list[dict[str, Any]] = [{"do": "wait", "gate": "end"}]


async def test_nothing_is_claimed_while_the_house_goes_down(tmp_path: Path) -> None:
    """Places become free after the stop was asked for; what waits is started by the next
    house, once, and not by this one."""
    first = Scripted(billed=True, resumable=True)
    async with served(tmp_path, scripted_provider=first) as house:
        for n in range(6):
            await house.create(id=f"x{n}", params={"script": GATED})
        await _begun(house, 4)
        house.context.drain()
        first.gate("end").set()
        for n in range(4):
            await _ended(house, f"x{n}")
        # A retry that comes due, or a place that is free, changes nothing either.
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert house.context.statistics()["waiting"] == 2
        assert len(first.started) == 4
    second = Scripted(billed=True, resumable=True)
    second.gate("end").set()
    async with served(tmp_path, scripted_provider=second) as house:
        ends = [(await house.events(f"x{n}"))[-1] for n in (4, 5)]
    assert [(end["type"], end["attempt"]) for end in ends] == [("completed", 1)] * 2
    assert len(second.started) == 2


async def test_who_asks_is_told_that_the_house_goes_down(tmp_path: Path) -> None:
    """From the stop on it is not ready, so that nobody is sent here any more."""
    async with served(tmp_path) as house:
        assert (await house.http.get("/readyz")).status_code == 200
        house.context.drain()
        answer = await house.http.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")


async def _begun(house: Served, many: int) -> None:
    with anyio.fail_after(PATIENCE):
        while len(house.scripted.started) < many:
            await anyio.lowlevel.checkpoint()


async def _ended(house: Served, id: str) -> None:
    with anyio.fail_after(PATIENCE):
        while not (await house.context.orchestrator.find("local", id)).ended:
            await anyio.lowlevel.checkpoint()
