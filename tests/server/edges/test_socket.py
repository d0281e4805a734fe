"""The Phoenix socket, frame by frame, over a real WebSocket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import websockets

from tests.doubles.served import Served, served

TOPIC = "task:t1"
IMAGE = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
GATED = {"script": [{"do": "progress", "to": 0.5}, {"do": "wait", "gate": "end"}, {"do": "image"}]}


async def test_join_with_create_runs_to_the_end(house: Served) -> None:
    """A join with `create` makes the task; reply, status and every event follow in order."""
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, {"create": IMAGE | {"params": GATED}})
        house.scripted.gate("end").set()
        await phone.until_event("completed")
    response = reply["response"]
    assert (reply["status"], response["created"], response["gap"]) == ("ok", True, False)
    assert response["cursor"] == f"{response['log']}-{response['seq']}"
    assert phone.received[1][:4] == ["7", None, TOPIC, "status"]
    seqs = [e["seq"] for e in phone.told(TOPIC)]
    assert seqs == list(range(response["seq"] + 1, seqs[-1] + 1))


async def test_events_are_broadcasts(house: Served) -> None:
    """A task event has null refs, so that one frame serves every follower."""
    async with house.connect() as phone:
        await phone.join(TOPIC, {"create": IMAGE})
        frame = await phone.until(lambda f: f[3] == "progress")
    assert frame[:2] == [None, None]


async def test_two_sockets_and_rest_see_the_same(house: Served) -> None:
    """Whatever the door, every follower gets the same events with the same numbers."""
    async with house.connect() as one, house.connect() as two:
        await one.join(TOPIC, {"create": IMAGE | {"params": GATED}})
        await two.join(TOPIC, {"after": 0}, join_ref="9")
        house.scripted.gate("end").set()
        await one.until_event("completed")
        await two.until_event("completed")
    rest = await house.events("t1")
    assert two.told(TOPIC) == rest
    assert one.told(TOPIC) == rest[-len(one.told(TOPIC)) :]


async def test_an_unknown_task_is_not_found(house: Served) -> None:
    """Joining an unknown id without create is refused with the words the app knows."""
    async with house.connect() as phone:
        reply = await phone.join("task:none")
    assert reply["status"] == "error"
    assert reply["response"]["reason"] == "Task not found"
    assert reply["response"]["code"] == "not_found"


async def test_resume_with_a_cursor(house: Served) -> None:
    """A rejoin with `after` gets what came after it, once each, up to the end."""
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, {"create": IMAGE | {"params": GATED}})
        await phone.until_event("progress")
        cut = phone.told(TOPIC)[-1]["seq"]
    house.scripted.gate("end").set()
    rest = await house.events("t1")
    async with house.connect() as phone:
        after = f"{reply['response']['log']}-{cut}"
        again = await phone.join(TOPIC, {"after": after})
        await phone.until(lambda f: f[3] == "status")
    assert again["response"]["cursor"] == after
    assert phone.told(TOPIC) == rest[cut:]
    assert phone.received[-1][4]["result_data"]["image_url"]


async def test_an_ended_task_tells_its_end_before_its_status(house: Served) -> None:
    """Joining an ended task gives reply, terminal event with its own seq, then status."""
    await house.create(id="t1")
    end = (await house.events("t1"))[-1]
    async with house.connect() as phone:
        await phone.join(TOPIC)
        await phone.until(lambda f: f[3] == "status")
    assert [f[3] for f in phone.received] == ["phx_reply", "progress", "status"]
    assert phone.received[1][4] == end


async def test_a_gap_is_told(house: Served) -> None:
    """A cursor of an unknown log gets the snapshot and `gap: true`."""
    await house.create(id="t1")
    await house.events("t1")
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, {"after": "feedfeedfeed-1"})
    assert (reply["response"]["gap"], reply["response"]["task"]["status"]) == (True, "completed")


async def test_image_generate_attaches_on_the_tasks_channel(house: Served) -> None:
    """The deployed app's habit: POST without a model, join, then `image_generate` with one.
    It is one task, and the difference is a warning."""
    body = {"input_data": {"type": "image", "prompt": "one picture"}}
    id = (await house.post("/api/tasks", body)).json()["data"]["task_id"]
    async with house.connect() as phone:
        await phone.join(f"task:{id}")
        asked = {"prompt": "one picture", "model": "bytedance/seedream-3", "request_id": "r1"}
        reply = await phone.push(f"task:{id}", "image_generate", asked, join_ref="7")
        push = await phone.until(lambda f: f[3] == "image_response")
    assert (reply["status"], reply["response"]["attached"]) == ("ok", True)
    assert reply["response"]["warnings"][0]["field"] == "model"
    assert push[4]["success"] is True
    assert (push[4]["task_id"], push[4]["request_id"]) == (id, "r1")
    assert len(house.scripted.started) == 1


async def test_image_generate_without_a_prompt(house: Served) -> None:
    """The app gets its own code, as the push it waits for and as the reply."""
    await house.create(id="t1")
    async with house.connect() as phone:
        await phone.join(TOPIC)
        reply = await phone.push(TOPIC, "image_generate", {"prompt": " "}, join_ref="7")
        push = next(f for f in phone.received if f[3] == "image_response")
    assert reply["response"]["code"] == "missing_prompt"
    assert push[4]["error"]["code"] == "missing_prompt"


async def test_ping_comes_back_compact(house: Served) -> None:
    """`ping` is answered with its own payload, without blanks."""
    await house.create(id="t1")
    async with house.connect() as phone:
        await phone.join(TOPIC)
        await phone.connection.send('["7","8","task:t1","ping",{ "a" : [1, 2] }]')
        while True:
            data = await phone.connection.recv()
            if '"8"' in str(data):
                break
    assert data == '["7","8","task:t1","phx_reply",{"response":{"a":[1,2]},"status":"ok"}]'


async def test_cancel_from_the_channel(house: Served) -> None:
    """`cancel` is answered and the end follows as an event."""
    async with house.connect() as phone:
        await phone.join(TOPIC, {"create": IMAGE | {"params": GATED}})
        await phone.until_event("progress")
        reply = await phone.push(TOPIC, "cancel", {}, join_ref="7")
        await phone.until_event("canceled")
    assert reply["status"] == "ok"
    assert phone.told(TOPIC)[-2]["type"] == "canceling"


async def test_binary_previews_on_wish(house: Served) -> None:
    """`previews: binary` brings binary broadcasts with header and bytes; others get none."""
    script = {"script": [{"do": "preview", "step": 3}, {"do": "wait", "gate": "end"}]}
    async with house.connect() as one, house.connect() as two:
        await one.join(TOPIC, {"create": IMAGE | {"params": script}, "previews": "binary"})
        await two.join(TOPIC)
        data = await one.until(lambda f: isinstance(f, bytes))
        house.scripted.gate("end").set()
        await two.until_event("completed")
    assert data[:3] == bytes((2, len(TOPIC), len("preview")))
    payload = data[3 + len(TOPIC) + len("preview") :]
    length = int.from_bytes(payload[:4], "big")
    header = json.loads(payload[4 : 4 + length])
    assert header == {"task_id": "t1", "attempt": 1, "step": 3, "media_type": "image/png"}
    assert payload[4 + length :].startswith(b"\x89PNG")
    assert not [f for f in two.received if isinstance(f, bytes)]


async def test_previews_by_url(house: Served) -> None:
    """`previews: url` brings a small push whose address serves the picture while it runs."""
    script = {"script": [{"do": "preview", "step": 3}, {"do": "wait", "gate": "end"}]}
    async with house.connect() as phone:
        await phone.join(TOPIC, {"create": IMAGE | {"params": script}, "previews": "url"})
        push = await phone.until(lambda f: f[3] == "preview_ready")
        answer = await house.http.get(push[4]["url"])
        house.scripted.gate("end").set()
        await phone.until_event("completed")
    assert answer.content.startswith(b"\x89PNG")
    assert (await house.http.get(push[4]["url"])).status_code == 404


async def test_the_gallery_updates_itself(house: Served) -> None:
    """`tasks:mine` gives the newest tasks and a position, then each change as a snapshot."""
    await house.create(id="old")
    await house.events("old")
    async with house.connect() as phone:
        reply = await phone.join("tasks:mine")
        await house.create(id="new")
        await phone.until(lambda f: f[3] == "task" and f[4]["task"]["status"] == "completed")
        await house.http.delete("/api/tasks/old")
        gone = await phone.until(lambda f: f[3] == "task_deleted")
    assert [t["task_id"] for t in reply["response"]["tasks"]] == ["old"]
    assert gone[4]["task_id"] == "old"
    positions = [f[4]["position"] for f in phone.received[1:]]
    assert positions == sorted(set(positions))
    assert positions[0] > reply["response"]["position"]


async def test_the_gallery_resumes_from_its_position(house: Served) -> None:
    """A rejoin with position and log gets only what changed since; a foreign log, all."""
    await house.create(id="one")
    await house.events("one")
    async with house.connect() as phone:
        first = (await phone.join("tasks:mine"))["response"]
    await house.create(id="two")
    await house.events("two")
    async with house.connect() as phone:
        resumed = {"after": first["position"], "log": first["log"]}
        reply = (await phone.join("tasks:mine", resumed))["response"]
        change = await phone.until(lambda f: f[3] == "task")
    async with house.connect() as phone:
        foreign = {"after": first["position"], "log": "feedfeedfeed"}
        other = (await phone.join("tasks:mine", foreign))["response"]
    assert (reply["tasks"], reply["gap"], change[4]["task"]["task_id"]) == ([], False, "two")
    assert (len(other["tasks"]), other["gap"]) == (2, True)


async def test_a_duplicate_join_closes_the_first(house: Served) -> None:
    """Wire order: reply to the new join, phx_close of the old one, then pushes."""
    await house.create(id="t1", params=GATED)
    async with house.connect() as phone:
        await phone.join(TOPIC, join_ref="7")
        await phone.until(lambda f: f[3] == "status")
        before = len(phone.received)
        await phone.join(TOPIC, join_ref="9")
        await phone.until(lambda f: f[3] == "status")
        house.scripted.gate("end").set()
        await phone.until_event("completed")
    kinds = [(f[0], f[3]) for f in phone.received if f[3] in ("phx_reply", "phx_close", "status")]
    assert kinds[2:] == [("9", "phx_reply"), ("7", "phx_close"), ("9", "status")]
    seqs = [e["seq"] for e in phone.told(TOPIC)]
    assert seqs == sorted(set(seqs)), before


async def test_nothing_comes_after_a_leave(house: Served) -> None:
    """Reply, phx_close, then silence on that topic, whatever the task does."""
    await house.create(id="t1", params=GATED)
    async with house.connect() as phone:
        await phone.join(TOPIC)
        await phone.push(TOPIC, "phx_leave", {}, join_ref="7")
        house.scripted.gate("end").set()
        await house.events("t1")
        await phone.push("phoenix", "heartbeat", {})
        after = phone.received[[f[3] for f in phone.received].index("phx_close") + 1 :]
    assert [f[2] for f in after] == ["phoenix"]


@pytest.mark.parametrize(
    "frame", ["{}", "[1,2]", "nonsense", '["1","2","task:t1","ping"]', b"\x09junk"]
)
async def test_what_is_no_frame_ends_the_socket_with_a_reason(
    house: Served, frame: str | bytes
) -> None:
    """A frame without a ref cannot be answered: 1011 and words, and the server goes on."""
    async with house.connect() as phone:
        await phone.connection.send(frame)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await phone.receive()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, bool(closed.value.rcvd.reason)) == (1011, True)
    assert (await house.http.get("/readyz")).status_code == 200


@pytest.mark.parametrize("payload", [[], "x", None, 5])
async def test_a_payload_that_is_no_object_is_answered(house: Served, payload: object) -> None:
    """It gets an error reply naming the payload; the socket stays."""
    async with house.connect() as phone:
        await phone.send("1", "2", TOPIC, "phx_join", payload)
        reply = (await phone.receive())[4]
        assert reply["response"]["details"][0]["field"] == "payload"
        beat = await phone.push("phoenix", "heartbeat", {})
    assert (reply["status"], beat["status"]) == ("error", "ok")


@pytest.mark.parametrize(
    ("create", "field"),
    [
        ({"kind": "image"}, "create.prompt"),
        (IMAGE | {"seed": -1}, "create.seed"),
        (IMAGE | {"sed": 1}, "create.sed"),
        (IMAGE | {"id": "other"}, "create.id"),
        ("x", "create"),
    ],
)
async def test_a_bad_create_is_refused_by_field(house: Served, create: object, field: str) -> None:
    """A join with a bad create is an error reply naming the field, and makes nothing."""
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, {"create": create})
    assert reply["status"] == "error"
    assert reply["response"]["details"][0]["field"] == field
    assert (await house.http.get("/api/tasks/t1")).status_code == 404


async def test_a_frame_too_large_is_1009(house: Served) -> None:
    """A frame above the limit closes with 1009 and a reason."""
    async with house.connect() as phone:
        await phone.connection.send("x" * (house.context.settings.max_frame_bytes + 1))
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await phone.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_the_old_version_speaks_objects(house: Served) -> None:
    """vsn 1.0.0, or none, gets V1 frames."""
    await house.create(id="t1")
    async with house.connect("") as phone:
        join = {"topic": TOPIC, "event": "phx_join", "payload": {}, "ref": "1"}
        await phone.connection.send(json.dumps(join))
        reply = await phone.receive()
    assert (reply["event"], reply["ref"], reply["payload"]["status"]) == ("phx_reply", "1", "ok")


@pytest.mark.parametrize("query", ["vsn=3.0.0", "vsn=abc"])
async def test_unknown_versions_are_refused(house: Served, query: str) -> None:
    """Another vsn is answered 403 before the socket opens."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with house.connect(query):
            pass
    assert refused.value.response.status_code == 403


async def test_tokens_and_owners(tmp_path: Path) -> None:
    """With tokens a socket and a request need one, and see only their owner's tasks."""
    tokens = {"secret-a": "ann", "secret-b": "bob"}
    async with served(tmp_path, tokens=tokens) as house:
        assert (await house.http.get("/api/tasks")).status_code == 401
        with pytest.raises(websockets.InvalidStatus):
            async with house.connect():
                pass
        ann = {"authorization": "Bearer secret-a"}
        await house.post("/api/tasks", IMAGE | {"id": "t1"}, **ann)
        bob = {"Authorization": "Bearer secret-b"}
        assert (await house.http.get("/api/tasks/t1", headers=bob)).status_code == 404
        async with house.connect("vsn=2.0.0&token=secret-b") as phone:
            assert (await phone.join(TOPIC))["response"]["reason"] == "Task not found"
        async with house.connect("vsn=2.0.0&token=secret-a") as phone:
            assert (await phone.join(TOPIC))["status"] == "ok"
        offered = ["phoenix", "base64url.bearer.phx.c2VjcmV0LWE"]
        async with house.connect(subprotocols=offered) as phone:
            assert phone.connection.subprotocol == "phoenix"
            assert (await phone.join(TOPIC))["status"] == "ok"
