"""Every kind of frame that the server sends, as two mobile libraries read it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight_protocol.bounds import MAX_TEXT_FRAME
from safelight_protocol.events import TERMINAL
from tests.doubles.served import PATIENCE, Phone, Served, served
from tests.doubles.swift_phoenix import Dropped, Swift, java

IMAGE = {"kind": "image", "prompt": 'a "pond", [once] \\ ü\n', "model": "scripted/image"}
TEXT = {"kind": "text", "prompt": "a haiku", "model": "scripted/text"}
WAIT = {"do": "wait", "gate": "end"}
STEP = {"do": "progress", "to": 0.5, "message": 'a, "b" ] [ ,'}
RECORDED = Path(__file__).parents[3] / "docs/frames.json"
EVENTS = {
    *("phx_reply", "phx_close", "phx_error", "status", "progress", "preview_ready", "broadcast"),
    *("image_response", "video_response", "llm_response", "task", "task_deleted"),
}
TYPES = {
    *("queued", "started", "progress", "text", "artifact", "retrying", "canceling"),
    *TERMINAL,
}


class Handset(Phone):
    """A phone that hands each frame to both libraries, and holds them to what was meant."""

    def __init__(self, phone: Phone) -> None:
        super().__init__(phone.connection)
        self.swift = Swift()

    async def send(self, *frame: Any) -> None:
        """One frame; a join is noted by the library before it goes out."""
        if frame[3] == "phx_join":
            self.swift.joins[frame[2]] = frame[0]
        await super().send(*frame)

    async def receive(self) -> Any:
        """The next frame, after both libraries took it."""
        async with asyncio.timeout(PATIENCE):
            data = await self.connection.recv()
        assert isinstance(data, str)
        check(self.swift, data)
        frame = json.loads(data)
        self.received.append(frame)
        return frame


def check(swift: Swift, data: str) -> None:
    """Neither library drops the frame, and both read what was meant."""
    frame = json.loads(data)
    message = swift.receive(data)
    assert java(data) == (frame[0] or "", frame[1] or "", *frame[2:])
    assert len(data.encode()) <= MAX_TEXT_FRAME
    if message is None:
        assert frame[3] == "phx_close"  # of a join that this one replaced
        return
    if frame[3] == "phx_reply":
        assert message.payload == frame[4]["response"]
        assert message.status in ("ok", "error")
    else:
        assert message.payload == frame[4]
        assert "response" not in frame[4]


@asynccontextmanager
async def handset(house: Served) -> AsyncIterator[Handset]:
    """A phone on a fresh socket."""
    async with house.connect() as phone:
        yield Handset(phone)


async def seen(phone: Phone, wanted: Callable[[Any], bool]) -> None:
    """Until such a frame was received, be it before now."""
    if not any(map(wanted, phone.received)):
        await phone.until(wanted)


def kinds(phone: Phone) -> tuple[set[str], set[str]]:
    """The channel events and the types of task events that were received."""
    told = [f[4] if f[3] == "progress" else f[4].get("payload", {}) for f in phone.received]
    types = {p.get("type") for p in told if isinstance(p, dict)}
    return {f[3] for f in phone.received}, {t for t in types if t in TYPES}


async def one_life(house: Served, phone: Handset) -> None:
    """A picture with everything: a retry, a preview, an artifact, the app's pushes."""
    script = [STEP, {"do": "fault", "attempt": 1}, {"do": "preview", "step": 1}, WAIT]
    await phone.join(
        "task:a", {"create": IMAGE | {"params": {"script": script}}, "previews": "url"}
    )
    await phone.until(lambda f: f[3] == "preview_ready")
    house.scripted.gate("end").set()
    await phone.until_event("completed")
    again = {"prompt": IMAGE["prompt"], "model": "scripted/image", "script": script}
    await phone.push("task:a", "image_generate", again, join_ref="7")
    await phone.until_event("completed")
    await phone.push("task:a", "ping", {"response": 1, "x": {}}, join_ref="7")
    await phone.push("task:a", "paint", {}, join_ref="7")
    await phone.push("task:a", "image_generate", {}, join_ref="7")
    await phone.join("task:a", {"after": 0}, join_ref="8")
    await phone.until(lambda f: f[3] == "status")
    await phone.push("task:a", "phx_leave", {}, join_ref="8")
    await phone.until(lambda f: f[3] == "phx_close" and f[0] == "8")
    await phone.join("task:a", {"after": "other-7"}, join_ref="9")
    await phone.send("9", "10", "task:a", "phx_close", {})
    await phone.until(lambda f: f[3] == "phx_error")


async def other_ends(house: Served, phone: Handset) -> None:
    """Failure, cancel, refusals of every kind, the heartbeat."""
    fails = {"params": {"script": [{"do": "never", "message": 'no, "not" that'}]}}
    await phone.join("task:b", {"create": IMAGE | fails}, join_ref="11")
    await phone.until_event("failed")
    hangs = {"params": {"script": [STEP, {"do": "hang"}]}}
    await phone.join("task:c", {"create": IMAGE | hangs}, join_ref="12")
    await seen(phone, lambda f: f[2] == "task:c" and f[4].get("type") == "progress")
    await phone.push("task:c", "cancel", {}, join_ref="12")
    await seen(phone, lambda f: f[2] == "task:c" and f[4].get("type") == "canceled")
    await phone.join("task:none", join_ref="13")
    await phone.join("task:d", {"create": {"kind": 5}}, join_ref="14")
    await phone.push("task:e", "ping", {})
    await phone.push("phoenix", "heartbeat", {})


async def rooms(house: Served, phone: Handset) -> None:
    """Conversation, gallery, a supabase topic."""
    await phone.join("tasks:mine", {"limit": 2}, join_ref="20")
    await phone.join("task:swift_1", {"events": True, "after": 3}, join_ref="21")
    for event in ("llm_generate", "video_generate"):
        name = "text" if event == "llm_generate" else "video"
        asked = {"prompt": "x", "model": f"scripted/{name}", "request_id": event}
        await phone.push("task:swift_1", event, asked, join_ref="21")
        await phone.until_event("completed", "task:swift_1")
    await phone.push("tasks:mine", "list", {"limit": 1}, join_ref="20")
    await phone.push("tasks:mine", "list", {"limit": 0}, join_ref="20")
    await seen(phone, lambda f: f[3] == "task" and f[4]["task"]["status"] == "completed")
    await house.http.delete("/api/tasks/b")
    await phone.until(lambda f: f[3] == "task_deleted")
    await phone.join("realtime:task:a", {"config": {}}, join_ref="22")
    said = {"type": "broadcast", "event": "ping", "payload": {}}
    await phone.push("realtime:task:a", "broadcast", said | {"event": "paint"}, join_ref="22")


async def test_no_phone_loses_a_frame(house: Served) -> None:
    """Joins, events of every type, errors, previews, conversations, the gallery, closes:
    nothing that is sent is dropped or misread, and every kind was sent."""
    async with handset(house) as phone:
        for scene in (one_life, other_ends, rooms):
            await scene(house, phone)
    events, types = kinds(phone)
    assert events == EVENTS
    assert types == TYPES


def test_no_printed_frame_is_lost() -> None:
    """What docs/wire.md prints as sent over V2 is read by both as it was meant."""
    scenes = msgspec.json.decode(RECORDED.read_bytes())
    lines = [line for scene in scenes if scene["door"] == "socket" for line in scene["lines"]]
    sent = [x["text"] for x in lines if x["by"] == "server" and x["text"].startswith("[")]
    assert len(sent) > 50
    for text in sent:
        swift, (join_ref, _, topic, *_) = Swift(), json.loads(text)
        swift.joins[topic] = join_ref
        check(swift, text)


async def test_a_backlog_of_folded_frames_is_read(house: Served) -> None:
    """Folded frames too, and each says how far it reaches."""
    steps = [{"do": "progress", "to": n / 1000} for n in range(200)]
    await house.create(id="t1", params={"script": [*steps, {"do": "image"}]})
    await house.events("t1")
    async with handset(house) as phone:
        await phone.join("task:t1", {"after": 0})
        await phone.until(lambda f: f[3] == "status")
    assert any("from_seq" in m.payload for m in phone.swift.heard)


LONG = "é" * 300_000
PARTS = [{"do": "text", "delta": LONG[:50_000]}] * 6


@pytest.fixture
async def roomy(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that takes large requests, so that scripts can be long."""
    limits = {"max_body_bytes": 8 * 1024 * 1024, "max_frame_bytes": 8 * 1024 * 1024}
    async with served(tmp_path / "data", **limits) as running:
        yield running


async def test_a_long_text_fits_into_every_frame(roomy: Served) -> None:
    """600 kB of text: join reply, events, status, response, gallery and the replies to
    commands are cut where they must be, and then say so and where the whole is."""
    house = roomy
    create = TEXT | {"params": {"script": [*PARTS, WAIT]}}
    async with handset(house) as phone, handset(house) as other:
        await phone.join("tasks:mine", join_ref="20")
        await phone.join("task:t1", {"create": create}, join_ref="7")
        asked = {"prompt": "a haiku", "model": "scripted/text", "options": create["params"]}
        await phone.push("task:t1", "llm_generate", asked, join_ref="7")
        house.scripted.gate("end").set()
        said = (await phone.until(lambda f: f[3] == "llm_response"))[4]
        end = await phone.until_event("completed", "task:t1")
        await seen(phone, lambda f: f[3] == "task" and f[4]["task"]["status"] == "completed")
        reply = (await other.join("task:t1"))["response"]
        status = (await other.until(lambda f: f[3] == "status"))[4]
        canceled = (await other.push("task:t1", "cancel", {}, join_ref="7"))["response"]
        page = (await other.join("tasks:mine", join_ref="8"))["response"]
        await other.join("realtime:task:t1", join_ref="9")
        wrapped = (await other.until(lambda f: f[3] == "broadcast"))[4]
    url = "/api/tasks/t1"
    for cut in (said, end, status, wrapped["payload"]):
        assert (cut["truncated"], cut["url"]) == (True, url)
    for text in (said["content"], end["result_data"]["content"], status["result_data"]["content"]):
        assert LONG.startswith(text)
        assert len(text) >= 20_000
    assert (reply["task"]["truncated"], reply["url"], canceled["truncated"]) == (True, url, True)
    assert page["tasks"][0]["truncated"] is True
    whole = (await house.http.get(url)).json()["data"]["result_data"]["content"]
    assert whole == LONG
    assert (await house.events("t1"))[-1]["result_data"]["content"] == LONG


@pytest.mark.parametrize("query", ["vsn=2.0.0", "vsn=1.0.0"])
async def test_other_long_words_fit_too(roomy: Served, query: str) -> None:
    """A long delta is told in pieces that fit, a long failure is cut in its frames alone."""
    house = roomy
    words = [
        {"do": "text", "delta": "x" * 600_000},
        {"do": "never", "message": "y" * 600_000},
    ]
    await house.post("/api/tasks", TEXT | {"id": "t1", "params": {"script": words}})
    events = await house.events("t1")
    async with house.connect(query) as phone:
        join = {"topic": "task:t1", "event": "phx_join", "payload": {"after": 0}, "ref": "1"}
        v2 = ["1", "1", "task:t1", "phx_join", {"after": 0}]
        await phone.connection.send(json.dumps(v2 if "2" in query else join))
        async with asyncio.timeout(PATIENCE):
            got = [await phone.connection.recv() for _ in range(len(events) + 2)]
    assert all(len(data) <= MAX_TEXT_FRAME for data in got)
    assert sum(len(event.get("delta", "")) for event in events) == 600_000
    assert len(events[-1]["error_data"]["message"]) == 600_000
    cut = ['"truncated":true' in str(data) for data in got]
    assert cut[1:] == [False] * (len(got) - 3) + [True] * 2  # the end, and status behind it


async def test_a_ping_too_large_is_refused(house: Served) -> None:
    """An echo that no phone could take is a typed error, in text and in bytes."""
    await house.create(id="t1")
    async with house.connect() as phone:
        await phone.join("task:t1")
        reply = await phone.push("task:t1", "ping", {"x": "y" * 520_000}, join_ref="7")
    assert reply["response"]["code"] == "too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        "{}",
        "[1,2]",
        '[null,null,"t","e",[]]',
        '[null,null,"t","e",null]',
        '[null,5,"t","e",{}]',
        '[null,null,"t","phx_reply",{"response":{}}]',
        '[null,null,"t","e",{"x":"' + "y" * 1024 * 1024 + '"}]',
    ],
)
def test_the_double_drops_what_the_library_drops(data: str | bytes) -> None:
    """It is no pushover: what SwiftPhoenixClient loses, it reports."""
    with pytest.raises(Dropped):
        Swift().receive(data)


@pytest.mark.parametrize(
    "data",
    ['[null, null, "t", "e", {}]', '["a,b",null,"t","e",{}]', r'["1",null,"t\u0041","e",{}]'],
)
def test_the_other_double_misreads_as_the_library_does(data: str) -> None:
    """Blanks, commas in names and escapes are what JavaPhoenixClient stumbles over."""
    with pytest.raises(Dropped):
        java(data)


def test_the_double_shows_what_the_app_would_see() -> None:
    """A push with an object named `response` hides the rest of its payload."""
    message = Swift().receive('["1",null,"t","status",{"response":{"a":1},"seq":2}]')
    assert message is not None
    assert (message.payload, message.ref) == ({"a": 1}, "")
    assert Swift().receive('["1","1","t","phx_close",{}]') is None
