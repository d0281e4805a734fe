"""Images and videos under addresses of their own: the same tasks, files and models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.scripted import Scripted
from tests.doubles.served import Served, served

TOKENS = {"secret-a": "ann", "secret-b": "bob"}
ANN = {"authorization": "Bearer secret-a"}
BOB = {"authorization": "Bearer secret-b"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, scripted_provider=Scripted(), tokens=TOKENS) as made:
        yield made


async def run(house: Served, kind: str, /, who: dict[str, str] = ANN, **fields: Any) -> Any:
    """A task by the view's own create, lived to its end."""
    body = {"model": f"scripted/{kind}", "prompt": "p"} | fields
    answer = await house.http.post(f"/api/run-{kind}-model", json=body, headers=who)
    data = answer.json().get("data")
    if answer.status_code in (200, 202):
        await house.http.get(f"/api/tasks/{data['task_id']}/events", headers=who)
    return answer


async def get(house: Served, path: str, who: dict[str, str] = ANN) -> Any:
    """The `data` of an answer that is well."""
    answer = await house.http.get(path, headers=who)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@pytest.mark.parametrize("kind", ["image", "video"])
async def test_a_run_is_a_task(house: Served, kind: str) -> None:
    """Made by the same rules, keys included, and found as a task and as a file."""
    headers = ANN | {"idempotency-key": "k"}
    first = await run(house, kind, headers)
    again = await run(house, kind, headers)
    assert (first.status_code, again.status_code) == (202, 200)
    id = first.json()["data"]["task_id"]
    assert again.json()["data"]["task_id"] == id
    assert first.headers["location"] == f"/api/tasks/{id}"
    task = await get(house, f"/api/tasks/{id}")
    assert task["kind"] == kind
    (made,) = (await get(house, f"/api/{kind}s"))[f"{kind}s"]
    told = task["result_data"]["artifacts"][0]
    assert {name: made[name] for name in told if name in made} == {
        name: value for name, value in told.items() if name in made
    }
    assert (made["task_id"], made["prompt"], made["model"]) == (id, "p", f"scripted/{kind}")
    assert made["seed"] == task["seed"]
    assert await get(house, f"/api/{kind}s/{made['id']}") == made


async def test_pages_go_on_where_they_stopped(house: Served) -> None:
    """Newest first, none twice and none left out, also while more is made."""
    steps = [{"do": "image"}, {"do": "video"}, {"do": "image"}]
    for n in range(3):
        await run(house, "image", params={"script": steps}, prompt=f"number {n}", id=f"t{n}")
    seen, before = [], ""
    while True:
        page = await get(house, f"/api/images?limit=2{before}")
        seen += page["images"]
        if len(seen) == 2:
            await run(house, "image", id="later")
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert len(seen) == 6 and len({one["id"] for one in seen}) == 6
    assert [one["prompt"] for one in seen] == [f"number {n}" for n in (2, 2, 1, 1, 0, 0)]
    assert len((await get(house, "/api/videos"))["videos"]) == 3


async def test_what_is_anothers_is_as_good_as_none(house: Served) -> None:
    """In lists and one by one; and who shows no token sees nothing."""
    await run(house, "image")
    (mine,) = (await get(house, "/api/images"))["images"]
    assert (await get(house, "/api/images", BOB))["images"] == []
    told = []
    for id in (mine["id"], "z" * 32):
        answer = await house.http.get(f"/api/images/{id}", headers=BOB)
        assert answer.status_code == 404
        told.append(answer.json()["error"])
    assert told[0] == told[1]
    assert (await house.http.get(f"/api/videos/{mine['id']}", headers=ANN)).status_code == 404
    for path in ("/api/images", f"/api/images/{mine['id']}", "/api/image-models"):
        assert (await house.http.get(path)).status_code == 401


async def test_models_are_those_of_the_kind(house: Served) -> None:
    """As /api/models has them; the schema is found under the kind that it is of."""
    found = await get(house, "/api/image-models")
    assert found == await get(house, "/api/models?kind=image")
    name = next(model["name"] for model in found["models"] if "/" in model["name"])
    schema = await get(house, f"/api/image-models/{name}/schema")
    assert schema == await get(house, f"/api/models/{name}/schema")
    other = await house.http.get(f"/api/video-models/{name}/schema", headers=ANN)
    assert (other.status_code, other.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "video"}, "kind"),
        ({"prompt": ""}, "prompt"),
        ({"input": {"prompt": "p"}}, "input"),
    ],
)
async def test_what_is_wrong_is_refused_by_field(
    house: Served, body: dict[str, Any], field: str
) -> None:
    """As at /api/tasks."""
    answer = await run(house, "image", **body)
    assert answer.status_code == 400
    assert field in [one["field"] for one in answer.json()["error"]["details"]]


@pytest.mark.parametrize("query", ["before=x", "before=12", "before=-1-a", "limit=0", "limit=999"])
async def test_a_page_that_is_none_is_refused(house: Served, query: str) -> None:
    """With the name of what is wrong."""
    answer = await house.http.get(f"/api/images?{query}", headers=ANN)
    assert answer.json()["error"]["details"][0]["field"] == query.partition("=")[0]
