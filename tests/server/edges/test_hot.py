"""The short way to the hottest routes: as fast as it may be, it answers like the other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest
from starlette.applications import Starlette

from tests.doubles.served import Served, served

IMAGE = {"kind": "image", "prompt": "a lake", "model": "scripted/image"}

REQUESTS: list[tuple[str, str, Any]] = [
    ("POST", "/api/tasks", IMAGE | {"id": "one"}),
    ("POST", "/api/tasks", IMAGE | {"id": "one", "seed": 7}),
    ("POST", "/api/tasks", {"kind": "sound", "width": 1}),
    ("POST", "/api/tasks", {"input_data": {"type": "image"}}),
    ("POST", "/api/tasks", []),
    ("POST", "/api/tasks/", IMAGE),
    ("GET", "/api/tasks/one", None),
    ("GET", "/api/tasks/%6Fne", None),
    ("GET", "/api/tasks/none", None),
    ("GET", "/api/tasks/", None),
    ("GET", "/api/tasks/one/two", None),
    ("HEAD", "/api/tasks/one", None),
    ("PUT", "/api/tasks/one", None),
    ("PUT", "/api/tasks", None),
    ("GET", "/api/tasks:batch", None),
]


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that takes the ordinary way with whoever sends `x-ordinary`."""

    def wrapped(app: Any) -> Any:
        async def chosen(scope: Any, receive: Any, send: Any) -> None:
            ordinary = any(name == b"x-ordinary" for name, _ in scope.get("headers", ()))
            way = Starlette.__call__ if ordinary else type(app).__call__
            await way(app, scope, receive, send)

        return chosen

    async with served(tmp_path / "data", wrapped=wrapped) as house:
        yield house


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=str)
async def test_both_ways_answer_alike(both: Served, method: str, path: str, body: Any) -> None:
    """Status, headers and body are the same, whatever is wrong with the request."""
    await both.create(id="one", prompt="a lake", params={})
    await both.events("one")
    told = []
    for headers in ({}, {"x-ordinary": "1"}):
        answer = await both.http.request(method, path, json=body, headers=headers)
        named = {k: v for k, v in answer.headers.items() if k != "date"}
        told.append((answer.status_code, named, re.sub(r"[0-9a-f]{12}", "", answer.text)))
    assert told[0] == told[1]


async def test_a_body_that_comes_late_is_waited_for(both: Served) -> None:
    """The headers alone begin a create; its body may come in parts."""
    body = b'{"kind": "image", "prompt": "a lake", "model": "scripted/image"}'
    host, port = both.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/tasks HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode())
    for part in (body[:10], body[10:]):
        while not len(both.context.guests):
            await anyio.lowlevel.checkpoint()
        writer.write(part)
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    writer.close()
    await writer.wait_closed()
