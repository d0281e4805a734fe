"""Many tasks at an OpenAI where something goes wrong by chance on every seventh occasion.

None is stuck, none runs twice within an attempt, and wherever it is known what a task cost,
it is to the last millionth what the emulator's own log says.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.openai_rig import CHAT, IMAGE, TEXT, Rig, rigged

TASKS = 60
AT_ONCE = 6


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_every_task_ends_once_and_is_paid_once(tmp_path: Path) -> None:
    """Whatever happened, each is told an end, its whole text, and its price."""
    async with rigged(tmp_path, pace=0.001, chaos=0.15, seed=11, log_level="error") as rig:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> dict[str, Any]:
            async with places:
                return await _task(rig, number)

        lasts = await asyncio.gather(*(one(number) for number in range(TASKS)))
        runs, spent = rig.emulator.runs(), await rig.spent()
    assert Counter(last["type"] for last in lasts)["completed"] > TASKS / 2
    assert max(Counter(_attempt_of(run["marks"]) for run in runs).values()) == 1
    costs: Counter[str] = Counter()
    for run in runs:
        costs[run["marks"]["prompt"]] += run["cost_micros"] or 0  # one may still run
    charges = {f"lamp {number}": last["charge"] for number, last in enumerate(lasts)}
    for prompt, charge in charges.items():
        if charge["verdict"] != "unknown":
            assert charge.get("amount_micros", 0) == costs[prompt], prompt
    assert spent == sum(charge.get("amount_micros", 0) for charge in charges.values())


async def _task(rig: Rig, number: int) -> dict[str, Any]:
    """Its last event; a text is whole."""
    model = (TEXT, CHAT, IMAGE)[number % 3]
    async with asyncio.timeout(60):
        task = await rig.create(model, prompt=f"lamp {number}")
        events = await rig.house.events(task)
    last = events[-1]
    assert last["type"] in ("completed", "failed"), last
    if last["type"] == "completed" and model != IMAGE:
        said = [
            event["delta"]
            for event in events
            if event["type"] == "text" and event["attempt"] == last["attempt"]
        ]
        assert "".join(said) == last["result_data"]["content"]
    return last


def _attempt_of(marks: dict[str, Any]) -> str:
    """Which attempt a run belongs to, by what its request carried."""
    kept = marks.get("metadata")
    return str(kept or marks["headers"]["x-client-request-id"])
