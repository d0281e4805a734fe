"""The deployed app's text door, and the models that it lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from safelight.registry import Registry
from tests.doubles.schemas import unfit
from tests.doubles.served import Served, served

SAY: dict[str, Any] = {"prompt": "say it", "model": "scripted/text"}


def script(*steps: dict[str, Any]) -> dict[str, Any]:
    return SAY | {"options": {"script": list(steps)}}


HANG = script({"do": "text", "delta": "so "}, {"do": "wait", "gate": "end"}, {"do": "text"})


async def generate(house: Served, body: Any = None, **headers: str) -> httpx2.Response:
    answer = await house.post("/api/llm/generate", SAY if body is None else body, **headers)
    document = answer.json()
    accepted = answer.status_code in (200, 202)
    wrong = unfit("TextData", document["data"]) if accepted else unfit("AppProblem", document)
    assert wrong == []
    return answer


async def test_the_text_is_answered_at_once(house: Served) -> None:
    """The answer is the text, and the task that it was is there like any other."""
    answer = await generate(house)
    data = answer.json()["data"]
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert (data["content"], data["status"], data["model"]) == (
        "say it",
        "completed",
        "scripted/text",
    )
    assert (data["created"], data["provider"]) == (True, "scripted")
    assert answer.headers["location"] == f"/api/tasks/{data['task_id']}"
    shown = (await house.http.get(answer.headers["location"])).json()["data"]
    assert shown["kind"] == "text"
    assert shown["result_data"]["content"] == data["content"]
    assert shown["result_data"]["generation_id"] == data["generation_id"]


async def test_a_text_that_takes_longer_is_followed(house: Served) -> None:
    """When the wait is over the answer is 202 with the task's id, where its text comes."""
    answer = await generate(house, HANG, prefer="wait=0")
    data = answer.json()["data"]
    assert (answer.status_code, data["content"], data["generation_id"]) == (202, None, None)
    house.scripted.gate("end").set()
    assert (await house.events(data["task_id"]))[-1]["result_data"]["content"] == "so "


async def test_the_wait_is_a_setting(tmp_path: Path) -> None:
    """Without `Prefer` the server's own setting says how long the answer waits."""
    async with served(tmp_path / "data", generate_wait_seconds=0.01) as house:
        assert (await generate(house, HANG)).status_code == 202


async def test_a_repeated_request_attaches_while_it_runs(house: Served) -> None:
    """The same request beside one that waits is the same task, and is run once."""
    async with waiting(house) as (id, answer):
        again = (await generate(house, HANG, prefer="wait=0")).json()["data"]
        assert (again["task_id"], again["attached"]) == (id, True)
        house.scripted.gate("end").set()
        data = (await answer).json()["data"]
        assert (data["task_id"], data["content"]) == (id, "so ")
    assert len(house.scripted.started) == 1


@pytest.mark.parametrize("where", ["header", "body"])
async def test_a_key_finds_the_text_again(house: Served, where: str) -> None:
    """With a key the lost answer can be had again after the end, without a second run."""
    headers = {"idempotency_key": "k"} if where == "header" else {}
    body = SAY if where == "header" else SAY | {"request_id": "k"}
    first = (await generate(house, body, **headers)).json()["data"]
    second = (await generate(house, body, **headers)).json()["data"]
    assert (second["task_id"], second["content"]) == (first["task_id"], "say it")
    assert (first["created"], second["attached"]) == (True, True)
    assert len(house.scripted.started) == 1
    other = await generate(house, SAY | {"prompt": "else", "request_id": "k"})
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_a_failure_is_told_in_the_apps_words(house: Served) -> None:
    """A text that cannot be had is `generation_failed`, with the reason and the task."""
    fails = script({"do": "never", "code": "invalid_input", "message": "not that"})
    answer = await generate(house, fails, idempotency_key="k")
    body = answer.json()
    assert (answer.status_code, body["success"]) == (422, False)
    assert body["error"]["code"] == "generation_failed"
    assert body["error"]["message"] == body["error_data"]["message"]
    assert body["error_data"]["code"] == "invalid_input"
    assert (await house.events(body["task_id"]))[-1]["type"] == "failed"
    again = await generate(house, fails, idempotency_key="k")
    assert (again.status_code, again.json()["task_id"]) == (422, body["task_id"])
    fresh = await generate(house, fails)
    assert fresh.json()["task_id"] != body["task_id"]


async def test_a_cancel_ends_the_wait(house: Served) -> None:
    """A text whose task is cancelled meanwhile is answered as not generated."""
    async with waiting(house) as (id, answer):
        await house.post(f"/api/tasks/{id}/cancel")
        refused = await answer
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "generation_failed")
    assert refused.json()["error"]["message"] == "Task canceled"


async def test_hanging_up_cancels_nothing(house: Served) -> None:
    """A client that goes away while it waits leaves its task running to its end."""
    async with waiting(house) as (id, answer):
        answer.cancel()
        await asyncio.wait([answer])
        house.scripted.gate("end").set()
        assert (await house.events(id))[-1]["type"] == "completed"
    assert house.scripted.canceled == []


@pytest.mark.parametrize("body", [{}, {"prompt": "  "}, {"prompt": None}, [], "text"])
async def test_a_missing_prompt_is_told_in_the_apps_words(house: Served, body: Any) -> None:
    """Without a prompt nothing is made, and the code is the app's."""
    answer = await generate(house, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "missing_prompt")
    assert await _tasks(house) == []


async def test_options_are_parameters(house: Served) -> None:
    """What stands in `options` counts as if it stood beside the prompt."""
    answer = await generate(house, {"prompt": "p", "options": {"max_words": 3}})
    assert answer.status_code == 200
    shown = (await house.http.get(answer.headers["location"])).json()["data"]
    assert shown["input_data"]["max_words"] == 3


async def test_models_are_listed_without_their_providers(house: Served) -> None:
    """The list has what a person chooses by, every name of it is accepted, and the first
    is what a body without a model means."""
    data = (await house.http.get("/api/llm/models")).json()["data"]
    models = data["models"]
    assert unfit("OffersData", data) == []
    assert all(
        model.keys() == {"name", "label", "description", "default", "price", "vip"}
        and model["label"]
        and model["description"]
        for model in models
    )
    assert [m["name"] for m in models if m["default"]] == ["gemini-2.5-flash-lite"]
    assert models[0]["default"] is True
    for model in models:
        answer = await generate(house, {"prompt": "p", "model": model["name"]})
        assert answer.status_code == 200, answer.text


def test_what_would_be_refused_is_not_offered() -> None:
    """Where a remote provider is configured, only models that can run are listed."""
    registry = Registry.load(frozenset({"local", "openai"}))
    offers = registry.offers("text")
    first, *others = [offer.name for offer in offers]
    assert first == "local/prose" and "gpt-4.1" in others
    assert all(name.startswith("gpt-") for name in others)
    assert [offer.name for offer in offers if offer.default] == ["local/prose"]
    assert Registry.load(frozenset()).offers("text") == []


@asynccontextmanager
async def waiting(house: Served) -> AsyncIterator[tuple[str, asyncio.Task[httpx2.Response]]]:
    """A request that waits for its text, and the id of its task, which runs."""
    async with house.connect() as phone:
        await phone.join("tasks:mine")
        answer = asyncio.create_task(generate(house, HANG))
        frame = await phone.until(
            lambda f: f[3] == "task" and f[4]["task"]["status"] == "processing"
        )
        yield frame[4]["task"]["task_id"], answer


async def _tasks(house: Served) -> list[Any]:
    tasks: list[Any] = (await house.http.get("/api/tasks")).json()["data"]["tasks"]
    return tasks
