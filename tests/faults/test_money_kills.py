"""The server is killed at each point of a paid task, and its owner's money is all there.

A real process is stopped at the point and gets SIGKILL; the provider lives elsewhere and
counts its runs. Whatever was half done, the hold is on disk exactly as long as the task
lives, there is one charge for each run, and a budget for one picture never buys two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.doubles.child import Child, child_process
from tests.doubles.priced import MODELS
from tests.doubles.remote import Remote, remote
from tests.doubles.served import PATIENCE

pytestmark = pytest.mark.slow

EACH = 40_000
"""What the provider bills for each run, in millionths of a dollar."""

SCRIPT = [{"do": "wait", "gate": "open"}, {"do": "image"}]
BODY: dict[str, Any] = {"kind": "image", "prompt": "a monk", "model": "scripted/image"}
FIRST = BODY | {"id": "first", "params": {"script": SCRIPT}}

POINTS = [
    "before-commit:create",
    "after-commit:create",
    "before-commit:claim",
    "after-commit:claim",
    "before-start",
    "after-start",
    "after-commit:handle",
    "before-commit:artifact",
    "before-commit:end",
    "after-commit:end",
]


class Till:
    """A server that is killed, and what is asked of it."""

    def __init__(self, child: Child, provider: Remote) -> None:
        self.child, self.provider = child, provider

    async def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """One request."""
        async with httpx2.AsyncClient(base_url=self.child.url, timeout=PATIENCE) as http:
            return await http.request(method, path, json=body)

    async def usage(self) -> dict[str, Any]:
        """What the owner is told."""
        told: dict[str, Any] = (await self.ask("GET", "/api/usage")).json()["data"]
        return told

    async def buys_another(self) -> int:
        """The status of a create of another picture."""
        other = BODY | {"prompt": "another", "reuse": "never"}
        return (await self.ask("POST", "/api/tasks", other)).status_code

    async def create(self) -> None:
        """The first picture; its answer may never come."""
        try:
            await self.ask("POST", "/api/tasks", FIRST)
        except httpx2.HTTPError:
            pass

    async def end(self) -> dict[str, Any]:
        """The snapshot of the first picture once it has ended."""
        with anyio.fail_after(PATIENCE):
            while True:
                answer = await self.ask("GET", "/api/tasks/first/events?after=0&wait=5")
                events = answer.json()["data"]["events"] if answer.is_success else []
                if events and events[-1]["type"] in ("completed", "failed", "canceled"):
                    last: dict[str, Any] = events[-1]
                    return last

    def lines(self) -> list[tuple[str, int, int]]:
        """The ledger on the disk."""
        with closing(sqlite3.connect(self.child.data_dir / "safelight.sqlite3")) as database:
            found = list(database.execute("SELECT entry, attempt, amount FROM ledger ORDER BY n"))
        return found


@asynccontextmanager
async def till(folder: Path) -> AsyncIterator[Till]:
    """A budget for one picture."""
    prices = folder / "models.toml"
    prices.write_text(MODELS.replace("image = 3000", f"image = {EACH}"))
    settings = {"models_file": str(prices), "budget_per_day": 0.04}
    async with remote() as provider:
        made = child_process(
            folder / "data", provider.url, billed=True, start_seconds=1, **settings
        )
        with made as child:
            yield Till(child, provider)


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_costs_nobody_anything(tmp_path: Path, point: str) -> None:
    """What is held, charged and left is what it would have been without the kill; an attempt
    that was claimed and certainly not begun is a line that says so."""
    async with till(tmp_path) as house:
        late = point.endswith((":end", ":artifact"))
        house.child.points.arm(point)
        async with anyio.create_task_group() as group:
            group.start_soon(house.create)
            if late:
                house.provider.gate("open").set()
            assert await house.child.points.reached() == point
            await anyio.to_thread.run_sync(house.child.kill)
            written = house.lines()
            await anyio.to_thread.run_sync(house.child.start)
        if point != "before-commit:create":
            assert written[0] == ("hold", 1, EACH), "a task on disk has its hold there"
            assert await house.buys_another() == 402, "what is held, or spent, is not left"
        if point not in ("before-commit:create", "after-commit:end"):
            assert (await house.usage())["held_micros"] in (EACH, 0)
        await house.create()
        house.provider.gate("open").set()
        end = await house.end()
        told = await house.usage()
        assert (end["type"], end["charge"]["amount_micros"]) == ("completed", EACH)
        assert list(house.provider.started().values()) == [1]
        last, lines = end["attempt"], house.lines()
        assert (lines[0], lines[-1]) == (("hold", 1, EACH), ("release", last, -EACH))
        charges = [("charge", n, EACH if n == last else 0) for n in range(1, last + 1)]
        assert lines[1:-1] == charges, "one for each attempt, and nothing for one not begun"
        assert (told["total_micros"], told["held_micros"]) == (EACH, 0)
        assert told["budget"]["left_micros"] == 0 and await house.buys_another() == 402
