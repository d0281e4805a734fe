"""Safelight with its Replicate adapter, through the front, with a real Cog behind it.

What the emulator plays is here done by somebody else's server: busy places, cancels that
take their time, calls in any order, a process that ends without a word. One create at the
door is one run at Cog, whatever else happens.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from safelight.providers.replicate import Replicate, Timings
from safelight.settings import ProviderSettings
from tests.cog.front import KEY, MODEL
from tests.cog.rig import Rig, rig
from tests.doubles.process import server_process
from tests.doubles.served import PATIENCE, Served, served

pytestmark = [pytest.mark.needs("cog"), pytest.mark.slow]

QUICK = Timings(
    poll=0.02, poll_most=0.1, hooked=0.5, again=0.05, again_most=0.2, settle=0.3, secret=0.2
)
MODELS = f"""
[schemas.told]
open = true

[[models]]
name = "{MODEL}"
label = "Cog's lantern"
kind = "image"
provider = "replicate"
schema = "told"
order = 1
price = {{ rates = {{ second = 1000000 }}, as_of = "2026-11-21" }}
"""


class Both:
    """A server that has the front as its Replicate."""

    def __init__(self, house: Served, made: Rig) -> None:
        self.house = house
        self.front = made.front
        self.cog = made.cog

    async def create(self, seed: int = 0, **params: Any) -> str:
        """Ask for one picture; its task."""
        body = {"kind": "image", "prompt": "a lamp", "model": MODEL, "max_cost": 100}
        more = {"seed": seed, "params": params}
        answer = await self.house.post("/api/tasks", body | more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["data"]["task_id"])

    async def until(self, task: str, wanted: Any) -> None:
        """Wait until something is told of it."""
        async with self.house.connect() as phone:
            topic = f"task:{task}"
            joined = await phone.join(topic)
            if not wanted(joined["response"]):
                await phone.until(lambda f: isinstance(f, list) and f[2] == topic and wanted(f[4]))

    async def end(self, task: str) -> dict[str, Any]:
        """Its last event."""
        return (await self.house.events(task))[-1]


@asynccontextmanager
async def both(
    folder: Path, *, webhooks: bool = True, throttle: float = 0.5, **settings: Any
) -> AsyncIterator[Both]:
    """Cog, its front and Safelight."""
    (folder / "models.toml").write_text(MODELS)
    listening = socket.create_server(("127.0.0.1", 0))
    public_url = f"http://127.0.0.1:{listening.getsockname()[1]}" if webhooks else None
    started = rig(folder, throttle)
    made = await anyio.to_thread.run_sync(started.__enter__)
    try:
        given = ProviderSettings(url=f"{made.front.url}/v1", key=KEY, concurrency=8)
        provider = Replicate(given, public_url=public_url, timings=QUICK)
        async with served(
            folder / "data",
            listening=listening,
            beside={"replicate": provider},
            models_file=str(folder / "models.toml"),
            public_url=public_url,
            providers={"replicate": given},
            **settings,
        ) as house:
            yield Both(house, made)
    finally:
        await anyio.to_thread.run_sync(started.__exit__, None, None, None)


def is_running(told: dict[str, Any]) -> bool:
    """Whether it is said to have got somewhere."""
    return (told.get("progress") or 0) > 0


@pytest.mark.parametrize(
    ("webhooks", "silent"),
    [(True, False), (True, True), (False, False)],
    ids=["webhooks", "webhooks that never come", "polls alone"],
)
async def test_create_and_progress(tmp_path: Path, webhooks: bool, silent: bool) -> None:
    """A picture is made and kept; its progress is what Cog's model prints, and never falls."""
    async with both(tmp_path, webhooks=webhooks) as all:
        all.front.silent = silent
        task = await all.create(steps=20, step_seconds=0.15)
        events = await all.house.events(task)
        last = events[-1]
        assert last["type"] == "completed" and len(all.front.runs) == 1
        told = [event["progress"] for event in events if "progress" in event]
        assert told == sorted(told) and any(0 < share < 1 for share in told)
        answer = await all.house.http.get(last["result_data"]["image_url"])
        assert answer.content.startswith(b"\x89PNG")
        [run] = all.front.predictions.values()
        assert last["charge"]["verdict"] == "charged"
        assert last["charge"]["amount_micros"] == round(run["metrics"]["predict_time"] * 1_000_000)


async def test_cancel(tmp_path: Path) -> None:
    """Cog is told, and the task ends as canceled with what had run."""
    async with both(tmp_path) as all:
        task = await all.create(steps=400, step_seconds=0.05)
        await all.until(task, is_running)
        await all.house.post(f"/api/tasks/{task}/cancel")
        last = await all.end(task)
        [run] = all.front.predictions.values()
        assert (last["type"], run["status"]) == ("canceled", "canceled")


@pytest.mark.parametrize("webhooks", [True, False], ids=["webhooks", "polls alone"])
async def test_lost_answer(tmp_path: Path, webhooks: bool) -> None:
    """The run whose answer was lost is found in the list, and is the only one."""
    async with both(tmp_path, webhooks=webhooks) as all:
        all.front.lose_answers = 1
        task = await all.create(seed=7)
        last = await all.end(task)
        assert (last["type"], last["attempt"], len(all.front.runs)) == ("completed", 1, 1)


async def test_storm_of_busy_places(tmp_path: Path) -> None:
    """Eight at once on one place: Cog answers 409 to most, and each runs once."""
    async with both(tmp_path) as all:
        tasks = [await all.create(seed=seed, step_seconds=0.03) for seed in range(8)]
        ends = [await all.end(task) for task in tasks]
        assert {end["type"] for end in ends} == {"completed"}
        assert len(all.front.runs) == len(set(all.front.runs)) == len(all.front.predictions) == 8


async def test_wrong_input_begins_nothing(tmp_path: Path) -> None:
    """Cog's own schema is enforced at our door."""
    async with both(tmp_path) as all:
        body = {"kind": "image", "prompt": "a", "model": MODEL, "max_cost": 100}
        answer = await all.house.post("/api/tasks", body | {"params": {"steps": 0, "how": "ill"}})
        assert answer.status_code == 400
        told = {each["field"] for each in answer.json()["error"]["details"]}
        assert told == {"params.steps", "params.how"} and all.front.runs == []


async def test_exception_of_the_model(tmp_path: Path) -> None:
    """What the model raises is told, and is a failure for good."""
    async with both(tmp_path) as all:
        last = await all.end(await all.create(how="raise"))
        assert (last["type"], last["error_data"]["code"]) == ("failed", "provider_failed")
        assert "told to fail" in last["error_data"]["message"] and len(all.front.runs) == 1


async def test_terminated_in_the_middle(tmp_path: Path) -> None:
    """Cog exits with 0 and calls nobody; the task ends all the same, by being asked about."""
    async with both(tmp_path, attempts=1) as all:
        task = await all.create(steps=400, step_seconds=0.05)
        await all.until(task, is_running)
        assert await anyio.to_thread.run_sync(all.cog.terminate) == 0
        last = await all.end(task)
        assert (last["type"], len(all.front.runs)) == ("failed", 1)
        assert not [seen for seen in all.front.seen if seen[1] == "failed"]


async def test_worker_that_crashes(tmp_path: Path) -> None:
    """Cog's own word for it ends the attempt; what it is asked after that never runs, though
    it says only that it is busy."""
    async with both(tmp_path, attempts=1) as all:
        last = await all.end(await all.create(how="exit"))
        assert last["type"] == "failed" and len(all.front.runs) == 1
        assert await anyio.to_thread.run_sync(all.cog.health) == "UNHEALTHY"
        assert (await all.end(await all.create(seed=2)))["type"] == "failed"
        assert len(all.front.runs) == 1


async def test_late_processing(tmp_path: Path) -> None:
    """Thirty quick runs without a throttle: Cog's calls come in any order, and each begins once
    more after its end; no task goes back or ends twice."""
    async with both(tmp_path, throttle=0) as all:
        all.front.late = True
        tasks = [await all.create(seed=n, steps=2, step_seconds=0) for n in range(30)]
        for task in tasks:
            events = await all.house.events(task)
            ends = [e for e in events if e["type"] in ("completed", "failed", "canceled")]
            assert [e["type"] for e in ends] == ["completed"], ends
            assert events[-1] == ends[0]
        assert len(all.front.runs) == 30
        first = (await all.house.http.get(f"/api/tasks/{tasks[0]}")).json()["data"]
        assert first["status"] == "completed"


@pytest.mark.parametrize("lost", [False, True], ids=["while it runs", "after a lost answer"])
def test_killed_and_started_again(tmp_path: Path, lost: bool) -> None:
    """A Safelight that is killed in the middle finds Cog's run again, and begins no other."""
    (tmp_path / "models.toml").write_text(MODELS)
    with rig(tmp_path) as made:
        settings = {
            "models_file": tmp_path / "models.toml",
            "providers__replicate__url": f"{made.front.url}/v1",
            "providers__replicate__key": KEY,
        }
        made.front.lose_answers = int(lost)
        with server_process(tmp_path / "data", **settings) as server:
            body = {"kind": "image", "prompt": "a lamp", "model": MODEL, "max_cost": 100}
            more = {"id": "lamp", "params": {"steps": 60, "step_seconds": 0.1}}
            httpx2.post(server.url + "/api/tasks", json=body | more).raise_for_status()
            assert made.front.begun.wait(PATIENCE)
            server.kill()
            server.start()
            said = httpx2.get(server.url + "/api/tasks/lamp/events", timeout=60.0).text
        assert '"type":"completed"' in said
        assert len(made.front.runs) == 1
