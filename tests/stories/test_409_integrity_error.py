"""409 Integrity error.

What was wrong: a provider refused a repeat of a seed with "409 Integrity error", and the
client got past it by making everything random, the seeds that people had chosen too.
The default model was one that cost two dollars a picture and needed VIP. The list of
models showed `undefined`.
How it was reached: by asking for the same picture twice; by leaving the model open.
What it looked like: a picture nobody had asked for, a bill nobody expected, and a menu
of `undefined (undefined)`.

The provider here is the scripted one, and where it is said so the emulator of that very
provider, over real sockets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.served import Served
from tests.doubles.superduper_rig import FREE, PAID, asked, rigged

ONCE = [{"do": "conflict", "attempt": 1, "message": "409 Integrity error"}]
TWICE = [*ONCE, {"do": "conflict", "attempt": 2}]
ALWAYS = [{"do": "conflict", "message": "409 Integrity error"}]


async def test_a_seed_of_ours_is_drawn_again_on_a_conflict(house: Served) -> None:
    """Left open, the seed is ours: the refused one is replaced, the attempt is repeated,
    and the task, the provider and the result agree on the seed that ran."""
    first = await house.create(params={"script": TWICE})
    events = await house.events(first["task_id"])
    assert [e["type"] for e in events].count("retrying") == 2
    assert events[-1]["type"] == "completed"
    assert len(set(house.scripted.seeds)) == 3
    shown = (await house.http.get(f"/api/tasks/{first['task_id']}")).json()["data"]
    ran = house.scripted.seeds[-1]
    assert shown["seed"] == shown["result_data"]["seed"] == ran != first["seed"]


@pytest.mark.parametrize("seed", [7, 0, str(2**64 - 1)])
async def test_a_seed_that_was_chosen_is_kept_on_a_conflict(house: Served, seed: int | str) -> None:
    """The caller's seed is never replaced: the task fails once, says why and what to do,
    and the provider was asked with that seed only."""
    data = await house.create(seed=seed, params={"script": ALWAYS})
    end = (await house.events(data["task_id"]))[-1]
    assert (end["type"], end["error_data"]["code"]) == ("failed", "seed_conflict")
    assert "409 Integrity error" in end["error_data"]["message"]
    assert "another seed" in end["error_data"]["message"]
    assert house.scripted.seeds == [int(seed)]
    assert data["seed"] == seed


async def test_a_provider_that_takes_each_seed_once(house: Served) -> None:
    """The story as it was: the provider takes each seed once. A repeat with a chosen seed
    fails by its name; a repeat with the seed left open just gets another."""
    once = {"script": [{"do": "conflict", "repeated": True}, {"do": "image"}]}
    ends = []
    for seed in ({"seed": 7}, {"seed": 7}, {}, {}):
        id = (await house.create(params=once, **seed))["task_id"]
        ends.append((await house.events(id))[-1]["type"])
    assert ends == ["completed", "failed", "completed", "completed"]


async def test_conflicts_without_end_are_given_up(house: Served) -> None:
    """A provider that refuses every seed is not asked for ever."""
    data = await house.create(params={"script": ALWAYS})
    end = (await house.events(data["task_id"]))[-1]
    assert end["type"] == "failed"
    assert len(house.scripted.started) == house.context.settings.attempts


async def test_asking_twice_is_no_conflict(house: Served) -> None:
    """The same picture with the same seed again is a new task with that seed, or the old
    one where that is asked for; it is never an error."""
    first = await house.create(seed=7)
    await house.events(first["task_id"])
    second = await house.create(seed=7)
    await house.events(second["task_id"])
    assert second["task_id"] != first["task_id"]
    assert house.scripted.seeds == [7, 7]
    reused = await house.create(seed=7, reuse="completed")
    assert reused["task_id"] == second["task_id"]


async def test_a_409_of_ours_says_with_what(house: Served) -> None:
    """A conflict names the task, and each field with what was asked and what it has."""
    script = {"script": [{"do": "wait", "gate": "end"}]}
    await house.create(id="one", seed=7, params=script)
    body = {"id": "one", "kind": "image", "prompt": "a test", "model": "scripted/image"}
    answer = await house.post("/api/tasks", body | {"seed": 8, "params": script})
    assert (answer.status_code, answer.json()["task_id"]) == (409, "one")
    (detail,) = answer.json()["error"]["details"]
    assert detail == {"field": "seed", "found": "8", "expected": "7"}


async def test_what_happens_by_default_is_free(house: Served) -> None:
    """The default of each kind is the cheapest that can be used here and needs no VIP, and
    a task by default is charged nothing."""
    models = (await house.http.get("/api/models")).json()["data"]["models"]
    for kind in ("image", "video", "text"):
        usable = [m for m in models if m["kind"] == kind and m["usable"]]
        (default,) = [m for m in usable if m["default"]]
        assert default["price"] == min(m["price"] for m in usable) == 0
        assert default["vip"] is False
        answer = await house.post("/api/tasks", {"kind": kind, "prompt": "p"})
        end = (await house.events(answer.json()["data"]["task_id"]))[-1]
        assert (end["charge"]["verdict"], end["charge"]["amount_micros"]) == ("free", 0)


MAY_BE_NULL = {"price", "pricing", "max_inputs", "workflow", "shutdown_date", "replaced_by"}
"""What is not known or not so; each of them says so by being null."""


@pytest.mark.parametrize("path", ["/api/models", "/api/llm/models"])
async def test_no_list_of_models_shows_undefined(house: Served, path: str) -> None:
    """Each row has a name and a label that a menu can show, and every field is there."""
    models: list[dict[str, Any]] = (await house.http.get(path)).json()["data"]["models"]
    assert models
    for model in models:
        assert model.keys() == models[0].keys()
        assert all(isinstance(model[name], str) and model[name] for name in ("name", "label"))
        unknown = {name for name, value in model.items() if value is None}
        assert unknown <= MAY_BE_NULL
    labels = [model["label"] for model in models]
    assert len(set(labels)) == len(labels)


async def test_the_provider_itself_takes_each_seed_once(tmp_path: Path) -> None:
    """The story against that provider: asked for the same picture twice, a chosen seed fails
    by its name at the second time and is run once; a seed left open is drawn anew, and the
    task tells the one that ran."""
    async with rigged(tmp_path) as rig:
        ends = []
        for seed in ({"seed": 7}, {"seed": 7}, {}):
            ends.append((await rig.house.events(await rig.create(FREE, **seed)))[-1])
        assert [end["type"] for end in ends] == ["completed", "failed", "completed"]
        assert ends[1]["error_data"]["code"] == "seed_conflict"
        assert "Integrity" not in ends[1]["error_data"]["message"]
        ran = [run["marks"]["seed"] for run in rig.emulator.runs()]
        assert ran == [7, ends[2]["result_data"]["seed"]]


async def test_two_dollars_are_not_spent_by_accident(tmp_path: Path) -> None:
    """With that provider configured the default is still free, and the model of two dollars is
    refused to whoever does not agree to its price, which the refusal tells."""
    async with rigged(tmp_path) as rig:
        answer = await rig.house.post("/api/tasks", {"kind": "image", "prompt": "p"})
        end = (await rig.house.events(answer.json()["data"]["task_id"]))[-1]
        assert end["charge"]["amount_micros"] == 0
        body = asked(PAID)
        del body["max_cost"]
        refused = await rig.house.post("/api/tasks", body)
        assert refused.status_code == 403
        assert refused.json()["quote"]["high_micros"] == 2_000_000
        assert [run["model"] for run in rig.emulator.runs()] == ["comfyui/flux"]
        assert await rig.spent() == rig.emulator.cost() == 0
