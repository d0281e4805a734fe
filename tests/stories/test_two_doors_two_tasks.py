"""Two doors, two tasks.

What was wrong: `POST /api/tasks` made a task with no model, which failed; the app then
joined that task's channel and pushed `image_generate` there with a model, which made a
second task, which succeeded. Both spoke on the one channel.
How it was reached: by the app's normal traffic, every time.
What it looked like: the phone showed "failed" and "success" for one picture, and which
of them stayed was chance. A lost answer made it three tasks, since the app posts again.

Played by the deployed app (deployed_app.py) against a running server.
"""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.doubles.served import Served
from tests.stories.bad_network import bad_network
from tests.stories.deployed_app import PUSHES, RESPONSES, TERMINAL, DeployedApp, deployed_app

HANG = {"script": [{"do": "wait", "gate": "end"}]}

NAMED = {"image": "bytedance/seedream-3", "video": "kwaivgi/kling-v2.1", "text": "gpt-4.1"}
DEFAULTS = {
    "image": "google/imagen-4-fast",
    "video": "bytedance/seedance-1-pro",
    "text": "gemini-2.5-flash-lite",
}
ALIASES = {
    "google/imagen-4-fast": "image",
    "bytedance/seedream-3": "image",
    "bytedance/seedance-1-pro": "video",
    "bytedance/seedance-1-lite": "video",
    "kwaivgi/kling-v2.1": "video",
    "gemini-2.5-flash-lite": "text",
    "gemini-2.5-pro": "text",
    "gpt-4.1": "text",
    "claude-sonnet-4-20250514": "text",
}
"""Every model that the app names; see facts of the app in docs/wire.md."""


async def tasks_of(house: Served) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await house.http.get("/api/tasks")).json()["data"]["tasks"]
    return listed


@pytest.mark.parametrize("kind", ["image", "video", "text"])
async def test_post_join_and_generate_are_one_task(
    house: Served, app: DeployedApp, kind: str
) -> None:
    """The app's own sequence, POST without a model, join, push with one, is one task with
    one ending, one run and one result."""
    made = await app.submit(kind, "a medieval monk", **HANG)
    topic = f"task:{made['task_id']}"
    assert (await app.join(topic))["status"] == "ok"
    wanted = {"prompt": "a medieval monk", "model": NAMED[kind], "request_id": "r-1", **HANG}
    reply = await app.push(topic, PUSHES[kind], wanted)
    assert (reply["status"], reply["response"]["attached"]) == ("ok", True)
    house.scripted.gate("end").set()
    screen = await app.watch_to_the_end(topic)
    assert screen.endings == {"completed"}
    assert screen.tasks == {made["task_id"]}
    assert screen.statuses.count("completed") == 1
    assert len(await tasks_of(house)) == len(house.scripted.started) == 1
    assert (await app.show(made["task_id"]))["result_data"] == screen.result


@pytest.mark.parametrize("kind", ["image", "video", "text"])
async def test_the_push_is_answered_as_the_app_expects(
    house: Served, app: DeployedApp, kind: str
) -> None:
    """The response push names the task and the request, once; for a text it is the text,
    and it comes before the terminal word at which the app leaves."""
    made = await app.submit(kind, "a haiku")
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    await app.push(topic, PUSHES[kind], {"prompt": "a haiku", "request_id": "r-1"})
    response = await app.hear(topic, RESPONSES[kind])
    told = (response["success"], response["task_id"], response["request_id"])
    assert told == (True, made["task_id"], "r-1")
    assert response["timestamp"].endswith("Z") and response["model"]
    if kind == "text":
        assert (response["content"], response["provider"]) == ("a haiku", "scripted")
        assert response["generation_id"]


async def test_a_text_is_there_before_the_word_at_which_the_app_leaves(
    house: Served, app: DeployedApp
) -> None:
    """While the app watches, `llm_response` with the content precedes `completed`."""
    made = await app.submit("text", "a haiku", **HANG)
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    await app.push(topic, "llm_generate", {"prompt": "a haiku", "request_id": "r", **HANG})
    house.scripted.gate("end").set()
    screen = await app.watch_to_the_end(topic)
    heard = [event for event, p in screen.heard if event == "llm_response" or "result_data" in p]
    assert heard[0] == "llm_response"


async def test_a_model_left_open_never_conflicts(app: DeployedApp) -> None:
    """What the POST left open and the push names is no conflict, and is told as such."""
    made = await app.submit("image", "a monk", **HANG)
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    wanted = {"prompt": "a monk", "model": "bytedance/seedream-3", "aspect_ratio": "16:9", **HANG}
    reply = await app.push(topic, "image_generate", wanted)
    different = {w["field"]: (w["asked"], w["has"]) for w in reply["response"]["warnings"]}
    assert different["model"] == ("bytedance/seedream-3", "google/imagen-4-fast")


async def test_what_the_push_leaves_open_never_conflicts(app: DeployedApp) -> None:
    """A POST that chose model, ratio and seed, and a push that says no more than the prompt,
    are one task with what the POST chose; only what the push names can conflict."""
    chosen = {"model": "bytedance/seedream-3", "aspect_ratio": "16:9", "seed": 7, **HANG}
    made = await app.submit("image", "a monk", **chosen)
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    reply = await app.push(topic, "image_generate", {"prompt": "a monk", "request_id": "r"})
    assert (reply["status"], reply["response"]["attached"]) == ("ok", True)
    assert (await app.hear(topic, "image_response"))["success"] is True
    reply = await app.push(topic, "image_generate", {"prompt": "a monk", "aspect_ratio": "1:1"})
    assert [detail["field"] for detail in reply["response"]["details"]] == ["params.aspect_ratio"]


async def test_another_request_on_the_channel_is_refused_and_harms_nothing(
    house: Served, app: DeployedApp
) -> None:
    """Another prompt or kind on a task's channel makes no second task: it is refused with
    what differs, and the task of the channel goes on to its one end."""
    made = await app.submit("image", "a monk", **HANG)
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    for event, prompt, field in (
        ("image_generate", "a nun", "prompt"),
        ("video_generate", "a monk", "kind"),
    ):
        reply = await app.push(topic, event, {"prompt": prompt, **HANG})
        assert (reply["status"], reply["response"]["code"]) == ("error", "id_conflict")
        assert field in [detail["field"] for detail in reply["response"]["details"]]
    refused = await app.hear(topic, "image_response")
    assert (refused["success"], refused["error"]["code"]) == (False, "task_creation_failed")
    house.scripted.gate("end").set()
    screen = await app.watch_to_the_end(topic)
    assert screen.statuses[-1] == "completed" and "failed" not in screen.statuses
    assert len(await tasks_of(house)) == 1


async def test_a_failure_is_the_only_story_of_its_channel(app: DeployedApp) -> None:
    """When the one task fails, POST, channel and a push afterwards all say so; no second
    task brings a success."""
    fails = {"script": [{"do": "never", "message": "the model said no"}]}
    made = await app.submit("image", "a monk", **fails)
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    screen = await app.watch_to_the_end(topic)
    assert screen.endings == {"failed"}
    await app.join(topic)
    reply = await app.push(topic, "image_generate", {"prompt": "a monk", **fails})
    assert reply["response"]["status"] == "failed"
    again = await app.watch_to_the_end(topic)
    assert again.endings == {"failed"} and again.tasks == {made["task_id"]}
    error = [p["error_data"]["error"] for _, p in again.heard if p.get("error_data")]
    assert set(error) == {"the model said no"}


@pytest.mark.parametrize("key", ["a-key", None])
async def test_a_post_repeated_for_a_lost_answer_is_one_task(
    house: Served, key: str | None
) -> None:
    """Three answers are lost on the way back and the app posts a fourth time, with its key
    or without: it is one task and one run."""
    async with bad_network(house.url) as network, deployed_app(house.url, network.url) as app:
        network.loses = 3
        made = await app.submit("image", "a monk", key=key, **HANG)
        assert (app.posts, network.lost) == (4, 3)
        assert made["attached"] is True
        house.scripted.gate("end").set()
        await app.join(f"task:{made['task_id']}")
        screen = await app.watch_to_the_end(f"task:{made['task_id']}")
        assert screen.endings == {"completed"}
    assert len(await tasks_of(house)) == len(house.scripted.started) == 1


async def test_a_keyed_post_repeated_after_the_end_gets_the_result(
    house: Served, app: DeployedApp
) -> None:
    """A key that was seen before answers with the existing task and its result, and the
    message says that it does."""
    first = await app.submit("image", "a monk", key="k")
    await app.join(f"task:{first['task_id']}")
    await app.watch_to_the_end(f"task:{first['task_id']}")
    body = {"input_data": {"type": "image", "prompt": "a monk"}}
    answer = await house.post("/api/tasks", body, idempotency_key="k")
    data = answer.json()["data"]
    assert (answer.status_code, data["task_id"]) == (200, first["task_id"])
    assert data["result_data"]["image_url"]
    assert "existing task" in answer.json()["message"].lower()


async def test_a_push_before_the_joins_reply_attaches(app: DeployedApp) -> None:
    """The app may push at once behind its join, without waiting: both are answered, in
    their order, and the push attaches."""
    made = await app.submit("image", "a monk")
    topic = f"task:{made['task_id']}"
    joined = await app.send_join(topic)
    pushed = await app.send_push(topic, "image_generate", {"prompt": "a monk"})
    assert (await app.reply(joined))["status"] == "ok"
    assert (await app.reply(pushed))["response"]["task_id"] == made["task_id"]
    assert (await app.watch_to_the_end(topic)).endings == {"completed"}


async def test_a_push_before_any_join_makes_nothing(house: Served, app: DeployedApp) -> None:
    """A push on a channel that was never joined is answered as such, and is no task."""
    reply = await app.push("task:nobody", "image_generate", {"prompt": "a monk"})
    assert (reply["status"], reply["response"]["reason"]) == ("error", "unmatched topic")
    assert await tasks_of(house) == []


async def test_a_channel_without_a_task_answers_as_the_old_server_did(
    house: Served, app: DeployedApp
) -> None:
    """Joining an unknown id is refused in the old words, and the socket serves on."""
    reply = await app.join("task:nobody-knows")
    assert (reply["status"], reply["response"]["reason"]) == ("error", "Task not found")
    answer = await house.http.get("/api/tasks/nobody-knows")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    made = await app.submit("image", "a monk")
    assert (await app.join(f"task:{made['task_id']}"))["status"] == "ok"


@pytest.mark.parametrize("prefix", ["llm_", "chat_", "swift_"])
async def test_a_conversation_makes_tasks_of_their_own(
    house: Served, app: DeployedApp, prefix: str
) -> None:
    """A conversation's channel exists without a task; two pushes there are two tasks, each
    answered under its own request_id, and none of the channel's name."""
    topic = f"task:{prefix}42"
    assert await app.join(topic) == {"status": "ok", "response": {}}
    first = await app.push(topic, "llm_generate", {"prompt": "one", "request_id": "r-1"})
    second = await app.push(topic, "image_generate", {"prompt": "two", "request_id": "r-2"})
    text = await app.hear(topic, "llm_response")
    image = await app.hear(topic, "image_response")
    assert (text["content"], text["request_id"]) == ("one", "r-1")
    assert (image["task_id"], image["request_id"]) == (second["response"]["task_id"], "r-2")
    ids = {first["response"]["task_id"], second["response"]["task_id"]}
    assert {task["task_id"] for task in await tasks_of(house)} == ids
    again = await app.push(topic, "llm_generate", {"prompt": "one", "request_id": "r-1"})
    assert again["response"]["task_id"] == first["response"]["task_id"]


async def test_whoever_joins_late_leaves_with_the_result(app: DeployedApp) -> None:
    """The app leaves at the first terminal word, so that word carries the result, live and
    also when the channel is joined after the end."""
    made = await app.submit("image", "a monk")
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    live = await app.watch_to_the_end(topic)
    await app.join(topic)
    late = await app.watch_to_the_end(topic)
    for screen in (live, late):
        first = next(p for _, p in screen.heard if p.get("status") in TERMINAL)
        assert first["result_data"]["image_url"]
    assert late.result == live.result


async def test_the_first_push_after_a_join_is_the_status(app: DeployedApp) -> None:
    """Behind the join's reply of a running task comes `status`, then `progress`."""
    made = await app.submit("image", "a monk", **HANG)
    topic = f"task:{made['task_id']}"
    await app.join(topic)
    status = await app.hear(topic, "status")
    assert app.screens[topic].heard[0][0] == "status"
    assert {"task_id", "status", "progress", "message", "timestamp"} <= status.keys()


async def test_ping_is_answered_with_its_payload(app: DeployedApp) -> None:
    """`ping` with any payload gets that payload back, on either sort of channel."""
    made = await app.submit("image", "a monk", **HANG)
    for topic in (f"task:{made['task_id']}", "task:swift_1"):
        await app.join(topic)
        for payload in ({}, {"at": 1.5, "nested": {"a": [1, None, "ä"]}}):
            reply = await app.push(topic, "ping", payload)
            assert reply == {"status": "ok", "response": payload}


@pytest.mark.parametrize("kind", ["image", "video", "text"])
async def test_no_model_is_the_same_model_at_every_door(
    house: Served, app: DeployedApp, kind: str
) -> None:
    """Left open at the POST or at the push, the app's model means the same one, so that
    nothing runs without a model; who stands in is named."""
    posted = await app.submit(kind, "posted")
    await app.join("task:chat_1")
    pushed = await app.push("task:chat_1", PUSHES[kind], {"prompt": "pushed"})
    for id in (posted["task_id"], pushed["response"]["task_id"]):
        shown = (await house.http.get(f"/api/tasks/{id}")).json()["data"]
        assert shown["substituted_for"] == DEFAULTS[kind]
        assert (await house.events(id))[-1]["type"] == "completed"


@pytest.mark.parametrize(("model", "kind"), ALIASES.items())
@pytest.mark.parametrize("door", ["beside", "inside", "push"])
async def test_every_model_of_the_app_is_answered(
    house: Served, app: DeployedApp, model: str, kind: str, door: str
) -> None:
    """Each model that the app names, beside `input_data`, inside it or on the socket, runs
    to its end, and its stand-in is marked in the snapshot and in every event."""
    if door == "push":
        await app.join("task:chat_1")
        reply = await app.push("task:chat_1", PUSHES[kind], {"prompt": "p", "model": model})
        id = reply["response"]["task_id"]
        answer = await app.hear("task:chat_1", RESPONSES[kind])
        assert (answer["substituted_for"], answer["model"]) == (model, model)
    elif door == "inside":
        id = (await app.submit(kind, "p", model=model))["task_id"]
    else:
        body = {"input_data": {"type": kind, "prompt": "p"}, "model": model}
        id = (await house.post("/api/tasks", body)).json()["data"]["task_id"]
    events = await house.events(id)
    assert events[-1]["type"] == "completed"
    assert {event["substituted_for"] for event in events} == {model}
    shown = (await house.http.get(f"/api/tasks/{id}")).json()["data"]
    assert (shown["substituted_for"], shown["model"]) == (model, f"scripted/{kind}")


async def test_a_text_is_had_at_once_over_rest(house: Served, app: DeployedApp) -> None:
    """`POST /api/llm/generate` answers the text; the models to choose from are listed."""
    document = await app.generate("a haiku", "gpt-4.1")
    assert (document["success"], document["data"]["content"]) == (True, "a haiku")
    assert document["data"]["substituted_for"] == "gpt-4.1"
    refused = await app.generate(" ")
    assert (refused["success"], refused["error"]["code"]) == (False, "missing_prompt")
    async with httpx2.AsyncClient(base_url=house.url) as http:
        models = (await http.get("/api/llm/models")).json()["data"]["models"]
    assert "gpt-4.1" in [model["name"] for model in models]


async def test_the_apps_errors_are_in_its_words(house: Served) -> None:
    """A POST that is wrong gets VALIDATION_ERROR, with messages by field."""
    answer = await house.post("/api/tasks", {"input_data": {"type": "image", "prompt": ""}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "VALIDATION_ERROR")
    assert all(isinstance(told, str) for told in error["details"]["prompt"])
