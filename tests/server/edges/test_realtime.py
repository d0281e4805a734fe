"""`realtime:task:<id>`, frame by frame; the libraries themselves are in tests/e2e."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from tests.doubles.served import Phone, Served

TOPIC = "realtime:task:t1"
WAIT = {"do": "wait", "gate": "end"}
SCRIPT = [{"do": "progress", "to": 0.5}, WAIT, {"do": "image"}]
ASKED = {"prompt": "a test", "model": "scripted/image", "script": SCRIPT}


def config(ack: bool) -> dict[str, Any]:
    """The payload of the library's join."""
    broadcast = {"ack": ack, "self": False}
    asked = {"broadcast": broadcast, "presence": {"key": ""}, "postgres_changes": []}
    return {"config": asked | {"private": False}, "access_token": "a.b.c"}


@asynccontextmanager
async def subscribed(house: Served, *, ack: bool = True) -> AsyncIterator[Phone]:
    """A socket that follows a task which waits at a gate."""
    await house.create(id="t1", params={"script": SCRIPT})
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, config(ack))
        assert reply["status"] == "ok"
        yield phone


def kind_3(event: str, body: bytes, ref: str = "9", encoding: int = 1) -> bytes:
    """A broadcast as V2 of the library sends it."""
    strings = [text.encode() for text in ("7", ref, TOPIC, event, "")]
    return b"".join([bytes([3, *map(len, strings), encoding]), *strings, body])


async def said(phone: Phone, event: str, payload: Any) -> Any:
    """Broadcast it and return the reply's payload."""
    await phone.connection.send(kind_3(event, json.dumps(payload).encode()))
    return (await phone.until(lambda f: f[1] == "9"))[4]


def told(phone: Phone, event: str) -> list[Any]:
    """The payloads of our events of that name."""
    heard = [f[4] for f in phone.received if f[3] == "broadcast"]
    return [h["payload"] for h in heard if h["event"] == event]


async def ended(phone: Phone) -> None:
    """Until the task's end was heard, be it before now."""
    while not any(e["type"] in ("completed", "canceled") for e in told(phone, "progress")):
        await phone.receive()


async def test_snapshot_then_live(house: Served) -> None:
    """The reply has what the library needs and what ours need; then `status` and every
    event from there on, all as broadcasts, none as anything else."""
    async with subscribed(house) as phone:
        house.scripted.gate("end").set()
        await ended(phone)
    reply = phone.received[0][4]["response"]
    assert (reply["postgres_changes"], reply["task"]["task_id"]) == ([], "t1")
    assert {f[3] for f in phone.received[1:]} == {"broadcast"}
    assert all(f[4]["type"] == "broadcast" for f in phone.received[1:])
    assert [s["seq"] for s in told(phone, "status")] == [reply["seq"]]
    assert told(phone, "progress") == (await house.events("t1"))[reply["seq"] :]


async def test_an_ended_task_tells_its_end(house: Served) -> None:
    """Whoever subscribes late is told the terminal event and the result."""
    await house.create(id="t1")
    end = (await house.events("t1"))[-1]
    async with house.connect() as phone:
        await phone.join(TOPIC, config(False))
        await phone.until(lambda f: f[3] == "broadcast" and f[4]["event"] == "status")
    assert told(phone, "progress") == [end]
    assert told(phone, "status")[0]["result_data"] == end["result_data"]


async def test_its_cursor_is_not_read(house: Served) -> None:
    """The library sends none, so whatever is called `after` there does not count."""
    await house.create(id="t1")
    await house.events("t1")
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, config(False) | {"after": "x-99", "create": {"kind": 5}})
    assert (reply["status"], reply["response"]["gap"]) == ("ok", False)


async def test_broadcasts_are_commands(house: Served) -> None:
    """`ping`, `image_generate` and `cancel` do what they do on the task's own topic."""
    async with subscribed(house) as phone:
        assert (await said(phone, "ping", {"x": [1]}))["response"] == {"x": [1]}
        reply = await said(phone, "image_generate", ASKED)
        assert (reply["response"]["task_id"], reply["response"]["attached"]) == ("t1", True)
        assert (await said(phone, "cancel", {}))["response"]["task_id"] == "t1"
        await ended(phone)
    (response,) = told(phone, "image_response")
    assert (response["success"], response["task_id"]) == (True, "t1")


async def test_version_one_says_the_same(house: Served) -> None:
    """On V1 the broadcast is text, and so is everything else."""
    await house.create(id="t1", params={"script": SCRIPT})
    async with house.connect("vsn=1.0.0") as phone:

        async def send(ref: str, event: str, payload: Any) -> None:
            frame = {"topic": TOPIC, "event": event, "payload": payload, "ref": ref}
            await phone.connection.send(json.dumps(frame | {"join_ref": "1"}))

        await send("1", "phx_join", config(True))
        await send("2", "broadcast", {"type": "broadcast", "event": "cancel", "payload": {}})
        awaited = {"answered", "canceled"}
        while awaited:
            frame = await phone.receive()
            awaited -= {"answered"} if frame["ref"] == "2" else set()
            awaited -= {frame["payload"].get("payload", {}).get("type")}
    assert not any(isinstance(f, bytes) for f in phone.received)


async def test_without_ack_only_refusals_are_answered(house: Served) -> None:
    """A join that did not ask for answers gets none, unless its command was refused."""
    async with subscribed(house, ack=False) as phone:
        await phone.connection.send(kind_3("ping", b"{}", "8"))
        reply = await said(phone, "paint", {})
    assert [f[1] for f in phone.received if f[3] == "phx_reply"] == ["7", "9"]
    assert reply["response"]["code"] == "unknown_event"


async def test_token_and_presence_are_taken_gracefully(house: Served) -> None:
    """`access_token` is not answered, `presence` is, and neither changes anything."""
    async with subscribed(house) as phone:
        await phone.send("7", "8", TOPIC, "access_token", {"access_token": "c.d.e"})
        track = {"type": "presence", "event": "track", "payload": {"name": "ann"}}
        reply = await phone.push(TOPIC, "presence", track, join_ref="7")
    assert (reply["status"], reply["response"]) == ("ok", {})
    assert "8" not in [f[1] for f in phone.received]


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (kind_3("ping", b"\x00\x01", encoding=0), "invalid"),
        (kind_3("cancel", b"nonsense"), "invalid"),
        (kind_3("cancel", b"[1]"), "invalid"),
        (kind_3("paint", b"{}"), "unknown_event"),
        (kind_3("phx_leave", b"{}"), "unknown_event"),
        (kind_3("broadcast", b"{}"), "unknown_event"),
        (kind_3("image_generate", b"{}"), "missing_prompt"),
    ],
)
async def test_what_means_nothing_is_refused_in_words(
    house: Served, wire: bytes, code: str
) -> None:
    """A typed error to the frame's ref, never a close; the subscription goes on."""
    async with subscribed(house) as phone:
        await phone.connection.send(wire)
        reply = (await phone.until(lambda f: f[1] == "9"))[4]
        house.scripted.gate("end").set()
        await ended(phone)
    assert (reply["status"], reply["response"]["code"]) == ("error", code)


async def test_kind_3_elsewhere_is_an_unknown_event(house: Served) -> None:
    """On a task's own topic nobody broadcasts; the answer says so. Kind 4 is no frame."""
    await house.create(id="t1")
    async with house.connect() as phone:
        await phone.join("task:t1")
        wire = kind_3("ping", b"{}").replace(TOPIC.encode(), b"task:t1")
        await phone.connection.send(wire.replace(bytes([len(TOPIC)]), b"\x07", 1))
        reply = (await phone.until(lambda f: f[1] == "9"))[4]
        await phone.connection.send(b"\x04\x01\x01\x00\x01te{}")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await phone.until(lambda f: False)
    assert reply["response"]["code"] == "unknown_event"
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011


async def test_nobodys_task_and_a_conversation_are_refused(house: Served) -> None:
    """An unknown task is not found there either; conversations have no such topic."""
    async with house.connect() as phone:
        nobody = await phone.join(TOPIC, config(False))
        room = await phone.join("realtime:task:chat_1", config(False), join_ref="8")
    assert nobody["response"]["reason"] == "Task not found"
    assert room["response"]["code"] == "unmatched_topic"
