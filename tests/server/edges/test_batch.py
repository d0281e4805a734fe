"""The batch door: many creates in one request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safelight.store import Creation, StoreTrouble
from tests.doubles.forgetful import forgetful
from tests.doubles.schemas import unfit
from tests.doubles.served import Served, served

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
HANG = {"params": {"script": [{"do": "wait", "gate": "end"}]}}
APP: dict[str, Any] = {"input_data": {"type": "image", "prompt": "a test"}}


async def batch(house: Served, *tasks: Any, **headers: str) -> dict[str, Any]:
    """The `data` of a batch that is well formed."""
    answer = await house.post("/api/tasks:batch", {"tasks": list(tasks)}, **headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    data: dict[str, Any] = answer.json()["data"]
    assert [row["index"] for row in data["results"]] == list(range(len(tasks)))
    assert unfit("BatchData", data) == []
    return data


def verdicts(data: dict[str, Any]) -> list[Any]:
    """Each row as its status, and the code of its problem where it has one."""
    return [
        row["status"] if "data" in row else (row["status"], row["problem"]["code"])
        for row in data["results"]
    ]


def ids(data: dict[str, Any]) -> list[str]:
    return [row["data"]["task_id"] for row in data["results"]]


async def test_every_member_is_a_task_of_its_own(house: Served) -> None:
    """Equal members are as many tasks, each answered as a single create would be."""
    data = await batch(house, IMAGE, IMAGE, APP)
    assert verdicts(data) == [202, 202, 202]
    assert len(set(ids(data))) == 3
    assert (data["created"], data["attached"], data["refused"]) == (3, 0, 0)
    for row in data["results"]:
        assert row["data"]["created"] is True
        assert (await house.events(row["data"]["task_id"]))[-1]["type"] == "completed"
    assert data["results"][2]["data"]["substituted_for"] == "google/imagen-4-fast"


async def test_a_bad_member_never_hurts_the_others(house: Served) -> None:
    """Members that are wrong, conflict or are gone are refused in their places, each in
    the words of its form; the others are accepted."""
    await house.create(id="taken", **HANG)
    await house.create(id="old")
    await house.events("old")
    await house.http.delete("/api/tasks/old")
    data = await batch(
        house,
        IMAGE,
        {"kind": "image"},
        IMAGE | {"id": "taken", "prompt": "another"},
        "nonsense",
        IMAGE | {"id": "old"},
        {"input_data": {"type": "image"}},
        IMAGE | {"model": "nobody/nothing"},
        IMAGE | {"id": "fresh"},
    )
    assert verdicts(data) == [
        202,
        (400, "invalid"),
        (409, "id_conflict"),
        (400, "invalid"),
        (410, "gone"),
        (400, "invalid"),
        (400, "unknown_model"),
        202,
    ]
    problems = [row["problem"] for row in data["results"] if "problem" in row]
    assert [p["index"] for p in problems] == [1, 2, 3, 4, 5, 6]
    assert problems[0]["error"]["details"][0]["field"] == "prompt"
    assert problems[4]["error"]["code"] == "VALIDATION_ERROR"
    assert (data["created"], data["refused"]) == (2, 6)


async def test_of_two_members_with_one_id_or_key_the_earlier_wins(house: Served) -> None:
    """The earlier member makes the task, the later attaches or conflicts, every time, also
    when the earlier one has to look up an input first."""
    picture = (await house.create(id="picture"))["task_id"]
    await house.events(picture)
    for turn in range(20):
        slow = IMAGE | {"inputs": [{"task": picture}]}
        data = await batch(
            house,
            slow | {"id": f"a{turn}"},
            IMAGE | {"id": f"a{turn}"},
            slow | {"id": f"a{turn}"},
            slow | {"request_id": f"k{turn}"},
            IMAGE | {"request_id": f"k{turn}", "prompt": "another"},
            slow | {"request_id": f"k{turn}"},
        )
        assert verdicts(data) == [202, (409, "id_conflict"), 200, 202, (422, "key_reused"), 200]
        assert data["results"][2]["data"]["task_id"] == f"a{turn}"


async def test_members_may_ask_for_reuse(house: Served) -> None:
    """With `reuse` a member attaches to a task alike, even to one of the same batch."""
    data = await batch(house, IMAGE | HANG, IMAGE | HANG | {"reuse": "inflight"}, IMAGE | HANG)
    assert verdicts(data) == [202, 200, 202]
    first, second, third = ids(data)
    assert first == second != third


async def test_a_replay_of_the_whole_batch_attaches_every_member(house: Served) -> None:
    """With a key the same batch again is the same tasks, also after their ends, and a
    member can be had alone by its own key."""
    tasks = (IMAGE, APP, IMAGE | {"id": "mine"}, IMAGE | {"request_id": "own"})
    first = await batch(house, *tasks, idempotency_key="B")
    for id in ids(first):
        await house.events(id)
    again = await batch(house, *tasks, idempotency_key="B")
    assert verdicts(again) == [200, 200, 200, 200]
    assert ids(again) == ids(first)
    assert len(house.scripted.started) == 4
    alone = await house.post("/api/tasks", IMAGE, idempotency_key="B/0")
    assert (alone.status_code, alone.json()["data"]["task_id"]) == (200, ids(first)[0])
    other = await batch(house, IMAGE | {"prompt": "another"}, idempotency_key="B")
    assert verdicts(other) == [(422, "key_reused")]


async def test_a_hundred_members_share_few_commits(house: Served) -> None:
    """A full batch is accepted with far fewer transactions than members."""
    data = await batch(house, *(IMAGE | HANG | {"prompt": f"p{i}"} for i in range(100)))
    groups = house.context.statistics()["groups"]
    assert data["created"] == 100
    assert isinstance(groups, int) and groups < 20
    listed = (await house.http.get("/api/tasks?limit=100")).json()["data"]["tasks"]
    assert {task["task_id"] for task in listed} == set(ids(data))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": [IMAGE] * 101}, "tasks"),
        ({"tasks": {"0": IMAGE}}, "tasks"),
        ({"tasks": "all"}, "tasks"),
        ({}, "tasks"),
        ([IMAGE], "body"),
        (IMAGE, "tasks"),
    ],
)
async def test_what_is_no_batch_is_refused_by_its_field(
    house: Served, body: Any, field: str
) -> None:
    """A wrong list is answered 400 naming the field, and makes nothing."""
    answer = await house.post("/api/tasks:batch", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid")
    assert field in [detail["field"] for detail in error["details"]]
    assert (await house.http.get("/api/tasks")).json()["data"]["tasks"] == []


async def test_a_batch_over_the_limit_is_refused_by_its_size(house: Served) -> None:
    """A body above the limit is answered 413 and names the body."""
    answer = await house.post("/api/tasks:batch", {"tasks": [IMAGE | {"prompt": "x" * 2**20}]})
    assert answer.status_code == 413
    assert answer.json()["error"]["details"][0]["field"] == "body"


async def test_a_key_that_is_none_is_refused(house: Served) -> None:
    """An Idempotency-Key with nothing in it is named."""
    answer = await house.post("/api/tasks:batch", {"tasks": [IMAGE]}, idempotency_key="")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "Idempotency-Key"


async def test_a_defect_in_one_member_is_its_own(tmp_path: Path) -> None:
    """Whatever goes wrong inside for one member, the others have their verdicts, and of the
    defect only its reference is told."""

    def breaks(item: Any) -> bool:
        if isinstance(item, Creation) and item.id == "broken":
            raise ZeroDivisionError("a secret")
        return False

    async with served(tmp_path / "data", opened=forgetful(breaks)) as house:
        data = await batch(house, IMAGE, IMAGE | {"id": "broken"}, IMAGE)
        assert verdicts(data) == [202, (500, "internal"), 202]
        problem = data["results"][1]["problem"]
        assert problem["reference"] in problem["detail"] and "secret" not in problem["detail"]


async def test_a_store_in_trouble_is_told_to_each_member(tmp_path: Path) -> None:
    """A member that could not be written is refused as unavailable, the others stand."""

    def fails(item: Any) -> bool:
        if isinstance(item, Creation) and item.id == "unlucky":
            raise StoreTrouble("no write today")
        return False

    async with served(tmp_path / "data", opened=forgetful(fails)) as house:
        data = await batch(house, IMAGE | {"id": "unlucky"}, IMAGE)
        assert verdicts(data) == [(503, "unavailable"), 202]
