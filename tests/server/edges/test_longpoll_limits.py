"""What one client of the long-poll transport may cost all the others."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.requests import Request

from safelight.edges import polls
from safelight.edges.longpoll import longpoll
from tests.doubles.deaf import line_to
from tests.doubles.poller import PATH, Poller
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

CHUNK = b"x" * 1000
FAR_TOO_MUCH = 16 * 1024 * 1024


class Sender:
    """A request whose body has no end, and how many bytes of it were taken."""

    def __init__(self, house: Served, method: str, query: str, lead: Iterator[bytes]) -> None:
        self.taken = 0
        self._chunks = itertools.chain(lead, itertools.repeat(CHUNK))
        self.scope = {
            "type": "http",
            "method": method,
            "headers": [],
            "client": ("127.0.0.1", 1),
            "query_string": query.encode(),
            "app": SimpleNamespace(state=SimpleNamespace(context=house.context)),
        }

    async def receive(self) -> Any:
        """One part of it."""
        chunk = next(self._chunks)
        self.taken += len(chunk)
        assert self.taken < FAR_TOO_MUCH
        return {"type": "http.request", "body": chunk, "more_body": True}


async def opened(house: Served, **headers: str) -> Poller:
    poller = Poller(house.http, **headers)
    await poller.open()
    return poller


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_body_without_end_is_not_taken(house: Served, method: str) -> None:
    """A poll has no body: one part of any is enough to refuse it, for a session as without
    one. Frames are taken up to their limit, and the part that passes it."""
    phone = await opened(house)
    limit = 2 * house.context.settings.max_frame_bytes if method == "POST" else 0
    for query in (f"token={phone.token}", "vsn=2.0.0")[: 1 if limit else 2]:
        sender = Sender(house, method, query, iter([b"", b""]))
        async with asyncio.timeout(PATIENCE):
            answer = await longpoll(Request(sender.scope, sender.receive))
        assert answer.body == b'{"status":413}'
        assert limit < sender.taken <= limit + len(CHUNK)
    assert house.context.statistics()["longpolls"] == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_half_a_request_is_seen_out(house: Served, method: str) -> None:
    """When the server goes down who has not sent all of it is told to try again."""
    phone = await opened(house)
    head = f"{method} {phone.address} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n"
    async with line_to(house.url) as line:
        await line.write(head.encode())
        await until(lambda: len(house.context.guests) >= 2)
        house.context.drain()
        await house.context.guests.see_out(1.0, asyncio.sleep)
        told = await line.read()
        if not told.endswith(b"}"):
            told += await line.read()
    assert told.startswith(b"HTTP/1.1 200") and told.endswith(b'{"status":500}')


async def test_an_owner_has_so_many_sessions(tmp_path: Path) -> None:
    """One more is told to come back, other owners are let in, and an end makes room."""
    tokens = {"secret-a": "ann", "secret-b": "bob"}
    async with served(tmp_path, tokens=tokens, longpoll_sessions=2) as house:
        first, _ = [await opened(house, x_phoenix_authtoken="secret-a") for _ in range(2)]
        assert await Poller(house.http, x_phoenix_authtoken="secret-a").get() == {"status": 500}
        await opened(house, x_phoenix_authtoken="secret-b")
        await first.write(b"no frame")
        while (await first.get())["status"] == 200:
            pass
        assert house.context.statistics()["longpolls"] == 3


async def test_there_are_only_so_many_sessions() -> None:
    """Whatever each owner may have, all of them together have an end; an end makes room."""
    async with anyio.create_task_group() as group:
        sessions = polls.Polls(group, window=1.0, each=polls.MAX_SESSIONS)
        made = [sessions.create(f"owner-{n % 3}") for n in range(polls.MAX_SESSIONS)]
        assert made[0] is not None and None not in made
        assert sessions.create("somebody else") is None
        sessions.start(made[0], anyio.lowlevel.checkpoint)
    assert sessions.create("somebody else") is not None


async def test_where_all_are_one_owner_an_address_has_so_many(tmp_path: Path) -> None:
    """Without tokens nobody takes the places of callers elsewhere."""
    async with served(tmp_path, anonymous_owner="all", longpoll_sessions=2) as house:
        far = {"x_forwarded_for": "203.0.113.7"}
        for _ in range(2):
            await opened(house, **far)
        assert await Poller(house.http, **far).get() == {"status": 500}
        await opened(house, x_forwarded_for="203.0.113.8")


async def test_a_session_that_is_never_polled_ends_soon(house: Served) -> None:
    """A client polls as soon as it has its token; once it did, it has longer."""
    session = house.context.polls.create("ann")
    assert session is not None
    assert session.patience == polls.FIRST_POLL_SECONDS
    session.end(session.begin())
    assert session.patience == 1.5 * house.context.settings.longpoll_seconds


CROSS = {"sec_fetch_site": "cross-site"}


async def test_an_image_of_another_site_opens_no_session(house: Served) -> None:
    """It names no origin, but browsers say from where it is asked; our own page and
    programs open as many as they like."""
    assert await Poller(house.http, **CROSS).get() == {"status": 403}
    await opened(house, sec_fetch_site="same-origin")
    await opened(house, sec_fetch_site="none")
    assert house.context.statistics()["longpolls"] == 2


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"allowed_origins": ("https://app.example",)}, {"origin": "https://app.example"}),
        ({"allowed_origins": ("*",)}, {}),
        ({"tokens": {"secret-a": "ann"}}, {"x_phoenix_authtoken": "secret-a"}),
    ],
    ids=["an allowed page", "all are allowed", "a token"],
)
async def test_who_may_ask_from_another_site(
    tmp_path: Path, settings: dict[str, Any], headers: dict[str, str]
) -> None:
    """A page that may ask names its origin, and a token is a right by itself."""
    async with served(tmp_path, **settings) as house:
        answer = await opened(house, **CROSS, **headers)
        assert (await house.http.get(PATH, headers={"x": "y"})).status_code == 200
        assert answer.token


async def test_who_took_more_than_a_megabyte_of_answers_is_heard_again(house: Served) -> None:
    """What waits for a poll stops the reading only while nobody polls for it."""
    poller = await opened(house)

    async def said(ref: int, payload: dict[str, str]) -> int:
        frame = ["1", str(ref), "tasks:mine", "ping" if ref > 1 else "phx_join", payload]
        answer = await house.http.post(poller.address, content=json.dumps(frame))
        status: int = answer.json()["status"]
        return status

    assert await said(1, {}) == 200
    taken = 0
    for ref in range(2, 11):
        assert await said(ref, {"x": "x" * 200_000}) in (200, 408)
    async with asyncio.timeout(PATIENCE):
        while taken < 6:  # of the join and of the pings that fitted
            taken += len((await house.http.get(poller.address)).json().get("messages") or [])
        while await said(50, {}) != 200:
            await house.http.get(poller.address)
