"""The long-poll transport, request by request, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from safelight.edges.longpoll import longpoll
from safelight.edges.polls import MAX_HELD, Session
from tests.doubles.poller import PATH, Poller
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

TOPIC = "task:t1"
IMAGE = {"kind": "image", "prompt": "a test", "model": "scripted/image"}
GATED = {"script": [{"do": "progress", "to": 0.5}, {"do": "wait", "gate": "end"}, {"do": "image"}]}


async def opened(house: Served, *args: str, **headers: str) -> Poller:
    poller = Poller(house.http, *args, **headers)
    await poller.open()
    return poller


async def until_sessions(house: Served, count: int) -> None:
    """Wait until so many sessions live."""
    await until(lambda: house.context.statistics()["longpolls"] == count)


async def test_a_get_without_a_token_opens_a_session(house: Served) -> None:
    """It is answered 410 with a token and no frames, in the headers that clients know."""
    answer = await house.http.get(f"{PATH}?vsn=2.0.0&")
    body = answer.json()
    assert (answer.status_code, body["status"], body["messages"]) == (200, 410, [])
    assert len(body["token"]) > 40
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_task_from_join_to_end(house: Served) -> None:
    """Join, create, events and leave mean the same as on a WebSocket, in the same order."""
    phone = await opened(house)
    reply = await phone.join(TOPIC, {"create": IMAGE | {"params": GATED}, "after": 0})
    house.scripted.gate("end").set()
    await phone.until_event("completed")
    await phone.post(["7", "8", TOPIC, "phx_leave", {}])
    await phone.until(lambda f: f[3] == "phx_close")
    assert (reply["status"], reply["response"]["created"]) == ("ok", True)
    assert [f[3] for f in phone.received[:2]] == ["phx_reply", "status"]
    assert phone.told(TOPIC) == await house.events("t1")
    assert [f[:4] for f in phone.received[-2:]] == [
        ["7", "8", TOPIC, "phx_reply"],
        ["7", "7", TOPIC, "phx_close"],
    ]


async def test_a_poll_with_nothing_to_tell_is_204(tmp_path: Path) -> None:
    """After the window it is answered 204, with the token and no frames."""
    async with served(tmp_path, longpoll_seconds=1.0) as house:
        phone = await opened(house)
        assert await phone.get() == {"status": 204, "token": phone.token, "messages": []}


async def test_lines_are_frames_in_their_order(house: Served) -> None:
    """A batch is text lines and base64 lines; each is answered, in order."""
    await house.create(id="t1")
    phone = await opened(house)
    await phone.join(TOPIC)
    push = b"\x00\x01\x01\x07\x04" + b"7" + b"9" + TOPIC.encode() + b"ping" + b"\x01\x02"
    batch: list[Any] = [["7", "8", TOPIC, "ping", {"a": 1}], push, ["7", "10", TOPIC, "ping", {}]]
    assert await phone.post(*batch) == 200
    await phone.until(lambda f: f[1] == "10")
    replies = {f[1]: f[4]["status"] for f in phone.received if f[1] in ("8", "9", "10")}
    assert list(replies.items()) == [("8", "ok"), ("9", "error"), ("10", "ok")]


async def test_other_bodies_are_one_frame(house: Served) -> None:
    """Without the type of a batch the whole body is one text frame; blanks are in it."""
    phone = await opened(house)
    frame = json.dumps([None, "1", "phoenix", "heartbeat", {}], indent=1).encode()
    assert await phone.write(frame, **{"content-type": "application/json"}) == 200
    assert (await phone.until(lambda f: f[1] == "1"))[4]["status"] == "ok"


async def test_the_old_version_polls_too(house: Served) -> None:
    """Without vsn the frames are V1 objects, in batches as well."""
    phone = Poller(house.http, "")
    await phone.open()
    frame = {"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": "1"}
    assert await phone.write(json.dumps(frame).encode()) == 200
    await phone.get()
    assert phone.received[0]["payload"]["status"] == "ok"


async def test_a_dead_token(house: Served) -> None:
    """POST says 410; GET opens another session and says 410 with its token."""
    phone = await opened(house)
    phone.token = dead = "longpoll-" + "x" * 43
    assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 410
    body = await phone.get()
    assert body["status"] == 410
    assert body["token"] not in (None, dead)


async def test_a_session_ends_without_polls(tmp_path: Path) -> None:
    """One and a half windows without a poll, and nothing of it is left behind."""
    async with served(tmp_path, longpoll_seconds=1.0) as house:
        phone = await opened(house)
        await phone.join(TOPIC, {"create": IMAGE | {"params": GATED}})
        await until_sessions(house, 0)
        assert house.context.statistics()["followers"] == 0
        assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 410


async def test_a_session_lives_as_long_as_it_is_polled(tmp_path: Path) -> None:
    """A held poll is presence: many windows later the session is the same."""
    async with served(tmp_path, longpoll_seconds=0.8) as house:
        phone = await opened(house)
        for _ in range(3):
            assert (await phone.get())["status"] == 204
        assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 200


@pytest.mark.parametrize("query", ["vsn=3.0.0", "vsn=abc"])
async def test_unknown_versions_are_refused(house: Served, query: str) -> None:
    """403 in the body, after which phoenix.js stops."""
    assert await Poller(house.http, query).get() == {"status": 403}


async def test_pages_of_other_origins(tmp_path: Path) -> None:
    """A page that may not ask is told 403 at every request; one that may is answered."""
    allowed = "https://app.example"
    async with served(tmp_path, allowed_origins=(allowed,)) as house:
        ours = await opened(house, origin=allowed)
        theirs = Poller(house.http, origin="https://evil.example")
        assert await theirs.get() == {"status": 403}
        theirs.token = ours.token
        assert await theirs.get() == {"status": 403}
        assert await theirs.post([None, "1", "phoenix", "heartbeat", {}]) == 403
        assert await ours.post([None, "1", "phoenix", "heartbeat", {}]) == 200
        assert house.context.statistics()["longpolls"] == 1


async def test_a_preflight_is_allowed_what_it_asks_for(house: Served) -> None:
    """OPTIONS echoes the headers that were asked for, good for an hour."""
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "content-type,x-phoenix-authtoken",
    }
    answer = await house.http.options(PATH, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-headers"] == "content-type,x-phoenix-authtoken"
    assert answer.headers["access-control-max-age"] == "3600"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert house.context.statistics()["longpolls"] == 0


async def test_owners(tmp_path: Path) -> None:
    """The user's token comes in the query, beside the session's, or in a header; without
    it nothing opens, and a session answers another owner like one that is dead."""
    tokens = {"secret-a": "ann", "secret-b": "bob"}
    async with served(tmp_path, tokens=tokens) as house:
        assert await Poller(house.http).get() == {"status": 403}
        assert await Poller(house.http, "vsn=2.0.0&token=wrong").get() == {"status": 403}
        ann = await opened(house, "token=secret-a&vsn=2.0.0")
        bob = await opened(house, x_phoenix_authtoken="secret-b")
        assert (await ann.join(TOPIC, {"create": IMAGE}))["status"] == "ok"
        assert (await bob.join(TOPIC))["response"]["reason"] == "Task not found"
        stranger = Poller(house.http)
        stranger.token = ann.token
        assert await stranger.post([None, "1", "phoenix", "heartbeat", {}]) == 200
        bob.token = ann.token
        assert await bob.post([None, "1", "phoenix", "heartbeat", {}]) == 410
        assert (await bob.get())["token"] != ann.token


async def test_the_session_token_in_a_header(house: Served) -> None:
    """Later clients send it as x-phoenix-longpoll-token."""
    phone = await opened(house)
    other = Poller(house.http, x_phoenix_longpoll_token=str(phone.token))
    assert await other.post([None, "1", "phoenix", "heartbeat", {}]) == 200
    assert (await other.get())["messages"]


async def test_a_body_has_a_limit(house: Served) -> None:
    """Too much at once is refused, in bytes as in lines; the session goes on."""
    phone = await opened(house)
    huge = b"x" * (2 * house.context.settings.max_frame_bytes + 1)
    assert await phone.write(huge) == 413
    assert await phone.write(b"x\n" * 1000) == 413
    assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 200


@pytest.mark.parametrize("junk", [b"junk", b"[1,2]", b"\xff\xfe", b"AAAA"])
async def test_what_is_no_frame_ends_the_session(house: Served, junk: bytes) -> None:
    """As on a WebSocket; the next poll says 410, and the client comes back."""
    phone = await opened(house)
    first = phone.token
    assert await phone.write(junk) == 200
    body = await phone.get()
    assert (body["status"], body["token"] != first) == (410, True)


async def test_binary_previews_become_addresses(house: Served) -> None:
    """No binary frame can travel here, so `previews: binary` brings `preview_ready`."""
    script = {"script": [{"do": "preview", "step": 3}, {"do": "wait", "gate": "end"}]}
    phone = await opened(house)
    await phone.join(TOPIC, {"create": IMAGE | {"params": script}, "previews": "binary"})
    push = await phone.until(lambda f: f[3] == "preview_ready")
    answer = await house.http.get(push[4]["url"])
    house.scripted.gate("end").set()
    assert answer.content.startswith(b"\x89PNG")


async def test_a_later_poll_takes_the_place_of_a_held_one(house: Served) -> None:
    """The first is answered 204 at once; every frame goes to the second."""
    phone = await opened(house)
    first = asyncio.create_task(phone.get())
    session = house.context.polls.find(str(phone.token))
    assert session is not None
    async with asyncio.timeout(PATIENCE):
        while not session.is_polled:  # noqa: ASYNC110
            await asyncio.sleep(0)
    second = asyncio.create_task(phone.get())
    assert (await first)["status"] == 204
    assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 200
    body = await second
    assert (body["status"], len(body["messages"])) == (200, 1)


async def test_a_poll_whose_client_left_takes_nothing(house: Served) -> None:
    """What is told after the client went waits for its next poll."""
    phone = await opened(house)
    session = house.context.polls.find(str(phone.token))
    assert session is not None
    port = int(house.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {phone.address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        while not session.is_polled:  # noqa: ASYNC110
            await asyncio.sleep(0)
        writer.close()
        while session.is_polled:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 200
    assert len((await phone.get())["messages"]) == 1
    assert await reader.read() == b""


async def test_frames_that_wait_are_not_given_to_a_client_that_left(house: Served) -> None:
    """Even when frames were there before its poll: they stay for the next one."""
    phone = await opened(house)
    assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 200
    session = house.context.polls.find(str(phone.token))
    assert session is not None
    while not session.untaken:  # noqa: ASYNC110
        await asyncio.sleep(0)
    messages = iter(({"type": "http.request"}, {"type": "http.disconnect"}))

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    scope = {
        "type": "http",
        "method": "GET",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "query_string": f"token={phone.token}".encode(),
        "app": SimpleNamespace(state=SimpleNamespace(context=house.context)),
    }
    await longpoll(Request(scope, receive))
    assert len((await phone.get())["messages"]) == 1


async def test_only_the_latest_poll_takes(house: Served) -> None:
    """A poll that was replaced gets nothing, whatever has come since; and its end is not
    the other's absence."""
    session = Session("longpoll-x", "local", 10.0)
    first, second = session.begin(), session.begin()
    await session.send("[]")
    assert session.take(first) == []
    session.end(first)
    assert session.is_polled
    assert session.take(second) == ["[]"]


async def test_what_is_held_for_an_absent_client_is_bounded(house: Served) -> None:
    """A chatty task costs a buffer and a cursor; polling again brings every event once."""
    words = [{"do": "text", "delta": f"word {n} "} for n in range(MAX_HELD + 100)]
    phone = await opened(house)
    body = {"kind": "text", "prompt": "x", "model": "scripted/text", "params": {"script": words}}
    await phone.join(TOPIC, {"create": body, "after": 0})
    rest = await house.events("t1")
    first = await phone.get()
    while phone.told(TOPIC)[-1]["type"] != "completed":
        assert (await phone.get())["status"] == 200
    assert len(first["messages"]) <= MAX_HELD
    assert phone.told(TOPIC) == rest


async def test_sessions_are_seen_out(house: Served) -> None:
    """When the server goes down a held poll is answered at once, so that the client comes
    back to the next one; nobody is let in any more."""
    phone = await opened(house)
    held = asyncio.create_task(phone.get())
    session = house.context.polls.find(str(phone.token))
    assert session is not None
    async with asyncio.timeout(PATIENCE):
        while not session.is_polled:  # noqa: ASYNC110
            await asyncio.sleep(0)
    house.context.drain()
    await house.context.guests.see_out(1.0, asyncio.sleep)
    assert await held == {"status": 500}
    assert await phone.post([None, "1", "phoenix", "heartbeat", {}]) == 410
    await until_sessions(house, 0)
