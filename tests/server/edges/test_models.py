"""The doors to the models: the list, and the schema of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from safelight.providers.scripted import Scripted
from tests.doubles.served import Served, served
from tests.doubles.workshop import given, workshops
from tests.stories.deployed_app import deployed_app


async def listed(house: Served, query: str = "") -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = (await house.http.get(f"/api/models{query}")).json()["data"][
        "models"
    ]
    return models


async def test_models_are_listed_with_their_parameters(house: Served) -> None:
    """GET /api/models tells what a page needs of each; a wrong kind is named."""
    models = await listed(house, "?kind=image")
    assert {model["kind"] for model in models} == {"image"}
    told = {"name", "label", "provider", "backends", "usable", "price", "vip", "params"}
    told |= {"retired", "shutdown_date", "replaced_by", "workflow", "required", "aliases"}
    assert all(told <= model.keys() for model in models)
    imagen = next(model for model in models if model["name"] == "google/imagen-4-fast")
    shut_down = (imagen["shutdown_date"], imagen["replaced_by"])
    assert shut_down == ("2026-08-17", "bytedance/seedream-3")
    wrong = await house.http.get("/api/models?kind=imgae")
    assert wrong.status_code == 400
    assert wrong.json()["error"]["details"][0] == {
        "field": "kind",
        "found": '"imgae"',
        "expected": "one of image, video, text; near it: image",
    }


async def test_every_model_has_a_schema(house: Served) -> None:
    """Each listed name, slashes and all, leads to a document of JSON Schema 2020-12 whose
    defaults it takes itself, and whose fields have their places."""
    for model in await listed(house):
        answer = await house.http.get(f"/api/models/{model['name']}/schema")
        schema = answer.json()["data"]
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        Draft202012Validator.check_schema(schema)
        fields = schema["properties"]
        assert [field["x-order"] for field in fields.values()] == list(range(len(fields)))
        defaults = {name: f["default"] for name, f in fields.items() if "default" in f}
        errors = Draft202012Validator(schema).iter_errors(defaults)
        assert [e for e in errors if e.validator != "required"] == []
        if not model["retired"]:
            assert (list(fields), schema["required"]) == (list(model["params"]), model["required"])
            assert (schema["x-model"], schema["x-kind"]) == (model["name"], model["kind"])


async def test_the_schema_is_what_a_create_is_held_to(tmp_path: Path) -> None:
    """What the schema refuses the server refuses, and what it takes is accepted."""
    async with served(tmp_path, scripted_as="local") as house:
        path = "/api/models/local/paint/schema"
        schema = Draft202012Validator((await house.http.get(path)).json()["data"])
        tried = [{"steps": 5}, {"steps": 0}, {"stepz": 5}, {"aspect_ratio": "x"}, {"width": 1}]
        for params in tried:
            body = {"kind": "image", "prompt": "p", "model": "local/paint", "params": params}
            status = (await house.post("/api/tasks", body)).status_code
            assert status == (202 if schema.is_valid(params) else 400)
        assert [schema.is_valid(params) for params in tried] == [True] + [False] * 4


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("paint", 200, "local/paint"),
        ("bytedance%2Fseedream-3", 200, "bytedance/seedream-3"),
        ("local/paimt", 404, "local/paint"),
        ("nobody/nothing", 404, "one of"),
    ],
)
async def test_a_schema_is_found_by_any_name(
    house: Served, name: str, status: int, said: str
) -> None:
    """An alias and a quoted slash are understood; of a name that is none the nearest are
    told."""
    answer = await house.http.get(f"/api/models/{name}/schema")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["data"]["x-model"] == said
    else:
        assert said in answer.json()["error"]["details"][0]["expected"]


async def test_the_registry_is_asked_by_who_may(tmp_path: Path) -> None:
    """With tokens, neither list nor schema is told to strangers."""
    async with served(tmp_path, tokens={"a": "ann"}) as house:
        for path in ("/api/models", "/api/models/paint/schema"):
            assert (await house.http.get(path)).status_code == 401


async def test_a_retired_model_is_answered_by_its_successor(tmp_path: Path) -> None:
    """At the doors: the answer says who was asked for, and why another runs."""
    file = tmp_path / "own.toml"
    file.write_text(
        """
        [[models]]
        name = "local/paint"
        label = "Paint"
        kind = "image"
        provider = "scripted"
        schema = "scripted"
        order = 10
        shutdown_date = 2020-01-01
        replaced_by = "scripted/image"
        """
    )
    own = {"scripted_provider": Scripted(), "models_file": str(file)}
    async with served(tmp_path / "data", **own) as house:
        body = {"kind": "image", "prompt": "p", "model": "local/paint"}
        data = (await house.post("/api/tasks", body)).json()["data"]
        assert (data["model"], data["substituted_for"]) == ("scripted/image", "local/paint")
        assert data["warnings"] == [
            "model: local/paint was shut down on 2020-01-01; scripted/image answers for it"
        ]
        events = await house.events(data["task_id"])
        assert {event["substituted_for"] for event in events} == {"local/paint"}


async def test_the_list_is_in_the_order_of_the_owners_own_defaults(tmp_path: Path) -> None:
    """What is marked as default is what a create without a model gets, for whoever prefers
    a backend too; and each model says where it runs."""
    file = tmp_path / "own.toml"
    file.write_text(
        """
        [[models]]
        name = "mine/pinned"
        label = "Pinned"
        kind = "image"
        provider = "comfyui"
        schema = "comfyui_image"
        backends = ["there"]
        order = 1
        """
    )
    own = {"tokens": {"a": "ann", "b": "bob"}, "models_file": str(file)}
    async with (
        workshops("here", "there") as made,
        served(tmp_path / "data", **own, **given(made)) as house,
    ):

        async def default(token: str) -> tuple[str, str | None]:
            house.http.headers["authorization"] = f"Bearer {token}"
            models = await listed(house, "?kind=image")
            data = (await house.post("/api/tasks", {"kind": "image", "prompt": "p"})).json()["data"]
            assert [model["name"] for model in models if model["default"]] == [data["model"]]
            return data["model"], data["backend"]

        house.http.headers["authorization"] = "Bearer a"
        chosen = await house.http.patch("/api/preferences", json={"backend": "here"})
        assert chosen.status_code == 200
        assert await default("a") == ("comfyui/txt2img", "here")
        assert await default("b") == ("mine/pinned", "there")
        models = {model["name"]: model["backends"] for model in await listed(house)}
        assert models["comfyui/txt2img"] == ["here", "there"]
        assert models["mine/pinned"] == ["there"]
        assert models["scripted/image"] == []


IMAGEN = """
[[models]]
name = "google/imagen-4-fast"
label = "Imagen 4 Fast"
kind = "image"
provider = "replicate"
schema = "remote_image"
order = 20
shutdown_date = 2020-01-01
replaced_by = "bytedance/seedream-3"
"""


async def test_the_apps_own_default_may_be_retired(tmp_path: Path) -> None:
    """The deployed app goes on meaning the model it always meant: its POST without one, and
    its push that names it, are one task, answered by the successor, who is told."""
    file = tmp_path / "own.toml"
    file.write_text(IMAGEN)
    hang = {"script": [{"do": "wait", "gate": "end"}]}
    given: dict[str, Any] = {
        "scripted_as": "replicate",
        "models_file": str(file),
        "budget_per_day": 1.0,
    }
    async with (
        served(tmp_path / "data", **given) as house,
        deployed_app(house.url) as app,
    ):
        made = await app.submit("image", "a monk", **hang)
        topic = f"task:{made['task_id']}"
        await app.join(topic)
        wanted = {"prompt": "a monk", "model": "google/imagen-4-fast", **hang}
        reply = await app.push(topic, "image_generate", wanted)
        assert (reply["status"], reply["response"]["attached"]) == ("ok", True)
        house.scripted.gate("end").set()
        screen = await app.watch_to_the_end(topic)
        assert screen.endings == {"completed"}
        assert screen.result["model"] == "bytedance/seedream-3"
        assert len(house.scripted.started) == 1
        shown = (await house.http.get(f"/api/tasks/{made['task_id']}")).json()["data"]
        assert shown["substituted_for"] == "google/imagen-4-fast"
