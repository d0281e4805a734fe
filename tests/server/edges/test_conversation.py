"""Conversation channels, and answers at a task's end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.doubles.served import Served
from tests.doubles.talks import ROOM, TEXT, WAIT, WORDS, asked, generate, heard, response, room


async def test_a_conversation_tells_no_events_unless_asked(house: Served) -> None:
    """Without `events` the topic carries the acknowledgement and the text, nothing else."""
    async with room(house) as phone:
        told = await generate(phone, asked(*WORDS))
        body = await response(phone)
        await phone.push("phoenix", "heartbeat", {})
    assert (body["success"], body["content"], body["task_id"]) == (
        True,
        "An old pond.",
        told["task_id"],
    )
    assert [f[3] for f in phone.received] == ["phx_reply", "phx_reply", "llm_response", "phx_reply"]


async def test_events_of_every_task_come_each_once(house: Served) -> None:
    """With `events` each task's events come from seq 1 on without a hole, under its own id,
    however many run at once."""
    async with room(house, events=True) as phone:
        ids = [
            (await generate(phone, asked(*WORDS, WAIT, WORDS[n], request_id=f"r-{n}")))["task_id"]
            for n in range(2)
        ]
        house.scripted.gate("end").set()
        for _ in ids:
            await phone.until_event("completed")
    assert len(set(ids)) == 2
    for id in ids:
        told = [e for e in phone.told(ROOM) if e["task_id"] == id]
        assert told == await house.events(id)
        assert [e["seq"] for e in told] == list(range(1, len(told) + 1))


async def test_the_text_comes_before_the_end(house: Served) -> None:
    """`llm_response` stands in front of the terminal event of its task, exactly once."""
    async with room(house, events=True) as phone:
        for n in range(8):
            await generate(phone, asked(*WORDS, request_id=f"r-{n}"))
        while sum(e["type"] == "completed" for e in phone.told(ROOM)) < 8:
            await phone.receive()
        await phone.push("phoenix", "heartbeat", {})
    order = heard(phone, "llm_response", "progress")
    ids = {f[4]["task_id"] for f in order}
    assert len(ids) == 8
    for id in ids:
        mine = [f for f in order if f[4]["task_id"] == id]
        assert [f[3] for f in mine].count("llm_response") == 1
        assert (mine[-2][3], mine[-1][4]["type"]) == ("llm_response", "completed")


async def test_a_failure_is_an_answer_too(house: Served) -> None:
    """A task that fails or is canceled says why, before its terminal event."""
    failing = asked({"do": "never", "message": "no words"})
    async with room(house, events=True) as phone:
        await generate(phone, failing)
        why = await response(phone)
        await phone.until_event("failed")
        id = (await generate(phone, asked({"do": "hang"}, request_id="r-2")))["task_id"]
        await phone.until_event("started")
        await house.post(f"/api/tasks/{id}/cancel")
        stopped = await response(phone)
        await phone.until_event("canceled")
    assert (why["success"], why["error"]["message"]) == (False, "no words")
    assert (stopped["task_id"], stopped["error"]["message"]) == (id, "Task canceled")


@pytest.mark.parametrize("events", [True, False])
async def test_a_lost_answer_is_had_again(house: Served, events: bool) -> None:
    """The same `request_id` on another socket answers with the same task's text, and with
    its terminal event where events are wanted; nothing runs twice."""
    async with room(house, events=events) as phone:
        first = await generate(phone, asked(*WORDS, WAIT))
    house.scripted.gate("end").set()
    end = (await house.events(first["task_id"]))[-1]
    async with room(house, events=events) as phone:
        again = await generate(phone, asked(*WORDS, WAIT))
        body = await response(phone)
        if events:
            await phone.until_event("completed")
        await phone.push("phoenix", "heartbeat", {})
    assert (again["task_id"], again["attached"]) == (first["task_id"], True)
    assert (body["content"], body["request_id"]) == ("An old pond.", "r-1")
    assert phone.told(ROOM) == ([end] if events else [])
    assert len(house.scripted.started) == 1


async def test_a_rejoin_in_mid_task_hears_it_whole(house: Served) -> None:
    """Asked for again while it runs, a task is told from its first event on."""
    async with room(house, events=True) as phone:
        first = await generate(phone, asked(*WORDS, WAIT))
        await phone.until_event("text")
    async with room(house, events=True) as phone:
        await generate(phone, asked(*WORDS, WAIT))
        house.scripted.gate("end").set()
        await phone.until_event("completed")
    assert phone.told(ROOM) == await house.events(first["task_id"])
    assert len(heard(phone, "llm_response")) == 1


async def test_asked_twice_it_answers_once(house: Served) -> None:
    """A push repeated in impatience, with its `request_id`, is one answer and one story."""
    async with room(house, events=True) as phone:
        for _ in range(3):
            await generate(phone, asked(*WORDS, WAIT))
        house.scripted.gate("end").set()
        await phone.until_event("completed")
        await phone.push("phoenix", "heartbeat", {})
    assert len(heard(phone, "llm_response")) == 1
    seqs = [e["seq"] for e in phone.told(ROOM)]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_pictures_in_a_conversation(house: Served) -> None:
    """An image is acknowledged at once; its events, and its previews, are for those who ask."""
    script = [{"do": "preview", "step": 3}, WAIT, {"do": "image"}]
    async with room(house, events=True, previews="url") as loud, room(house) as quiet:
        picture = {"prompt": "a pond", "model": "scripted/image", "script": script}
        id = (await generate(loud, picture, "image_generate"))["task_id"]
        shown = await loud.until(lambda f: f[3] == "preview_ready")
        other = picture | {"request_id": "r-2"}
        await generate(quiet, other, "image_generate")
        house.scripted.gate("end").set()
        end = await loud.until_event("completed")
        await quiet.push("phoenix", "heartbeat", {})
    assert (shown[4]["task_id"], end["task_id"]) == (id, id)
    assert [f[3] for f in quiet.received if f[3] != "phx_reply"] == ["image_response"]


async def test_a_picture_that_nobody_hears_of_is_not_followed(house: Served) -> None:
    """Without `events` a picture is over for the topic once it is acknowledged."""
    async with room(house) as phone:
        picture = {"prompt": "a pond", "model": "scripted/image", "script": [WAIT]}
        await generate(phone, picture, "image_generate")
        await phone.push("phoenix", "heartbeat", {})
        assert house.context.subscriptions.statistics()["followers"] == 0
        house.scripted.gate("end").set()


async def test_a_cursor_there_is_ignored_and_said_so(house: Served) -> None:
    """A conversation has no cursor: `after` is a warning; a wrong `events` is refused."""
    async with house.connect() as phone:
        reply = await phone.join(ROOM, {"after": "log-7", "log": "x"})
        wrong = await phone.join(ROOM, {"events": "yes"}, join_ref="8")
    assert reply["response"] == {"warnings": ["after is ignored", "log is ignored"]}
    assert wrong["response"]["details"][0]["field"] == "events"


async def test_nothing_is_followed_after_the_socket(house: Served) -> None:
    """A conversation that was left, and a socket that is gone, leave no follower behind."""
    follows = house.context.subscriptions.statistics
    async with room(house, events=True) as phone:
        await generate(phone, asked(WAIT))
        await generate(phone, asked(WAIT, request_id="r-2"))
        assert follows()["followers"] == 2
        await phone.push(ROOM, "phx_leave", {}, join_ref="7")
        assert follows()["followers"] == 0
    async with room(house) as phone:
        await generate(phone, asked(WAIT))
        assert follows()["followers"] == 1
    async with asyncio.timeout(10):
        while follows()["followers"]:
            await house.http.get("/healthz")
    house.scripted.gate("end").set()


async def test_too_many_at_once_are_refused(house: Served) -> None:
    """A conversation holds so many running tasks and no more; the refusal comes both as
    reply and as push, and an end makes room."""
    async with room(house) as phone:
        for n in range(64):
            await generate(phone, asked(WAIT, request_id=f"r-{n}"))
        one_more = asked(WAIT, request_id="one more")
        reply = await phone.push(ROOM, "llm_generate", one_more, join_ref="7")
        assert reply["response"]["code"] == "too_many"
        assert heard(phone, "llm_response")[-1][4]["error"]["code"] == "enqueue_failed"
        house.scripted.gate("end").set()
        while len(heard(phone, "llm_response")) < 65:
            await phone.receive()
        await generate(phone, one_more)


@pytest.mark.parametrize("ended", [False, True])
async def test_every_socket_that_asks_is_answered(house: Served, ended: bool) -> None:
    """On a task's own channel each `llm_generate` has its one answer, before the end that
    is told after it, also for a task that has ended; who only follows has none."""
    topic = "task:t1"
    await house.post("/api/tasks", TEXT | {"id": "t1", "params": {"script": [*WORDS, WAIT]}})
    if ended:
        house.scripted.gate("end").set()
        await house.events("t1")
    asks = asked(*WORDS, WAIT, request_id=None)
    async with house.connect() as one, house.connect() as two, house.connect() as other:
        for phone in (one, two, other):
            await phone.join(topic)
        for phone in (one, two):
            reply = await phone.push(topic, "llm_generate", asks, join_ref="7")
            assert reply["response"]["attached"] is True, reply
        house.scripted.gate("end").set()
        for phone in (one, two):
            body = await response(phone)
            await phone.until_event("completed")
            assert body["content"] == "An old pond."
        await one.push("phoenix", "heartbeat", {})
        if not ended:
            await other.until_event("completed")
    for phone in (one, two):
        kinds = [f[3] for f in heard(phone, "llm_response", "progress")]
        assert kinds.count("llm_response") == 1
        assert kinds[-2:] == ["llm_response", "progress"]
    assert heard(other, "llm_response") == []


async def test_attaching_to_an_end_tells_it_again(house: Served) -> None:
    """`image_generate` on an ended task: reply, acknowledgement, its terminal event again."""
    await house.create(id="t1")
    end = (await house.events("t1"))[-1]
    asks = {"prompt": "a test", "model": "scripted/image"}
    async with house.connect() as phone:
        await phone.join("task:t1")
        await phone.until(lambda f: f[3] == "status")
        before = len(phone.received)
        await phone.push("task:t1", "image_generate", asks, join_ref="7")
        assert await phone.until_event("completed") == end
        await phone.push("phoenix", "heartbeat", {})
    after = phone.received[before:]
    assert [f[3] for f in after] == ["phx_reply", "image_response", "progress", "phx_reply"]


async def test_attaching_to_a_running_task_repeats_nothing(house: Served) -> None:
    """`image_generate` on a task that runs adds no event: each is told once."""
    await house.create(id="t1", params={"script": [{"do": "progress", "to": 0.5}, WAIT]})
    async with house.connect() as phone:
        await phone.join("task:t1", {"after": 0})
        asks: dict[str, Any] = {"prompt": "a test", "model": "scripted/image"}
        asks["script"] = [{"do": "progress", "to": 0.5}, WAIT]
        reply = await phone.push("task:t1", "image_generate", asks, join_ref="7")
        assert reply["response"]["attached"] is True, reply
        house.scripted.gate("end").set()
        await phone.until_event("completed")
        await phone.push("phoenix", "heartbeat", {})
    assert phone.told("task:t1") == await house.events("t1")
