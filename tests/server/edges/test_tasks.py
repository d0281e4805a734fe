"""The REST door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.served import Served, served

HANG = {"script": [{"do": "wait", "gate": "end"}]}


async def test_a_native_create_is_accepted_and_ends(house: Served) -> None:
    """A native body makes a task, answers 202 with its address, and the task completes."""
    answer = await house.post(
        "/api/tasks", {"kind": "image", "prompt": "a test", "model": "scripted/image"}
    )
    data = answer.json()["data"]
    assert answer.status_code == 202
    assert answer.json()["success"] is True
    assert answer.headers["location"] == f"/api/tasks/{data['task_id']}"
    assert (data["status"], data["progress"], data["created"]) == ("queued", 0.0, True)
    assert [e["type"] for e in await house.events(data["task_id"])][-1] == "completed"


async def test_the_apps_body_is_accepted_and_told_who_stands_in(house: Served) -> None:
    """The deployed app's body gets its default model, and the stand-in is named."""
    body = {"input_data": {"type": "image", "prompt": "Test image"}}
    data = (await house.post("/api/tasks", body)).json()["data"]
    events = await house.events(data["task_id"])
    assert data["substituted_for"] == "google/imagen-4-fast"
    assert all(e["substituted_for"] == "google/imagen-4-fast" for e in events)


@pytest.mark.parametrize(
    ("first", "second", "status", "code"),
    [
        ({"id": "x"}, {"id": "x"}, 200, None),
        ({"id": "x"}, {"id": "x", "prompt": "another"}, 409, "id_conflict"),
        ({"request_id": "k"}, {"request_id": "k"}, 200, None),
        ({"request_id": "k"}, {"request_id": "k", "prompt": "another"}, 422, "key_reused"),
        ({"id": "x"}, {"id": "y"}, 202, None),
        ({"request_id": "k"}, {"request_id": "other"}, 202, None),
        ({}, {}, 200, None),
        ({}, {"reuse": "never"}, 202, None),
        ({}, {"prompt": "another"}, 202, None),
    ],
)
async def test_a_second_request_is_held_against_the_first(
    house: Served, first: dict[str, Any], second: dict[str, Any], status: int, code: str | None
) -> None:
    """While the first runs, id, key and likeness decide what a second request is."""
    one = await house.create(params=HANG, **first)
    body = {"kind": "image", "prompt": "a test", "model": "scripted/image", "params": HANG}
    answer = await house.post("/api/tasks", body | second)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert answer.json()["data"]["task_id"] == one["task_id"]
        assert answer.json()["data"]["attached"] is True
    if code is not None:
        assert answer.json()["error"]["code"] == code
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_key_finds_its_task_after_the_end(house: Served) -> None:
    """The same Idempotency-Key answers 200 with the first task, also when that has ended."""
    body = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
    first = await house.post("/api/tasks", body, idempotency_key="k1")
    await house.events(first.json()["data"]["task_id"])
    second = await house.post("/api/tasks", body, idempotency_key="k1")
    assert second.status_code == 200
    assert second.json()["data"]["task_id"] == first.json()["data"]["task_id"]
    assert second.json()["data"]["result_data"]["image_url"].startswith("/api/artifacts/")
    assert len(house.scripted.started) == 1


async def test_a_failed_task_never_blocks_a_fresh_request(house: Served) -> None:
    """Without id and key the same request after a failure is a new task."""
    fails = {"script": [{"do": "never", "message": "no"}]}
    first = await house.create(params=fails)
    assert (await house.events(first["task_id"]))[-1]["type"] == "failed"
    second = await house.create(params=fails)
    assert second["task_id"] != first["task_id"]
    assert second["created"] is True


async def test_prefer_wait_answers_with_the_end(house: Served) -> None:
    """`Prefer: wait` gives 200 and the result when the task ends in time."""
    body = {"kind": "text", "prompt": "say it", "model": "scripted/text"}
    answer = await house.post("/api/tasks", body, prefer="wait=10")
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=10"
    assert answer.json()["data"]["result_data"]["content"] == "say it"


async def test_cancel_while_running_is_confirmed(house: Served) -> None:
    """A cancel is answered 202 and the task ends canceled, confirmed and free."""
    data = await house.create(params=HANG)
    asked = await house.post(f"/api/tasks/{data['task_id']}/cancel")
    events = await house.events(data["task_id"])
    assert asked.status_code in (200, 202)
    assert (events[-1]["type"], events[-1]["confirmed"]) == ("canceled", True)
    assert events[-1]["charge"]["verdict"] == "free"
    again = await house.post(f"/api/tasks/{data['task_id']}/cancel")
    assert (again.status_code, again.json()["data"]["status"]) == (200, "canceled")


async def test_delete_leaves_a_tombstone(house: Served) -> None:
    """A running task cannot be deleted; an ended one is gone with its bytes, id and key."""
    data = await house.create(id="x", request_id="k", params=HANG)
    assert (await house.http.delete("/api/tasks/x")).status_code == 409
    await house.post("/api/tasks/x/cancel")
    await house.events("x")
    assert (await house.http.delete("/api/tasks/x")).status_code == 200
    assert (await house.http.get("/api/tasks/x")).status_code == 410
    body = {"kind": "image", "prompt": "a test", "model": "scripted/image", "params": HANG}
    for named in ({"id": "x"}, {"request_id": "k"}):
        answer = await house.post("/api/tasks", body | named)
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "gone")
    assert data["task_id"] == "x"


async def test_deleted_bytes_are_gone(house: Served) -> None:
    """DELETE revokes the artifact's address and removes its file."""
    data = await house.create()
    url = (await house.events(data["task_id"]))[-1]["result_data"]["image_url"]
    assert (await house.http.get(url)).status_code == 200
    await house.http.delete(f"/api/tasks/{data['task_id']}")
    assert (await house.http.get(url)).status_code == 404
    assert not list(Path(house.context.settings.data_dir).glob("artifacts/**/*.png"))


async def test_lists_are_paged_newest_first(house: Served) -> None:
    """A page holds the newest tasks and says where the next one begins."""
    made = [(await house.create(id=f"t{i}"))["task_id"] for i in range(5)]
    first = (await house.http.get("/api/tasks?limit=2")).json()["data"]
    second = (await house.http.get(f"/api/tasks?limit=2&before={first['next']}")).json()["data"]
    last = (await house.http.get(f"/api/tasks?limit=2&before={second['next']}")).json()["data"]
    ids = [t["task_id"] for page in (first, second, last) for t in page["tasks"]]
    assert ids == made[::-1]
    assert last["next"] is None


@pytest.mark.parametrize("seed", [0, 2**53 + 1, 2**63, 2**64 - 1, str(2**63)])
async def test_large_seeds_come_back_exactly(house: Served, seed: int | str) -> None:
    """A seed is echoed as a number where JSON keeps it exact, as a string above."""
    data = await house.create(seed=seed)
    assert int(data["seed"]) == int(seed)
    assert isinstance(data["seed"], str) is (int(seed) > 2**53 - 1)
    shown = (await house.http.get(f"/api/tasks/{data['task_id']}")).json()["data"]
    assert shown["seed"] == data["seed"]


BAD = [
    ({"sed": 1}, "sed", "invalid"),
    ({"prompt": 5}, "prompt", "invalid"),
    ({"prompt": ""}, "prompt", "invalid"),
    ({"prompt": "x" * 100_000}, "prompt", "invalid"),
    ({"kind": "sculpture"}, "kind", "invalid"),
    ({"model": "nobody/nothing"}, "model", "unknown_model"),
    ({"seed": -1}, "seed", "invalid"),
    ({"seed": 2**64}, "seed", "invalid"),
    ({"seed": "abc"}, "seed", "invalid"),
    ({"id": "a b"}, "id", "invalid"),
    ({"id": "a/b"}, "id", "invalid"),
    ({"id": "x" * 65}, "id", "invalid"),
    ({"id": "llm_1"}, "id", "invalid"),
    ({"n": 0}, "n", "invalid"),
    ({"inputs": [{"task": "nope"}]}, "inputs.0", "invalid"),
    ({"webhook": "ftp://x"}, "webhook", "invalid"),
]


@pytest.mark.parametrize(("fields", "field", "code"), BAD)
async def test_bad_fields_are_named(
    house: Served, fields: dict[str, Any], field: str, code: str
) -> None:
    """Each bad field is answered 400 with the field, what was found and what is expected,
    and nothing of it remains."""
    body = {"kind": "image", "prompt": "a test", "model": "scripted/image"} | fields
    answer = await house.post("/api/tasks", body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    detail = next(d for d in error["details"] if d["field"] == field)
    assert detail["expected"]
    assert len(str(detail["found"])) <= 80
    await _nothing_remains(house)


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"[1,2]", b'"text"', b"1e400", b"[" * 5000])
async def test_what_is_no_json_object_is_refused(house: Served, body: bytes) -> None:
    """Broken JSON, and JSON that is no object, are answered 400 naming the body."""
    answer = await house.http.post("/api/tasks", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "body"
    await _nothing_remains(house)


async def test_a_huge_body_is_refused_unread(house: Served) -> None:
    """50 MB are answered 413, announced or not, and the server goes on."""

    async def chunks() -> Any:
        for _ in range(50):
            yield b" " * 1_000_000

    for content in (b" " * 50_000_000, chunks()):
        answer = await house.http.post("/api/tasks", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    await _nothing_remains(house)


async def test_the_apps_errors_have_the_apps_shape(house: Served) -> None:
    """The app's body without a prompt gets VALIDATION_ERROR and details by field."""
    answer = await house.post("/api/tasks", {"input_data": {"type": "image"}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert isinstance(error["details"]["prompt"][0], str)


async def test_unknown_paths_and_methods_are_typed(house: Served) -> None:
    """404 and 405 are problem documents as well."""
    for path, status, code in (
        ("/api/nothing", 404, "not_found"),
        ("/api/tasks/none", 404, "not_found"),
        ("/api/artifacts/none", 404, "not_found"),
        ("/api/previews/none", 404, "not_found"),
    ):
        answer = await house.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = await house.http.put("/api/tasks", content=b"")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


async def test_what_another_owner_made_is_no_input(tmp_path: Path) -> None:
    """Its id shows a picture to whoever has it, but lets nobody else begin with it; to its
    owner both names of it are good."""
    async with served(tmp_path, tokens={"a": "ann", "b": "bob"}) as house:
        house.http.headers["authorization"] = "Bearer a"
        await house.create(id="x")
        made = (await house.events("x"))[-1]["result_data"]["artifacts"][0]["id"]
        body = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
        for token, status in (("b", 400), ("a", 202)):
            house.http.headers["authorization"] = f"Bearer {token}"
            for given in ({"artifact": made}, {"task": "x"}):
                answer = await house.post("/api/tasks", body | {"inputs": [given]})
                assert answer.status_code == status, answer.text


async def test_health_and_readiness(house: Served) -> None:
    """Both answer 200 with the version."""
    for path in ("/healthz", "/readyz"):
        answer = await house.http.get(path)
        assert answer.status_code == 200, json.dumps(answer.json())
        assert answer.json()["data"]["version"]


async def test_this_machine_is_one_origin_by_any_name(house: Served) -> None:
    """A page at 127.0.0.1 may open a socket at localhost on the same port; another port,
    or another machine, may not."""
    port = house.url.rpartition(":")[2]
    for name, status in ((f"localhost:{port}", 200), ("localhost:1", 403), ("evil.example", 403)):
        answer = await house.http.get("/api/tasks", headers={"Origin": f"http://{name}"})
        assert answer.status_code == status, name


async def _nothing_remains(house: Served) -> None:
    assert (await house.http.get("/api/tasks")).json()["data"]["tasks"] == []
    assert house.scripted.started == []
    assert house.context.orchestrator.statistics()["live"] == 0
