"""Many tasks at SuperDuperAI with everything going wrong by chance: nothing is stuck, nothing is
run twice, and the books say what the emulator's own log says.

What goes wrong is drawn by the emulator from its seed; some tasks are cancelled as well.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.superduper_rig import FILM, FREE, PAID, Rig, rigged

TASKS = 100
TOGETHER = 50
"""Tasks under way at once: the client has no more connections than twice as many."""

ENDS = {"completed", "failed", "canceled"}
SECONDS = 240.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_stuck_run_twice_or_wrongly_paid(seed: int, tmp_path: Path) -> None:
    """Every task ends, each is run at most once, and the sum in the books is that of the runs."""
    numbers = range(TASKS)
    async with rigged(
        tmp_path, chaos=0.12, seed=seed, request_seconds=2.0, concurrency=32, pace=0.005
    ) as rig:
        room = asyncio.Semaphore(TOGETHER)
        tasks = [_one(rig, room, number, random.Random(f"{seed} {number}")) for number in numbers]
        async with asyncio.timeout(SECONDS):
            ends = await asyncio.gather(*tasks)
            # What was cancelled runs on there.
            settled = await asyncio.to_thread(rig.emulator.settled)
        runs = Counter(run["marks"]["prompt"] for run in settled)
        usage = (await rig.house.http.get("/api/usage")).json()["data"]
    print(Counter((end["type"], end.get("error_data", {}).get("code")) for end in ends))
    assert {end["type"] for end in ends} <= ENDS
    assert max(runs.values()) == 1
    assert usage["unknown"] == []
    assert usage["total_micros"] == rig.emulator.cost()
    completed = [end for end in ends if end["type"] == "completed"]
    assert len(completed) > TASKS / 3


async def _one(
    rig: Rig, room: asyncio.Semaphore, number: int, chance: random.Random
) -> dict[str, Any]:
    """One task to its end; one in ten is cancelled somewhere on its way."""
    share = chance.random()
    model = FREE if share < 0.3 else FILM if share < 0.5 else PAID
    count = 2 if share > 0.9 else 1
    async with room:
        id = await rig.create(model, prompt=f"a lamp, number {number}", n=count)
        if chance.random() < 0.1:
            await rig.house.post(f"/api/tasks/{id}/cancel")
        last: dict[str, Any] = (await rig.house.events(id))[-1]
    return last
