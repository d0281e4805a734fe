"""Checks of joining and leaving: the dispatch table of a socket, seen from outside."""

from __future__ import annotations

from typing import Any

from .checking import check, expect, expect_that
from .endpoint import Endpoint, fresh

SECTION = "What a frame of a client does"
NO_OBJECTS: tuple[Any, ...] = (None, [], "text", 7)


@check(SECTION)
async def unknown_task(endpoint: Endpoint) -> None:
    """A join of an unknown task is an error reply with the reason `Task not found`."""
    async with endpoint.line() as line:
        reply = await line.join(f"task:{fresh()}")
        expect(reply.payload["status"], "error", "status")
        expect(reply.response["reason"], "Task not found", "reason")
        expect([reply.join_ref, reply.ref], ["7", "7"], "refs")


@check(SECTION)
async def unmatched_topics(endpoint: Endpoint) -> None:
    """A topic of no form, and a push to what is not joined, is an error with a null join_ref."""
    async with endpoint.line() as line:
        for topic, event in (("room:1", "phx_join"), (f"task:{fresh()}", "ping")):
            await line.send("4", "5", topic, event, {})
            reply = await line.reply_to("5")
            expect(reply.join_ref, None, f"join_ref of {event} to {topic}")
            expect(reply.response["reason"], "unmatched topic", "reason")


@check(SECTION)
async def refs_come_back(endpoint: Endpoint) -> None:
    """A reply carries the refs as they were sent, and the join's own join_ref."""
    topic = await _topic(endpoint)
    async with endpoint.line() as line:
        await line.send("0012", "0099", topic, "phx_join", {})
        reply = await line.reply_to("0099")
        expect(reply.join_ref, "0012", "join_ref of the join's reply")
        await line.send("0012", "a", topic, "ping", {"x": [1, None]})
        reply = await line.reply_to("a")
        expect(reply.join_ref, "0012", "join_ref of the reply")
        expect(reply.payload, {"status": "ok", "response": {"x": [1, None]}}, "the echo")


@check(SECTION)
async def duplicate_join(endpoint: Endpoint) -> None:
    """A second join of a topic is answered first, then the one before it is closed."""
    topic = await _topic(endpoint)
    async with endpoint.line() as line:
        await line.join(topic, join_ref="1")
        line.received.clear()
        await line.send("2", "2", topic, "phx_join", {})
        await line.until(lambda f: f.event == "phx_close")
        told = [f for f in line.texts(topic) if f.event in ("phx_reply", "phx_close")]
        found = [[f.join_ref, f.ref, f.event] for f in told]
        expect(found, [["2", "2", "phx_reply"], ["1", "1", "phx_close"]], "the frames")


@check(SECTION)
async def stale_frames(endpoint: Endpoint) -> None:
    """Pushes and leaves of an earlier join are ignored in silence."""
    topic = await _topic(endpoint)
    async with endpoint.line() as line:
        await line.join(topic, join_ref="1")
        await line.join(topic, join_ref="2")
        await line.send("1", "8", topic, "ping", {})
        await line.send("1", "9", topic, "phx_leave", {})
        reply = await line.push("2", topic, "ping", {})
        expect(reply.payload["status"], "ok", "the current join")
        refs = {f.ref for f in line.texts(topic)}
        expect_that(not {"8", "9"} & refs, "stale frames are not answered", refs)


@check(SECTION)
async def leave(endpoint: Endpoint) -> None:
    """A leave is answered ok, then the channel is closed, and nothing more is told on it."""
    topic = await _topic(endpoint)
    async with endpoint.line() as line:
        await line.join(topic, {"after": 0}, join_ref="3")
        await line.send("3", "4", topic, "phx_leave", {})
        reply = await line.reply_to("4")
        expect(reply.payload, {"status": "ok", "response": {}}, "the reply")
        close = await line.until(lambda f: f.topic == topic)
        expect([close.event, close.join_ref, close.ref], ["phx_close", "3", "3"], "the end")
        line.received.clear()
        await line.push(None, "phoenix", "heartbeat", {})
        expect(line.texts(topic), [], "frames after the end")


@check(SECTION)
async def leaving_is_not_cancelling(endpoint: Endpoint) -> None:
    """A task whose only follower leaves goes on to its end."""
    made = await endpoint.create()
    async with endpoint.line() as line:
        await line.join(f"task:{made['task_id']}")
        await line.push("7", f"task:{made['task_id']}", "phx_leave", {})
    last = await endpoint.ended(made["task_id"])
    expect(last["type"], "completed", "the end")


@check(SECTION)
async def unknown_event(endpoint: Endpoint) -> None:
    """An event that a channel does not know is a typed error, and the channel stays."""
    topic = await _topic(endpoint)
    async with endpoint.line() as line:
        await line.join(topic)
        reply = await line.push("7", topic, "dance", {})
        expect(reply.payload["status"], "error", "status")
        expect_that({"reason", "code", "message"} <= reply.response.keys(), "the error is typed")
        expect((await line.push("7", topic, "ping", {})).payload["status"], "ok", "after it")


@check(SECTION)
async def payload_that_is_no_object(endpoint: Endpoint) -> None:
    """A payload that is no object is an error reply; the socket goes on."""
    topic = await _topic(endpoint)
    async with endpoint.line() as line:
        await line.join(topic)
        for payload in NO_OBJECTS:
            reply = await line.push("7", topic, "ping", payload)
            expect(reply.payload["status"], "error", f"status for {payload!r}")


@check(SECTION)
async def many_channels(endpoint: Endpoint) -> None:
    """One socket carries several channels, and each reply names its own topic."""
    topics = [await _topic(endpoint) for _ in range(3)]
    async with endpoint.line() as line:
        for number, topic in enumerate(topics):
            reply = await line.join(topic, join_ref=str(number))
            expect([reply.topic, reply.payload["status"]], [topic, "ok"], "the reply")


async def _topic(endpoint: Endpoint) -> str:
    return f"task:{(await endpoint.create())['task_id']}"
