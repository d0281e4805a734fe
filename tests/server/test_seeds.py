"""A provider that refuses a seed: another is drawn if it was ours, else the task says so.

The story: a provider answered a repeated seed with 409; the client made every request
random, and no picture could be made twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safelight.providers.scripted import Scripted
from tests.doubles.served import Served, served

CONFLICT = {"do": "conflict", "attempt": 1}
IMAGE = {"do": "image"}


async def seeds_of(house: Served, id: str) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """The seeds of the `started` events, the last event, and the snapshot."""
    events = await house.events(id)
    started = [e.get("seed") for e in events if e["type"] == "started"]
    shown: dict[str, Any] = (await house.http.get(f"/api/tasks/{id}")).json()["data"]
    return started, events[-1], shown


async def test_a_seed_of_ours_is_drawn_anew(house: Served) -> None:
    """The next attempt runs with another one, which event, snapshot and result all name."""
    data = await house.create(params={"script": [CONFLICT, IMAGE]})
    started, end, shown = await seeds_of(house, data["task_id"])
    first, second = house.scripted.seeds
    assert first != second and data["seed"] == first
    assert (started, end["type"]) == ([None, second], "completed")
    assert (shown["seed"], shown["result_data"]["seed"]) == (second, second)


@pytest.mark.parametrize("seed", [42, "18446744073709551615"])
async def test_a_seed_of_theirs_is_kept(house: Served, seed: Any) -> None:
    """The task fails at once, says why, and what can be done; nothing is tried behind it."""
    data = await house.create(params={"script": [CONFLICT, IMAGE]}, seed=seed)
    _, end, shown = await seeds_of(house, data["task_id"])
    error = end["error_data"]
    assert (error["code"], error["retryable"]) == ("seed_conflict", False)
    assert error["message"].endswith("; choose another seed or leave it open")
    assert (house.scripted.seeds, shown["seed"]) == ([int(seed)], seed)


async def test_another_fault_keeps_the_seed(house: Served) -> None:
    """Only a refused seed is replaced; the one that replaced it stays for later attempts."""
    fault = {"do": "fault", "attempt": 2}
    data = await house.create(params={"script": [CONFLICT, fault, IMAGE]})
    started, _, _ = await seeds_of(house, data["task_id"])
    first, second, third = house.scripted.seeds
    assert first != second == third
    assert started == [None, second, second]


async def test_every_seed_is_refused(house: Served) -> None:
    """It ends at the limit of attempts, with as many different seeds."""
    data = await house.create(params={"script": [{"do": "conflict"}]})
    _, end, _ = await seeds_of(house, data["task_id"])
    assert (end["error_data"]["code"], end["error_data"]["retryable"]) == ("seed_conflict", True)
    assert len(set(house.scripted.seeds)) == 3


async def test_the_seed_is_on_disk(tmp_path: Path) -> None:
    """After a restart the prediction that is followed, and its result, have that seed."""
    script = [CONFLICT, {"do": "wait", "gate": "end"}, IMAGE]
    before = Scripted(resumable=True)
    async with served(tmp_path, scripted_provider=before) as house:
        await house.create(id="x", params={"script": script})
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("retrying")
            await phone.until_event("started")
    after = Scripted(resumable=True)
    after.gate("end").set()
    async with served(tmp_path, scripted_provider=after) as house:
        _, end, shown = await seeds_of(house, "x")
    assert end["result_data"]["seed"] == shown["seed"] == before.seeds[-1] != before.seeds[0]


async def test_attaching_sees_the_seed_it_ran_with(house: Served) -> None:
    """Who asks for the very seed that was drawn anew is told of no difference."""
    data = await house.create(id="x", params={"script": [CONFLICT, IMAGE]})
    _, _, shown = await seeds_of(house, data["task_id"])
    again = await house.create(id="x", params={"script": [CONFLICT, IMAGE]}, seed=shown["seed"])
    assert (again["attached"], again["warnings"]) == (True, [])
