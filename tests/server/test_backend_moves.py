"""What becomes of a backend's tasks when the settings say something else after a restart.

The rule: what was begun at one address is never sent to another, and what was never begun
runs wherever the name is now. No prompt is run twice, and nothing is pending for ever.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.workshop import Workshop, given, workshops

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a test", "model": "comfyui/txt2img"}
HELD: list[dict[str, Any]] = [
    {"do": "progress", "to": 0.1},
    {"do": "wait", "gate": "end"},
    {"do": "image"},
]


async def begin(house: Served, shop: Workshop, *ids: str, saved: bool = True) -> None:
    """Create tasks on `gpu`, two of which run; their handles are `saved` when this returns."""
    for id in ids:
        body = IMAGE | {"id": id, "backend": "gpu"}
        assert (await house.post("/api/tasks", body)).status_code == 202
    running = ids[:2]
    async with asyncio.timeout(PATIENCE):
        await shop.wait_for_start(len(running))
        for id in running if saved else ():
            after = (await shown(house, id))["log"] + "-2"
            told = await house.http.get(f"/api/tasks/{id}/events?after={after}&wait=10")
            assert told.json()["data"]["events"][0]["prediction_id"]


def pass_deadlines(directory: Path) -> None:
    """Let the time of every attempt be up; the server is not running."""
    with closing(sqlite3.connect(directory / "safelight.sqlite3", isolation_level=None)) as rows:
        rows.execute("UPDATE tasks SET deadline = 1 WHERE deadline IS NOT NULL")


async def shown(house: Served, id: str) -> dict[str, Any]:
    """The task as it is."""
    data: dict[str, Any] = (await house.http.get(f"/api/tasks/{id}")).json()["data"]
    return data


async def test_what_stayed_is_followed_again(tmp_path: Path) -> None:
    """The same name at the same address: nothing is begun twice."""
    async with workshops("gpu") as made:
        made["gpu"].script = HELD
        async with served(tmp_path, **given(made)) as house:
            await begin(house, made["gpu"], "a")
        made["gpu"].gate("end").set()
        async with served(tmp_path, **given(made)) as house:
            end = (await house.events("a"))[-1]
    assert end["type"] == "completed" and end["result_data"]["backend_url"] == made["gpu"].url
    assert len(made["gpu"].ran) == 1


@pytest.mark.parametrize("saved", [True, False], ids=["handle", "no-handle"])
async def test_what_was_begun_is_not_sent_to_another_address(tmp_path: Path, saved: bool) -> None:
    """It stays in doubt and ends at its deadline; the new server is never asked about it. What
    only waited runs at the new address."""
    async with workshops("gpu", "other") as made:
        old, new = made["gpu"], made["other"]
        old.script = HELD
        if not saved:
            old.faults += ["hang", "hang"]
        async with served(tmp_path, **given({"gpu": old})) as house:
            await begin(house, old, "a", "b", "waits", saved=saved)
        moved = given({"gpu": new})
        async with served(tmp_path, **moved) as house:
            assert (await house.events("waits"))[-1]["result_data"]["backend_url"] == new.url
            for id in ("a", "b"):
                assert (await shown(house, id))["status"] == "processing"
        pass_deadlines(tmp_path)
        async with served(tmp_path, **given({"gpu": new})) as house:
            ends = [(await house.events(id))[-1] for id in ("a", "b")]
            places = {place for _, place in moved["beside"]["comfyui"].asked}
    assert {end["error_data"]["code"] for end in ends} == {"outcome_unknown"}
    assert places == {new.url}
    assert (len(new.ran), len(old.ran)) == (1, 2)


async def test_what_cannot_be_followed_is_not_begun_anew_elsewhere(tmp_path: Path) -> None:
    """A prediction that is free and lost with a restart is begun again, but only where it was:
    at another address it may still run."""
    async with workshops("gpu", "other") as made:
        made["gpu"].script = HELD
        async with served(tmp_path, **given({"gpu": made["gpu"]}, resumable=False)) as house:
            await begin(house, made["gpu"], "a")
        moved = given({"gpu": made["other"]}, resumable=False)
        pass_deadlines(tmp_path)
        async with served(tmp_path, **moved) as house:
            end = (await house.events("a"))[-1]
    assert end["error_data"]["code"] == "outcome_unknown"
    assert moved["beside"]["comfyui"].asked == []


async def test_an_address_that_comes_back_is_taken_up(tmp_path: Path) -> None:
    """A restart with the wrong address costs nothing if the next one has the right one."""
    async with workshops("gpu", "other") as made:
        old, new = made["gpu"], made["other"]
        old.script = HELD
        async with served(tmp_path, **given({"gpu": old})) as house:
            await begin(house, old, "a")
        async with served(tmp_path, **given({"gpu": new})) as house:
            assert (await shown(house, "a"))["backend_url"] == old.url
        old.gate("end").set()
        async with served(tmp_path, **given({"gpu": old})) as house:
            events = await house.events("a")
    assert events[-1]["type"] == "completed"
    assert [event["type"] for event in events].count("started") == 1
    assert (len(old.ran), new.ran) == (1, [])


async def test_a_cancel_of_what_was_moved_is_unconfirmed(tmp_path: Path) -> None:
    """Whoever runs it cannot be asked, and the new server is not asked in its place."""
    async with workshops("gpu", "other") as made:
        old, new = made["gpu"], made["other"]
        old.script = HELD
        async with served(tmp_path, **given({"gpu": old})) as house:
            await begin(house, old, "a")
        pass_deadlines(tmp_path)
        moved = given({"gpu": new})
        async with served(tmp_path, retry_base_seconds=1.0, **moved) as house:
            await house.post("/api/tasks/a/cancel")
            end = (await house.events("a"))[-1]
    assert (end["type"], end["confirmed"]) == ("canceled", False)
    assert moved["beside"]["comfyui"].asked == [] and new.canceled == []


@pytest.mark.parametrize("billed", [False, True], ids=["free", "billed"])
@pytest.mark.parametrize("left", ["another", "none"])
async def test_a_backend_that_is_no_longer_configured(
    tmp_path: Path, billed: bool, left: str
) -> None:
    """Its tasks end as `backend_not_configured`, whether others of its type are left or not;
    what was begun may be on a bill if its provider bills, or can no longer be asked."""
    async with workshops("gpu", "other") as made:
        old = made["gpu"]
        old.script = HELD
        async with served(tmp_path, **given({"gpu": old}, billed=billed)) as house:
            await begin(house, old, "a", "b", "waits")
        rest = given({"other": made["other"]}, billed=billed) if left == "another" else {}
        async with served(tmp_path, **rest) as house:
            ends = {id: (await house.events(id))[-1] for id in ("a", "waits")}
    for end in ends.values():
        told = end["error_data"]
        assert (end["type"], told["code"]) == ("failed", "backend_not_configured")
        assert told["message"] == "the backend gpu is no longer configured"
    owes = "unknown" if billed or left == "none" else "free"
    verdicts = (ends["a"]["charge"]["verdict"], ends["waits"]["charge"]["verdict"])
    assert verdicts == (owes, "free")
    assert made["other"].ran == []
