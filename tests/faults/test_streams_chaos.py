"""Many tasks at Anthropic and at Gemini where something goes wrong by chance on every seventh
occasion, some of them cancelled.

None is stuck, no attempt runs twice, and wherever it is known what a task cost, it is to the
last millionth what the emulator's own log says.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.anthropic import Anthropic
from safelight.providers.gemini import Gemini
from safelight.settings import ProviderSettings
from tests.doubles.emulated import emulated
from tests.doubles.served import Served
from tests.doubles.streaming_house import AGREED, CLAUDE, GEMINI, spent, streaming_house

TASKS = 80
AT_ONCE = 24
KINDS: Mapping[str, Any] = {
    "anthropic": (Anthropic, CLAUDE, [("text", "claude-haiku-5-5")]),
    "gemini": (
        Gemini,
        GEMINI,
        [("text", "gemini-3.8-flash")] * 4 + [("image", "gemini-3.1-flash-image")],
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("name", KINDS)
async def test_every_task_ends_once_and_is_paid_once(name: str, seed: int, tmp_path: Path) -> None:
    """Whatever happened, each is told an end, its whole text, and what is known of its price."""
    made, models, wanted = KINDS[name]
    chance = random.Random(seed)
    with emulated(tmp_path, name, pace=0.001, chaos=0.15, seed=seed) as emulator:
        one = ProviderSettings(
            url=emulator.url, key=emulator.key, silence_seconds=2.0, request_seconds=2.0
        )
        more = {
            "providers": {name: one},
            "log_level": "error",
            "cancel_timeout_seconds": 5.0,
            "breaker_seconds": 0.2,
        }
        async with streaming_house(tmp_path, made(one, name=name), models, **more) as house:
            places = asyncio.Semaphore(AT_ONCE)

            async def run(number: int) -> dict[str, Any]:
                async with places:
                    kind, model = wanted[number % len(wanted)]
                    asked = {"kind": kind, "model": model, "prompt": f"lamp {number}"}
                    return await _task(house, asked, canceled=chance.random() < 0.1)

            lasts = await asyncio.gather(*(run(number) for number in range(TASKS)))
            money = await spent(house)
        runs = await asyncio.to_thread(emulator.settled)
    _check(lasts, runs)
    assert Counter(last["type"] for last in lasts)["completed"] > TASKS / 3
    known = sum(last["charge"].get("amount_micros", 0) for last in lasts)
    assert money["total_micros"] == known


def _check(lasts: list[dict[str, Any]], runs: list[dict[str, Any]]) -> None:
    costs: Counter[str] = Counter()
    for run in runs:
        costs[run["marks"]["prompt"]] += run["cost_micros"] or 0
    attempts = Counter(run["marks"]["headers"]["x-client-request-id"] for run in runs)
    assert max(attempts.values()) == 1
    for number, last in enumerate(lasts):
        charge, cost = last["charge"], costs[f"lamp {number}"]
        if charge["verdict"] in ("charged", "free"):
            assert charge.get("amount_micros", 0) == cost, (number, last)
        else:
            assert charge.get("amount_micros", 0) <= cost, (number, last)
            assert charge["reason"]


async def _task(house: Served, asked: dict[str, Any], *, canceled: bool) -> dict[str, Any]:
    """Its last event; a text is whole."""
    async with asyncio.timeout(100):
        created = await house.create(**asked, **AGREED)
        if canceled:
            await house.post(f"/api/tasks/{created['task_id']}/cancel")
        # One that waits for its provider to have room again is told nothing meanwhile.
        path = f"/api/tasks/{created['task_id']}/events"
        async with house.http.stream("GET", path, timeout=60) as stream:
            lines = [line async for line in stream.aiter_lines()]
    events = [json.loads(line[6:]) for line in lines if line.startswith("data:")]
    last = events[-1]
    assert last["type"] in ("completed", "failed", "canceled"), last
    if last["type"] == "completed" and asked["kind"] == "text":
        texts = [event for event in events if event["type"] == "text"]
        said = [text["delta"] for text in texts if text["attempt"] == last["attempt"]]
        assert "".join(said) == last["result_data"]["content"]
    return last
