"""Checks of tasks on channels: create, follow, resume, and what the deployed app does."""

from __future__ import annotations

from typing import Any

import msgspec

from .checking import NotOffered, check, expect, expect_that
from .endpoint import PROGRESS, TERMINAL, Endpoint, Frame, fresh
from .streams import expect_whole

SECTION = "task:<id>: one task"
APP = "The deployed app"


@check(SECTION)
async def create_by_joining(endpoint: Endpoint) -> None:
    """A join with `create` makes the task: the reply, one `status`, then every event."""
    id = f"conformance-{fresh()}"
    topic = f"task:{id}"
    async with endpoint.line() as line:
        reply = await line.join(topic, {"create": endpoint.body(), "after": 0})
        expect(reply.payload["status"], "ok", "status")
        expect(reply.response["created"], True, "created")
        expect(reply.response["task"]["task_id"], id, "the snapshot's task_id")
        told = await line.until_end(topic)
        expect_whole([_seen(frame) for frame in told])
        expect_that(line.received[0] is reply, "the reply is the first frame of the topic")
        pushes = [f for f in line.texts(topic) if f.event == "status"]
        expect(len(pushes), 1, "status pushes")


@check(SECTION)
async def one_frame_for_all(endpoint: Endpoint) -> None:
    """Events are broadcasts with a null join_ref, the same bytes for every follower."""
    id = (await endpoint.create())["task_id"]
    async with endpoint.line() as one, endpoint.line() as other:
        told = []
        for line, ref in ((one, "1"), (other, "2")):
            await line.join(f"task:{id}", {"after": 0}, join_ref=ref)
            frames = await line.until_end(f"task:{id}")
            expect({(f.join_ref, f.ref) for f in frames}, {(None, None)}, "refs of events")
            told.append({f.payload["seq"]: f.raw for f in frames if "from_seq" not in f.payload})
        for seq in told[0].keys() & told[1].keys():
            expect(told[0][seq], told[1][seq], f"the frame of seq {seq}")


@check(SECTION)
async def join_without_a_cursor(endpoint: Endpoint) -> None:
    """A join without a cursor goes on where its snapshot ends: the next event is seq + 1."""
    made = await endpoint.create(endpoint.slow_body())
    topic = f"task:{made['task_id']}"
    async with endpoint.line() as line:
        response = (await line.join(topic)).response
        seq = response["task"]["seq"]
        expect(response["seq"], seq, "seq beside a snapshot of that seq")
        expect(response["cursor"], f"{response['log']}-{seq}", "cursor beside that snapshot")
        if response["task"]["status"] not in TERMINAL:
            await line.send("7", "8", topic, "cancel", {})
            seq += 1
        told = await line.until_end(topic)
        expect(_first(told[0]), seq, "the first seq that was told")


@check(SECTION)
async def resume(endpoint: Endpoint) -> None:
    """A join with a cursor gets the events after it and no other, and no gap."""
    made = await endpoint.create()
    topic = f"task:{made['task_id']}"
    last = await endpoint.ended(made["task_id"])
    async with endpoint.line() as line:
        reply = await line.join(topic, {"after": f"{made['log']}-1"})
        expect(reply.response["gap"], False, "gap")
        expect(reply.response["cursor"], f"{made['log']}-1", "cursor")
        told = await line.until_end(topic)
        expect(_first(told[0]), 2, "the first seq")
        expect(told[-1].payload["seq"], last["seq"], "the last seq")


@check(SECTION)
async def gap(endpoint: Endpoint) -> None:
    """A cursor of another log, or from the future, gets a snapshot and `gap: true`."""
    made = await endpoint.create()
    topic = f"task:{made['task_id']}"
    await endpoint.ended(made["task_id"])
    async with endpoint.line() as line:
        for after in ("nosuchlog-1", f"{made['log']}-99999", 1):
            reply = await line.join(topic, {"after": after})
            expect(reply.payload["status"], "ok", f"status with after {after}")
            expect(reply.response["gap"], True, f"gap with after {after}")


@check(SECTION)
async def ended_task(endpoint: Endpoint) -> None:
    """A task that has ended is told by its terminal `progress`, then `status` with the result."""
    made = await endpoint.create()
    topic = f"task:{made['task_id']}"
    last = await endpoint.ended(made["task_id"])
    async with endpoint.line() as line:
        await line.join(topic)
        status = await line.until(lambda f: f.event == "status")
        told = [f for f in line.texts(topic) if f.event == PROGRESS]
        expect([f.payload for f in told], [last], "the terminal event")
        expect(status.payload["status"], last["status"], "status")
        expect(status.payload.get("result_data"), last.get("result_data"), "result_data")


@check(SECTION)
async def every_door_tells_the_same(endpoint: Endpoint) -> None:
    """The socket and the long-poll tell the same events of a task."""
    id = (await endpoint.create())["task_id"]
    await endpoint.ended(id)
    async with endpoint.line() as line:
        await line.join(f"task:{id}", {"after": 0})
        told = [f.payload for f in await line.until_end(f"task:{id}")]
    answer = await endpoint.get(f"/api/tasks/{id}/events?after=0&wait=0")
    by_seq = {event["seq"]: event for event in answer.json()["data"]["events"]}
    for event in told:
        if "from_seq" not in event:
            expect(event, by_seq[event["seq"]], f"event {event['seq']}")


@check(SECTION)
async def version_one(endpoint: Endpoint) -> None:
    """A V1 client follows a task to its end and is never sent a binary frame."""
    id = f"conformance-{fresh()}"
    async with endpoint.line(vsn="1.0.0") as line:
        await line.join(f"task:{id}", {"create": endpoint.body(), "previews": "binary", "after": 0})
        told = await line.until_end(f"task:{id}")
        expect_whole([_seen(frame) for frame in told])
        kinds = {type(frame) for frame in line.received}
        expect_that(bytes not in kinds, "no binary frame came")


@check(SECTION)
async def cancel(endpoint: Endpoint) -> None:
    """`cancel` is answered with the snapshot; a task that runs then ends as canceled."""
    id = f"conformance-{fresh()}"
    async with endpoint.line() as line:
        await line.join(f"task:{id}", {"create": endpoint.slow_body(), "after": 0})
        await line.until(lambda f: f.event == PROGRESS and f.payload["type"] != "queued")
        reply = await line.push("7", f"task:{id}", "cancel", {})
        expect(reply.payload["status"], "ok", "status")
        expect(reply.response["task_id"], id, "task_id")
    last = await endpoint.ended(id)
    if endpoint.runs_on or last["type"] != "completed":
        expect(last["type"], "canceled", "the end")


@check(APP)
async def push_on_the_tasks_channel(endpoint: Endpoint) -> None:
    """POST, join, then `llm_generate` with the same prompt on that channel is one task."""
    prompt = f"of conformance {fresh()}"
    posted = await endpoint.create({"input_data": {"type": "text", "prompt": prompt}})
    topic = f"task:{posted['task_id']}"
    async with endpoint.line() as line:
        await line.join(topic)
        reply = await line.push("7", topic, "llm_generate", {"prompt": prompt})
        expect(reply.payload["status"], "ok", "status")
        expect(reply.response["task_id"], posted["task_id"], "task_id")
        expect(reply.response["attached"], True, "attached")


@check(APP)
async def conversation(endpoint: Endpoint) -> None:
    """A conversation exists without a task; each `llm_generate` on it is answered once."""
    topic, asked = f"task:chat_{fresh()}", fresh()
    async with endpoint.line() as line:
        reply = await line.join(topic)
        expect(reply.payload["status"], "ok", "status of the join")
        payload = {"prompt": f"of conformance {fresh()}", "request_id": asked}
        reply = await line.push("7", topic, "llm_generate", payload)
        expect(reply.payload["status"], "ok", "status of the push")
        response = await line.until(lambda f: f.event == "llm_response")
        expect(response.payload["success"], True, "success")
        expect(response.payload["request_id"], asked, "request_id")
        expect_that(bool(response.payload["content"]), "the content came", response.payload)


@check(APP)
async def response_before_the_end(endpoint: Endpoint) -> None:
    """Joined with `events: true`, a conversation tells one `llm_response`, before the end."""
    topic = f"task:chat_{fresh()}"
    async with endpoint.line() as line:
        await line.join(topic, {"events": True})
        await line.push("7", topic, "llm_generate", {"prompt": f"of conformance {fresh()}"})
        await line.until_end(topic)
        before = [f.event for f in line.texts(topic)].count("llm_response")
        expect(before, 1, "llm_response before the terminal event")
        await line.push("7", topic, "ping", {})
        after = [f.event for f in line.texts(topic)].count("llm_response")
        expect(after, 1, "llm_response in all")


@check(APP)
async def missing_prompt(endpoint: Endpoint) -> None:
    """A push without a prompt is told by the app's own code, as a push and as a reply."""
    topic = f"task:chat_{fresh()}"
    async with endpoint.line() as line:
        await line.join(topic)
        await line.send("7", "8", topic, "image_generate", {"prompt": " "})
        frames = [await line.until(lambda f: f.topic == topic) for _ in range(2)]
        by_event = {frame.event: frame.payload for frame in frames}
        expect(set(by_event), {"image_response", "phx_reply"}, "the frames")
        expect(by_event["image_response"]["error"]["code"], "missing_prompt", "the code")
        expect(by_event["phx_reply"]["status"], "error", "status of the reply")


@check("tasks:mine: all tasks of an owner")
async def gallery(endpoint: Endpoint) -> None:
    """`tasks:mine` lists the newest tasks with a position and tells those that change."""
    before = (await endpoint.create())["task_id"]
    async with endpoint.line() as line:
        reply = await line.join("tasks:mine", {"limit": 5})
        expect(reply.payload["status"], "ok", "status")
        listed = [task["task_id"] for task in reply.response["tasks"]]
        expect_that(before in listed, "the task is listed", listed)
        expect_that(isinstance(reply.response["position"], int), "there is a position")
        id = (await endpoint.create())["task_id"]
        await line.until(lambda f: f.event == "task" and _ended(f, id))


@check("The socket")
async def long_poll_transport(endpoint: Endpoint) -> None:
    """/socket/longpoll opens a session, takes frames by POST and gives them by GET."""
    opened = await endpoint.get("/socket/longpoll?vsn=2.0.0")
    if opened.status_code == 404:
        raise NotOffered("/socket/longpoll is 404")
    expect(opened.json()["status"], 410, "status of a new session")
    address = f"/socket/longpoll?vsn=2.0.0&token={opened.json()['token']}"
    beat = b'[null,"1","phoenix","heartbeat",{}]\n'
    posted = await endpoint.post(address, beat, content_type="application/x-ndjson")
    expect(posted.json()["status"], 200, "status of the POST")
    polled = (await endpoint.get(address)).json()
    expect(polled["status"], 200, "status of the GET")
    told = [msgspec.json.decode(message) for message in polled["messages"]]
    wanted = [None, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]
    expect(told, [wanted], "messages")


def _seen(frame: Frame) -> dict[str, Any]:
    event: dict[str, Any] = frame.payload
    expect_that("from_seq" not in event, "a reader that keeps up is told every event", event)
    return event


def _first(frame: Frame) -> Any:
    """The first seq that a frame tells; a folded one tells several."""
    return frame.payload.get("from_seq", frame.payload["seq"])


def _ended(frame: Frame, id: str) -> bool:
    task = frame.payload["task"]
    return bool(task["task_id"] == id and task["status"] in TERMINAL)
