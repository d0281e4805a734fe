"""Two backends, told apart by everybody: a hundred tasks, each runs where it was sent.

The server and both KernieGens are processes of their own. What ran where is read from the
two servers' own histories, not from ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.doubles.kernie import Kernie, kerniegen
from tests.doubles.process import ServerProcess, server_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SMALL = {"width": 64, "height": 64, "steps": 2}
NAMES = ("kerniegen", "comfyui")
AS_JSON = {"Accept": "application/json"}


class House:
    """One Safelight and its two backends, by name."""

    def __init__(self, server: ServerProcess, kernies: Mapping[str, Kernie]) -> None:
        self.server = server
        self.kernies = kernies
        self.http = httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=60)

    async def create(self, prompt: str, **other: Any) -> dict[str, Any]:
        """A new task as its answer shows it."""
        body = {"kind": "image", "model": "comfyui/txt2img", "prompt": prompt, "params": SMALL}
        answer = await self.http.post("/api/tasks", json=body | other)
        assert answer.status_code == 202, answer.text
        task: dict[str, Any] = answer.json()["data"]
        return task

    async def end(self, id: str) -> dict[str, Any]:
        """The task at its end."""
        told: dict[str, Any] = {"cursor": "0", "ended": False}
        while not told["ended"]:
            query = {"after": told["cursor"], "wait": 30}
            path = f"/api/tasks/{id}/events"
            answer = await self.http.get(path, params=query, headers=AS_JSON)
            told = answer.json()["data"]
        task: dict[str, Any] = (await self.http.get(f"/api/tasks/{id}")).json()["data"]
        return task

    async def history(self, name: str) -> dict[str, Any]:
        """What that server says that it ran: prompt id to entry."""
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            found: dict[str, Any] = (await http.get(self.kernies[name].url + "/history")).json()
            return found


@asynccontextmanager
async def house(folder: Path, **settings: object) -> AsyncIterator[House]:
    """Everything started, and ended at exit."""
    with (
        kerniegen(folder / "one") as one,
        kerniegen(folder / "two") as two,
    ):
        places = {"backends__kerniegen__url": one.url, "backends__comfyui__url": two.url}
        with server_process(folder / "data", **places, **settings) as server:
            made = House(server, {"kerniegen": one, "comfyui": two})
            async with made.http:
                yield made


async def test_a_hundred_tasks_run_where_they_were_sent(tmp_path: Path) -> None:
    """Alternating between two backends every task runs on its own, once, and says so."""
    sent: dict[str, str] = {}
    ended: dict[str, dict[str, Any]] = {}

    async def one(house: House, number: int) -> None:
        name = NAMES[number % 2]
        task = await house.create(f"number {number}", backend=name)
        sent[task["task_id"]] = name
        ended[task["task_id"]] = await house.end(task["task_id"])

    async with house(tmp_path) as made:
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(one, made, number)
        histories = {name: await made.history(name) for name in NAMES}
        runs = {name: made.kernies[name].runs() for name in NAMES}
    for id, task in ended.items():
        name = sent[id]
        other = NAMES[1 - NAMES.index(name)]
        assert (task["status"], task["backend"]) == ("completed", name), task
        assert task["backend_url"] == made.kernies[name].url
        assert task["prediction_id"] in histories[name]
        assert task["prediction_id"] not in histories[other]
        prompt = histories[name][task["prediction_id"]]["prompt"][2]
        assert task["input_data"]["prompt"] in str(prompt)
    assert [len(found) for found in histories.values()] == [50, 50]
    assert all(set(counted.values()) == {1} for counted in runs.values())


async def test_the_choice_is_followed_in_its_order(tmp_path: Path) -> None:
    """A request's backend wins over the owner's choice, and that over the setting."""
    async with house(tmp_path, default_backend="comfyui") as made:
        default = await made.create("by the setting")
        chosen = await made.http.patch("/api/preferences", json={"backend": "kerniegen"})
        assert chosen.status_code == 200, chosen.text
        preferred = await made.create("by the owner's choice")
        named = await made.create("by name", backend="comfyui")
        tasks = [await made.end(task["task_id"]) for task in (default, preferred, named)]
    assert [task["backend"] for task in tasks] == ["comfyui", "kerniegen", "comfyui"]
    assert [task["backend_url"] for task in tasks] == [
        made.kernies[name].url for name in ("comfyui", "kerniegen", "comfyui")
    ]


async def test_a_storm_of_cancels_loses_none(tmp_path: Path) -> None:
    """Of 240 tasks that are cancelled right after they were made, each is canceled, or it was
    finished already, and then it is completed; the backends run nothing of them any more."""
    ended: list[dict[str, Any]] = []

    async def one(house: House, number: int) -> None:
        task = await house.create(f"never mind {number}", backend=NAMES[number % 2])
        answer = await house.http.post(f"/api/tasks/{task['task_id']}/cancel")
        assert answer.status_code in (200, 202), answer.text
        ended.append(await house.end(task["task_id"]))

    wide = {f"backends__{name}__concurrency": 64 for name in NAMES}
    async with house(tmp_path, **wide) as made:
        async with anyio.create_task_group() as group:
            for number in range(240):
                group.start_soon(one, made, number)
        histories = {name: await made.history(name) for name in NAMES}
        async with httpx2.AsyncClient(trust_env=False) as http:
            queues = [
                (await http.get(kernie.url + "/queue")).json() for kernie in made.kernies.values()
            ]
        runs = {name: made.kernies[name].runs() for name in NAMES}
    assert len(ended) == 240
    statuses = [task["status"] for task in ended]
    assert set(statuses) <= {"canceled", "completed"}, statuses
    succeeded = {
        id
        for found in histories.values()
        for id, entry in found.items()
        if entry["status"]["status_str"] == "success"
    }
    completed = {task["prediction_id"] for task in ended if task["status"] == "completed"}
    assert succeeded == completed, "what ran to its end is completed, and nothing else is"
    assert all(task["confirmed"] for task in ended if task["status"] == "canceled")
    assert all(queue == {"queue_running": [], "queue_pending": []} for queue in queues)
    assert all(count == 1 for counted in runs.values() for count in counted.values())
