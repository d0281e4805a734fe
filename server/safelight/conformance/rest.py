"""Checks of plain requests: the shape of answers and of refusals."""

from __future__ import annotations

from typing import Any

import httpx2

from .checking import Nonconforming, check, expect, expect_that
from .endpoint import Endpoint, fresh

WIDE_SEED = 2**64 - 1


def _problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The refusal, held to the form of one."""
    expect(answer.status_code, status, "status")
    kind = answer.headers.get("content-type", "").partition(";")[0]
    expect(kind, "application/problem+json", "content-type")
    document: dict[str, Any] = answer.json()
    expect(document.get("success"), False, "success")
    expect(document.get("status"), status, "the document's status")
    error = document.get("error")
    if not isinstance(error, dict) or not {"code", "message", "details"} <= error.keys():
        raise Nonconforming(f"error: found {error!r}, expected code, message and details")
    expect(error["code"], code, "error.code")
    return document


async def _refused(endpoint: Endpoint, body: Any, field: str) -> None:
    answer = await endpoint.post("/api/tasks", body)
    document = _problem(answer, 400, "invalid")
    fields = [detail.get("field") for detail in document["error"]["details"]]
    expect_that(field in fields, f"details name the field {field}", fields)


@check("REST")
async def health(endpoint: Endpoint) -> None:
    """GET /healthz and /readyz answer 200 in the shape of every answer."""
    for path in ("/healthz", "/readyz"):
        answer = await endpoint.get(path)
        expect(answer.status_code, 200, path)
        expect(answer.json()["success"], True, "success")


@check("Creating is attaching")
async def create(endpoint: Endpoint) -> None:
    """A new task is 202 with task_id, status and progress, and has a Location."""
    answer = await endpoint.post("/api/tasks", endpoint.body())
    expect(answer.status_code, 202, "status")
    body = answer.json()
    expect(body["success"], True, "success")
    expect_that(isinstance(body["message"], str), "message is a string")
    data = body["data"]
    expect_that({"task_id", "status", "progress"} <= data.keys(), "data has its fields", data)
    expect(data["created"], True, "created")
    expect(answer.headers.get("location"), f"/api/tasks/{data['task_id']}", "Location")


@check("Creating is attaching")
async def apps_form(endpoint: Endpoint) -> None:
    """The deployed app's body is taken; a type that is not known means text."""
    body = {"input_data": {"type": "poem", "prompt": f"of conformance {fresh()}"}}
    answer = await endpoint.post("/api/tasks", body)
    expect(answer.status_code, 202, "status")
    expect(answer.json()["data"]["kind"], "text", "kind")


@check("REST")
async def show(endpoint: Endpoint) -> None:
    """GET /api/tasks/{id} tells the task with a cursor of the form <log>-<seq>."""
    made = await endpoint.create()
    answer = await endpoint.get(f"/api/tasks/{made['task_id']}")
    expect(answer.status_code, 200, "status")
    data = answer.json()["data"]
    expect(data["task_id"], made["task_id"], "task_id")
    expect(data["cursor"], f"{data['log']}-{data['seq']}", "cursor")


@check("REST")
async def unknown_task(endpoint: Endpoint) -> None:
    """A task that is not there is 404, in the app's words."""
    _problem(await endpoint.get(f"/api/tasks/{fresh()}"), 404, "NOT_FOUND")


@check("REST")
async def not_json(endpoint: Endpoint) -> None:
    """A body that is no JSON is 400 and names the body."""
    await _refused(endpoint, b"{never", "body")


@check("REST")
async def unknown_field(endpoint: Endpoint) -> None:
    """A native body refuses a field that is not known, and names it."""
    await _refused(endpoint, endpoint.body(colour="red"), "colour")


@check("REST")
async def missing_prompt(endpoint: Endpoint) -> None:
    """A body without a prompt is 400 and names the prompt."""
    body = endpoint.body()
    del body["prompt"]
    await _refused(endpoint, body, "prompt")


@check("Creating is attaching")
async def wrong_ids(endpoint: Endpoint) -> None:
    """Ids that are too long, odd, or name conversations are refused."""
    for id in ("a" * 65, "a b", "", "llm_1", "chat_1", "swift_1"):
        await _refused(endpoint, endpoint.body(id=id), "id")


@check("Creating is attaching")
async def seeds(endpoint: Endpoint) -> None:
    """Seeds from 0 to 2^64-1 come back exactly, above 2^53-1 as a string; -1 is refused."""
    for wrong in (-1, 2**64, 1.5):
        await _refused(endpoint, endpoint.body(seed=wrong), "seed")
    good: dict[int | str, int | str] = {0: 0, WIDE_SEED: str(WIDE_SEED), str(2**53): str(2**53)}
    for seed, told in good.items():
        made = await endpoint.create(endpoint.body(seed=seed))
        expect(made["seed"], told, f"the seed {seed}")
    made = await endpoint.create(endpoint.body(seed=None))
    expect_that(0 <= int(made["seed"]) < 2**53, "a seed that is left open is drawn", made["seed"])


@check("REST")
async def too_large(endpoint: Endpoint) -> None:
    """A body above the limit is 413, and the connection's next request is answered."""
    answer = await endpoint.post("/api/tasks", b" " * (64 * 1024 * 1024))
    _problem(answer, 413, "too_large")
    expect((await endpoint.get("/healthz")).status_code, 200, "the next request")


@check("REST")
async def pages(endpoint: Endpoint) -> None:
    """GET /api/tasks pages through the tasks, newest first, none twice."""
    made = [(await endpoint.create())["task_id"] for _ in range(3)]
    seen: list[str] = []
    before = ""
    while not set(made) <= set(seen):
        data = (await endpoint.get(f"/api/tasks?limit=2{before}")).json()["data"]
        seen += [task["task_id"] for task in data["tasks"]]
        expect_that(data["next"] is not None or set(made) <= set(seen), "pages go on", seen[-6:])
        before = f"&before={data['next']}"
    expect(len(seen), len(set(seen)), "tasks told once")
    expect([id for id in seen if id in made], made[::-1], "newest first")


@check("REST")
async def models(endpoint: Endpoint) -> None:
    """GET /api/models lists models with name, kind and label; a wrong kind is refused."""
    listed = (await endpoint.get("/api/models")).json()["data"]["models"]
    expect_that(len(listed) > 0, "there is a model")
    for model in listed:
        expect_that({"name", "kind", "label"} <= model.keys(), "a model has its fields", model)
    _problem(await endpoint.get("/api/models?kind=sculpture"), 400, "invalid")


@check("REST")
async def cancel(endpoint: Endpoint) -> None:
    """A cancel is 202 (200 after the end), repeats safely, and the task ends."""
    made = await endpoint.create()
    for _ in range(2):
        answer = await endpoint.post(f"/api/tasks/{made['task_id']}/cancel", {})
        expect_that(answer.status_code in (200, 202), "the status is 200 or 202", answer.text)
    last = await endpoint.ended(made["task_id"])
    expect_that(last["type"] in ("canceled", "completed"), "it ends", last["type"])
    expect_that("charge" in last, "its end tells the charge", last)


@check("REST")
async def delete(endpoint: Endpoint) -> None:
    """An ended task can be deleted; then it is 410, and so is its id for a new one."""
    id = f"conformance-{fresh()}"
    body = endpoint.body(id=id)
    await endpoint.create(body)
    await endpoint.ended(id)
    expect((await endpoint.ask("DELETE", f"/api/tasks/{id}")).status_code, 200, "DELETE")
    expect((await endpoint.get(f"/api/tasks/{id}")).status_code, 410, "GET after it")
    _problem(await endpoint.post("/api/tasks", body), 410, "gone")
