"""Checks of identity: one request is one task, whatever is repeated."""

from __future__ import annotations

from typing import Any

import anyio

from .checking import NotOffered, check, expect, expect_that
from .endpoint import Endpoint, fresh

SECTION = "Creating is attaching"


@check(SECTION)
async def same_key(endpoint: Endpoint) -> None:
    """The same request under one Idempotency-Key is one task, also after its end."""
    body, key = endpoint.body(), fresh()
    first = await endpoint.create(body, idempotency_key=key)
    await endpoint.ended(first["task_id"])
    answer = await endpoint.post("/api/tasks", body, idempotency_key=key)
    expect(answer.status_code, 200, "status")
    expect(answer.json()["data"]["task_id"], first["task_id"], "task_id")


@check(SECTION)
async def key_in_the_body(endpoint: Endpoint) -> None:
    """`request_id` is a key like the header."""
    body = endpoint.body(request_id=fresh())
    first, again = await endpoint.create(body), await endpoint.create(body)
    expect(again["task_id"], first["task_id"], "task_id")


@check(SECTION)
async def another_request_under_a_key(endpoint: Endpoint) -> None:
    """Another request under a used key is 422 key_reused and names the first task."""
    key = fresh()
    first = await endpoint.create(endpoint.body(), idempotency_key=key)
    answer = await endpoint.post("/api/tasks", endpoint.body(), idempotency_key=key)
    expect(answer.status_code, 422, "status")
    expect(answer.json()["error"]["code"], "key_reused", "error.code")
    expect(answer.json().get("task_id"), first["task_id"], "task_id")


@check(SECTION)
async def same_id(endpoint: Endpoint) -> None:
    """The same request under one id attaches with 200."""
    body = endpoint.body(id=f"conformance-{fresh()}")
    await endpoint.create(body)
    answer = await endpoint.post("/api/tasks", body)
    expect(answer.status_code, 200, "status")
    expect(answer.json()["data"]["attached"], True, "attached")


@check(SECTION)
async def another_request_under_an_id(endpoint: Endpoint) -> None:
    """Another request under a used id is 409 id_conflict and says what differs."""
    body = endpoint.body(id=f"conformance-{fresh()}")
    await endpoint.create(body)
    answer = await endpoint.post("/api/tasks", body | {"prompt": "something else"})
    expect(answer.status_code, 409, "status")
    expect(answer.json()["error"]["code"], "id_conflict", "error.code")
    fields = [detail["field"] for detail in answer.json()["error"]["details"]]
    expect(fields, ["prompt"], "the fields that differ")


@check(SECTION)
async def a_fresh_key_is_a_new_task(endpoint: Endpoint) -> None:
    """An equal request under a fresh key is a task of its own."""
    body = endpoint.body()
    first = await endpoint.create(body, idempotency_key=fresh())
    second = await endpoint.create(body, idempotency_key=fresh())
    expect_that(first["task_id"] != second["task_id"], "two keys are two tasks")


@check(SECTION)
async def reuse_of_a_result(endpoint: Endpoint) -> None:
    """`reuse: completed` attaches to a completed task that is alike; `never` makes one."""
    body = endpoint.body()
    first = await endpoint.create(body)
    last = await endpoint.ended(first["task_id"])
    expect(last["type"], "completed", "the end of the first")
    again = await endpoint.create(body | {"reuse": "completed"})
    expect(again["task_id"], first["task_id"], "with reuse: completed")
    other = await endpoint.create(body | {"reuse": "never"})
    expect_that(other["task_id"] != first["task_id"], "reuse: never makes a task")


@check(SECTION)
async def alike_while_one_runs(endpoint: Endpoint) -> None:
    """An equal request without id and key attaches to the task that runs, with 200."""
    body = endpoint.slow_body()
    first = await endpoint.create(body)
    answer = await endpoint.post("/api/tasks", body)
    data = answer.json()["data"]
    if not endpoint.runs_on and data["task_id"] != first["task_id"]:
        await endpoint.ended(first["task_id"])
        raise NotOffered("no parameter makes a task run on, and the first had ended")
    expect(data["task_id"], first["task_id"], "task_id")
    expect(answer.status_code, 200, "status")
    expect(data["attached"], True, "attached")


@check(SECTION)
async def creators_in_one_instant(endpoint: Endpoint) -> None:
    """Twenty creators in one instant with one key get one task, and none an error."""
    body, key = endpoint.body(), fresh()
    answers: list[Any] = []

    async def one() -> None:
        answers.append(await endpoint.post("/api/tasks", body, idempotency_key=key))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(one)
    statuses = sorted(answer.status_code for answer in answers)
    expect(statuses, [200] * 19 + [202], "statuses")
    expect(len({answer.json()["data"]["task_id"] for answer in answers}), 1, "tasks")


@check(SECTION)
async def one_task_through_every_door(endpoint: Endpoint) -> None:
    """A task made over REST is the one that a join with the same `create` attaches to."""
    id = f"conformance-{fresh()}"
    body = endpoint.body(id=id)
    await endpoint.create(body)
    async with endpoint.line() as line:
        reply = await line.join(f"task:{id}", {"create": body})
        expect(reply.payload["status"], "ok", "status of the reply")
        expect(reply.response["created"], False, "created")
        expect(reply.response["attached"], True, "attached")


@check("REST")
async def batch(endpoint: Endpoint) -> None:
    """Each item of POST /api/tasks:batch has a verdict of its own, in order."""
    key = fresh()
    body = {"tasks": [endpoint.body(), endpoint.body(seed=-1), endpoint.body()]}
    answer = await endpoint.post("/api/tasks:batch", body, idempotency_key=key)
    if answer.status_code == 404:
        raise NotOffered("POST /api/tasks:batch is 404")
    verdicts = answer.json()["data"]["results"]
    expect([item["status"] for item in verdicts], [202, 400, 202], "statuses")
    again = (await endpoint.post("/api/tasks:batch", body, idempotency_key=key)).json()
    statuses = [item["status"] for item in again["data"]["results"]]
    expect(statuses, [200, 400, 200], "statuses of the same batch again")


@check("REST")
async def one_id_within_a_batch(endpoint: Endpoint) -> None:
    """Of several items with one id the earlier makes the task; what is equal attaches."""
    body = endpoint.body(id=f"conformance-{fresh()}")
    tasks = [endpoint.body(), body, body | {"prompt": "something else"}, body]
    answer = await endpoint.post("/api/tasks:batch", {"tasks": tasks})
    if answer.status_code == 404:
        raise NotOffered("POST /api/tasks:batch is 404")
    rows = answer.json()["data"]["results"]
    expect([row["index"] for row in rows], [0, 1, 2, 3], "the order")
    expect([row["status"] for row in rows], [202, 202, 409, 200], "statuses")
    expect([rows[n]["data"]["task_id"] for n in (1, 3)], [body["id"]] * 2, "task_ids")
    expect(rows[2]["problem"]["code"], "id_conflict", "code")
