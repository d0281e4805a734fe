"""The short way and the ordinary one, over real sockets: the same bytes for the same requests.

Two servers get the same requests; one of them is not offered the short way. Names, times and
what is drawn by chance are taken out of what they say, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from tests.doubles.deaf import Line, line_to
from tests.doubles.holding import Gate, holding
from tests.doubles.served import PATIENCE, Served, served

TOKEN = "a-token-of-these-tests"
MINE = b"Authorization: Bearer " + TOKEN.encode()
HANG = {"script": [{"do": "hang"}]}
IMAGE = {"kind": "image", "prompt": "a lake", "model": "scripted/image", "seed": 7, "params": HANG}
GOODBYE = b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
MOST_BODY = 4096

CHANCE = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}"  # uids
    rb"|\d{4}-\d\d-\d\dT[0-9:.]+Z"
    rb"|(?<=date: )[^\r]+"
    rb'|(?<="log":")[0-9a-f]+|(?<="cursor":")[0-9a-f]+'
)


def post(body: Any, *headers: bytes, line: bytes = b"POST /api/tasks HTTP/1.1") -> bytes:
    """A create, with a token unless `headers` has another."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    said = any(name.lower().startswith(b"authorization") for name in headers)
    sent = [b"Host: 127.0.0.1", *headers, *([] if said else [MINE])]
    return b"\r\n".join([line, *sent, b"Content-Length: %d" % len(data), b"", data])


def get(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    """A look."""
    return b"\r\n".join([method + b" " + path + b" HTTP/1.1", b"Host: a", MINE, *headers, b"", b""])


REQUESTS = {
    "a create": post(IMAGE),
    "with an id": post(IMAGE | {"id": "a"}),
    "with the id of another": post(IMAGE | {"id": "there", "seed": 8}),
    "with the id of itself": post(IMAGE | {"id": "there", "prompt": "there"}),
    "alike": post(IMAGE),
    "with a key": post(IMAGE, b"Idempotency-Key: one"),
    "with a key that is none": post(IMAGE, b"Idempotency-Key: " + b"x" * 300),
    "with a key and a request_id": post(IMAGE | {"request_id": "b"}, b"Idempotency-Key: a"),
    "with warnings": post(IMAGE | {"params": HANG | {"width": 64, "unheard_of": 1}}),
    "from a picture that is none": post(IMAGE | {"inputs": [{"task": "none"}]}),
    "for a model that is none": post(IMAGE | {"model": "none/at-all"}),
    "with a wrong field": post(IMAGE | {"size": 1}),
    "of a wrong kind": post({"kind": "sound"}),
    "of a list": post([]),
    "of nothing": post(b""),
    "of no JSON": post(b'{"kind": "image"'),
    "of no UTF-8": post(b'{"kind": "\xff"}'),
    "of the deployed app": post({"input_data": {"type": "image", "prompt": ""}}),
    "too large": post(IMAGE | {"prompt": "x" * MOST_BODY}),
    "as large as may be": post(json.dumps(IMAGE).encode().ljust(MOST_BODY)),
    "with a wrong token": post(IMAGE, b"Authorization: Bearer wrong"),
    "with no token": post(IMAGE, b"Authorization: Basic x"),
    "with a token in odd letters": post(IMAGE, b"AUTHORIZATION: bEARER  " + TOKEN.encode()),
    "with a token in the query": post(
        IMAGE, b"Authorization: ", line=b"POST /api/tasks?token=%b HTTP/1.1" % TOKEN.encode()
    ),
    "from a foreign page": post(IMAGE, b"Origin: http://evil.example"),
    "from a page of ours": post(IMAGE, b"Origin: http://127.0.0.1"),
    "with a preference": post(IMAGE, b"Prefer: wait=0"),
    "with leave to wait for": post(IMAGE, b"Expect: 100-continue"),
    "behind a proxy": post(IMAGE, b"X-Forwarded-For: 10.0.0.1"),
    "to be the last": post(IMAGE, b"Connection: close"),
    "to be kept": post(IMAGE, b"Connection: Keep-Alive"),
    "of an older version": post(IMAGE, line=b"POST /api/tasks HTTP/1.0"),
    "elsewhere": post(IMAGE, line=b"POST /api/tasks/ HTTP/1.1"),
    "of another method": post(IMAGE, line=b"PUT /api/tasks HTTP/1.1"),
    "in small letters": post(IMAGE, line=b"post /api/tasks HTTP/1.1"),
    "with a large head": post(IMAGE, b"X: " + b"x" * 5000),
    "with a folded header": post(IMAGE, b"X: x\r\n y"),
    "with no header": post(IMAGE, b"no header"),
    "in chunks": b"POST /api/tasks HTTP/1.1\r\nHost: a\r\n%b\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n[]\r\n0\r\n\r\n" % MINE,
    "a look": get(b"/api/tasks/there"),
    "a look at none": get(b"/api/tasks/none"),
    "a look with an escape": get(b"/api/tasks/%74here"),
    "a look with a query": get(b"/api/tasks/there?x"),
    "a look with a body": get(b"/api/tasks/there", b"Content-Length: 3") + b"abc",
    "a look at nothing": get(b"/api/tasks/"),
    "a look at a part": get(b"/api/tasks/there/none"),
    "a look at the head": get(b"/api/tasks/there", method=b"HEAD"),
    "a look from a foreign page": get(b"/api/tasks/there", b"Origin: http://evil.example"),
    "a look by nobody": b"GET /api/tasks/there HTTP/1.1\r\nHost: a\r\n\r\n",
}


def plain(app: Any) -> Any:
    """The application without its short way."""

    async def only_asgi(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return only_asgi


async def settled(house: Served, id: str) -> None:
    """Make a task, and return once it hangs: its places are taken, and it says the same."""
    await house.create(**IMAGE | {"id": id, "prompt": id})
    async with asyncio.timeout(PATIENCE):
        while (await house.http.get(f"/api/tasks/{id}")).json()["data"]["status"] == "queued":
            pass


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[list[Served]]:
    """Two servers whose places are taken; on the second one everything takes the ordinary way."""
    shared = {"tokens": {TOKEN: "me"}, "max_body_bytes": MOST_BODY}
    async with (
        served(tmp_path / "a", **shared) as one,
        served(tmp_path / "b", wrapped=plain, **shared) as other,
    ):
        for house in (one, other):
            house.http.headers["Authorization"] = f"Bearer {TOKEN}"
            for id in ("there", "two", "three", "four"):
                await settled(house, id)
        yield [one, other]


async def heard(line: Line, request: bytes, *, at_once: bool) -> bytes:
    """All that is said until the connection ends, which is asked for behind the request."""
    if at_once:
        await line.write(request + GOODBYE)
        return await line.read_to_end()
    await line.write(request)
    said = await line.read()
    with suppress(OSError):  # it may have ended by itself
        await line.write(GOODBYE)
    return said + await line.read_to_end()


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "one by one"])
async def test_both_ways_say_the_same(two: list[Served], at_once: bool) -> None:
    """Byte for byte, whatever is asked, and each connection ends in the same way."""
    for name, request in REQUESTS.items():
        said = []
        for house in two:
            async with line_to(house.url) as line:
                said.append(CHANCE.sub(b"*", await heard(line, request, at_once=at_once)))
        assert said[0] == said[1], name
        assert said[0].startswith(b"HTTP/1.1 "), name


async def test_whoever_hangs_up_half_way_has_its_task(tmp_path: Path) -> None:
    """A client that says that it sends no more is gone, as it always was; its task is made."""
    async with served(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(house))
        writer.write(post(IMAGE | {"id": "mine"}))
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            await reader.read()
            while (await house.http.get("/api/tasks/mine")).status_code != 200:
                pass
        writer.close()
        await writer.wait_closed()


async def test_a_server_that_ends_answers_what_it_took(tmp_path: Path) -> None:
    """The commit is not learnt yet when it is told to end: its client hears of it, and that
    nothing comes behind."""
    gate = Gate()
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(served(tmp_path, opened=holding(gate)))
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(house))
        gate.shut = True
        writer.write(post(IMAGE | {"id": "mine"}) + GOODBYE)
        async with asyncio.timeout(PATIENCE):
            while not gate.held:
                await anyio.lowlevel.checkpoint()
            (asked,) = house.connections
            ending = asyncio.create_task(stack.aclose())
            while not asked._last:
                await anyio.lowlevel.checkpoint()
            gate.open()
            said = await reader.read()
            await ending
    assert said.startswith(b"HTTP/1.1 202 ") and said.count(b"HTTP/1.1") == 1
    assert b"\r\nconnection: close\r\n" in said
    writer.close()
    await writer.wait_closed()


def port_of(house: Served) -> int:
    """Where it listens."""
    return int(house.url.rpartition(":")[2])
