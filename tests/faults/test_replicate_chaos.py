"""Many tasks at a Replicate where everything goes wrong by chance: none is stuck, none runs
twice, and the books say what its own log says.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.doubles.replicate_rig import FLUX, KINDS, LANTERN, LLAMA, VIDEO, Rig, rigged

MODELS = (FLUX, LANTERN, LLAMA, VIDEO)
AT_ONCE = 40
SECONDS = 300.0


class Storm(msgspec.Struct, frozen=True):
    """What came of many tasks. `too_many` names those that ran more often than they were
    tried, `won_twice` those that were made twice."""

    ends: Counter[str]
    runs: int
    too_many: list[str]
    won_twice: list[str]
    spent: int
    cost: int
    unknown: int


async def storm(
    folder: Path, tasks: int, seed: int, share: float, *, webhooks: bool = True
) -> Storm:
    """So many tasks of all kinds, with a share of all occasions gone wrong."""
    more: dict[str, Any] = {"retry_base_seconds": 0.01, "retry_max_seconds": 0.2, "attempts": 6}
    async with rigged(
        folder,
        pace=0.003,
        request_seconds=2.0,
        chaos=share,
        seed=seed,
        webhooks=webhooks,
        **more,
    ) as rig:
        turn = asyncio.Semaphore(AT_ONCE)
        attempts: dict[str, int] = {}

        async def one(number: int) -> str:
            model = MODELS[number % len(MODELS)]
            body = {"kind": KINDS[model], "prompt": f"lamp {number}", "model": model}
            async with turn:
                answer = await rig.house.post("/api/tasks", body | {"max_cost": 10})
                while answer.status_code == 503:  # the provider could not be asked
                    answer = await rig.house.post("/api/tasks", body | {"max_cost": 10})
                assert answer.status_code in (200, 202), answer.text
                events = await _events(rig, answer.json()["data"]["task_id"])
            ends = [e for e in events if e["type"] in ("completed", "failed", "canceled")]
            assert len(ends) == 1 and events[-1] is ends[0]
            attempts[f"lamp {number}"] = events[-1]["attempt"]
            code = events[-1].get("error_data", {}).get("code")
            return f"{events[-1]['type']} {code or ''}".strip()

        async with asyncio.timeout(SECONDS):
            ends = Counter(await asyncio.gather(*(one(number) for number in range(tasks))))
        runs = rig.emulator.runs()
        ran = Counter(run["marks"]["input"]["prompt"] for run in runs)
        won = Counter(
            run["marks"]["input"]["prompt"] for run in runs if run["outcome"] == "succeeded"
        )
        usage = (await rig.house.http.get("/api/usage")).json()["data"]
        return Storm(
            ends=ends,
            runs=len(runs),
            too_many=[prompt for prompt, count in ran.items() if count > attempts[prompt]],
            won_twice=[prompt for prompt, count in won.items() if count > 1],
            spent=usage["total_micros"],
            cost=rig.emulator.cost(),
            unknown=sum(day["unknown"] for day in usage["days"]),
        )


async def _events(rig: Rig, task: str) -> list[dict[str, Any]]:
    """All events of a task that may have to wait for its turn for long."""
    path = f"/api/tasks/{task}/events"
    async with rig.house.http.stream("GET", path, timeout=SECONDS) as stream:
        return [json.loads(line[6:]) async for line in stream.aiter_lines() if line[:5] == "data:"]


@pytest.mark.slow
@pytest.mark.parametrize("webhooks", [True, False], ids=["webhooks", "polls alone"])
async def test_storm(webhooks: bool, tmp_path: Path) -> None:
    """Sixty tasks, with a tenth of all occasions gone wrong."""
    found = await storm(tmp_path, 60, seed=7, share=0.1, webhooks=webhooks)
    assert found.ends.total() == 60
    assert found.too_many == [] and found.won_twice == []
    assert (found.spent, found.unknown) == (found.cost, 0)
