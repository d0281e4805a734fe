"""Patience through the whole server: turns, limits of time that were learnt, ranges, ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.served import Served, served

HANG: list[dict[str, Any]] = [{"do": "hang"}]
QUICK = {"deadline_floor_seconds": 0.15, "deadline_factor": 1.0}


async def learn(house: Served, count: int = 20) -> None:
    """So many quick attempts."""
    for _ in range(count):
        made = await house.create()
        assert (await house.events(made["task_id"]))[-1]["type"] == "completed"


async def test_an_attempt_of_a_known_model_may_take_so_long(tmp_path: Path) -> None:
    """One that hangs is cut off after what was learnt, not after the setting; a time-out gives
    the next one longer."""
    async with served(tmp_path) as house:
        await learn(house)
    async with served(tmp_path, **QUICK) as house:
        took = []
        for _ in range(2):
            made = await house.create(params={"script": HANG})
            end = (await house.events(made["task_id"]))[-1]
            assert end["error_data"]["code"] == "timeout"
            task = await house.context.orchestrator.find("local", made["task_id"])
            assert task.claimed_at is not None and task.ended_at is not None
            took.append(task.ended_at - task.claimed_at)
        assert 100 <= took[0] < 60_000 and took[1] >= 250


async def test_what_was_learnt_is_known_after_a_start(tmp_path: Path) -> None:
    """The next server has not seen one attempt complete, and cuts off all the same."""
    async with served(tmp_path) as house:
        await learn(house)
    async with served(tmp_path, **QUICK) as house:
        made = await house.create(params={"script": HANG})
        assert (await house.events(made["task_id"]))[-1]["error_data"]["code"] == "timeout"
        assert house.context.statistics()["models_learnt"] == 1


async def test_a_birth_tells_the_range_of_a_known_model(tmp_path: Path) -> None:
    """From the first event on, in the answer and in every snapshot; not before it is known."""
    async with served(tmp_path) as house:
        first = await house.create()
        assert first["eta"] is None
        await house.events(first["task_id"])
        await learn(house)
        made = await house.create(params={"script": HANG})
        assert made["eta"]["low"] <= made["eta"]["high"] < 60
        assert made["eta"]["at"] == made["created_at"]


@pytest.fixture
def tokens() -> dict[str, str]:
    """Two owners."""
    return {"a" * 32: "ann", "b" * 32: "bob"}


async def test_owners_take_turns_at_a_busy_host(tmp_path: Path, tokens: dict[str, str]) -> None:
    """Who came first with many has the first places; the next place is the other one's. Each
    is told what stands before it, and `ahead` counts turns."""

    def bearer(owner: str) -> dict[str, str]:
        return {"authorization": f"Bearer {owner[0] * 32}"}

    async with served(tmp_path, tokens=tokens) as house:

        async def create(owner: str, id: str) -> dict[str, Any]:
            body = {"kind": "image", "prompt": id, "model": "scripted/image", "id": id}
            script = [{"do": "wait", "gate": id}, {"do": "image"}]
            answer = await house.post(
                "/api/tasks", body | {"params": {"script": script}}, **bearer(owner)
            )
            data: dict[str, Any] = answer.json()["data"]
            return data

        async def look(owner: str, id: str) -> dict[str, Any]:
            answer = await house.http.get(f"/api/tasks/{id}", headers=bearer(owner))
            data: dict[str, Any] = answer.json()["data"]
            return data

        for n in range(8):
            last = await create("ann", f"a{n}")
        assert last["reason"] == "scripted is busy (4 of 4 places), behind 3 of yours"
        other = await create("bob", "b0")
        assert other["reason"] == "scripted is busy (4 of 4 places)"
        assert (await look("bob", "b0"))["ahead"] == 0
        assert [(await look("ann", f"a{n}"))["ahead"] for n in (4, 7)] == [1, 4]
        assert "ahead" not in await look("ann", "a0")
        house.scripted.gate("a0").set()
        async with house.http.stream(
            "GET", "/api/tasks/b0/events", headers=bearer("bob")
        ) as stream:
            async for line in stream.aiter_lines():
                if '"type":"started"' in line:
                    break
        assert [(await look("ann", f"a{n}"))["status"] for n in (4, 5)] == ["queued"] * 2
