"""What a create and a look at a task may cost, counted: statements, visits to the database's
thread, transactions, encodes, tasks of the event loop, and what stays in memory.

No clock is read here. The application is called as a server calls it, without sockets; a
few tasks that never end take all places first, so that nothing is claimed meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio.lowlevel
import msgspec
import pytest
from uvicorn.server import ServerState

from safelight import telemetry
from safelight.app import create_app
from safelight.doors import Config
from safelight.providers.scripted import Scripted
from safelight.settings import Settings
from safelight.store import database, open_store
from tests.doubles.wired import Wired, alive

TOGETHER = 64
PLACES = 4
HEADERS = [(b"host", b"127.0.0.1:4747"), (b"content-type", b"application/json")]


class Counting:
    """A connection that counts what is asked of it; the rest is the real one's."""

    def __init__(self, real: Any, counted: Counter[str]) -> None:
        self._real = real
        self._counted = counted

    async def execute_fetchall(self, statement: str, values: Any = ()) -> Any:
        """One statement, one visit."""
        self._count([(statement, values)])
        return await self._real.execute_fetchall(statement, values)

    async def execute_all(self, statements: Any, done: list[Any]) -> None:
        """Many statements, one visit."""
        self._count(statements)
        await self._real.execute_all(statements, done)

    def _count(self, statements: Any) -> None:
        self._counted["visits"] += 1
        self._counted["statements"] += len(statements)
        self._counted["commits"] += sum(statement == "COMMIT" for statement, _ in statements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Shop:
    """A running application; `counted` grows with every statement, encode and task."""

    def __init__(self, app: Any, config: Config, counted: Counter[str]) -> None:
        self.app = app
        self._config = config
        self.counted = counted
        self._made = 0

    async def ask(self, method: str, path: str, body: bytes = b"", *headers: Any) -> Any:
        """One request; the status and what is in the answer."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1"}
        scope |= {"method": method, "scheme": "http", "path": path, "query_string": b""}
        scope |= {"client": ("127.0.0.1", 1), "headers": [*HEADERS, *headers]}
        await self.app(scope, receive, send)
        return sent[0]["status"], msgspec.json.decode(sent[1]["body"])["data"]

    async def create(self, *headers: Any) -> str:
        """A task that nobody has asked for before; its id."""
        status, data = await self.ask("POST", "/api/tasks", self._body(), *headers)
        assert status == 202
        return str(data["task_id"])

    def _body(self) -> bytes:
        self._made += 1
        body: dict[str, Any] = {
            "kind": "image",
            "prompt": f"number {self._made}",
            "model": "scripted/image",
        }
        body["params"] = {"script": [{"do": "hang"}]}
        return msgspec.json.encode(body)

    def connect(self) -> Wired:
        """A connection of our own server."""
        return Wired(self._config, ServerState())

    def request(self) -> bytes:
        """The bytes of such a create."""
        body = self._body()
        head = b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
        return head % len(body) + body

    async def cost(self, *work: Callable[[], Awaitable[Any]]) -> Counter[str]:
        """What doing all of it at once comes to; a task of the loop each is ours."""
        self.counted.clear()
        sys.setprofile(self._profile)
        try:
            await asyncio.gather(*(one() for one in work))
        finally:
            sys.setprofile(None)
        self.counted["tasks"] -= len(work)
        return Counter(self.counted)

    def _profile(self, frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and called.__name__ in ("encode", "json_encode"):
            self.counted["encodes"] += not isinstance(called.__self__, str)
        elif event == "call":
            self.counted["calls"] += 1
            if frame.f_code.co_qualname.startswith("Dispatcher."):
                self.counted[frame.f_code.co_qualname] += 1


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """An application whose places are all taken."""
    counted: Counter[str] = Counter()
    telemetry.configure("warning", "json", strict=False)

    async def connect(path: Path, *, read_only: bool = False) -> Any:
        return Counting(await database.connect(path, read_only=read_only), counted)

    opened = partial(open_store, connect=connect)
    settings = Settings(data_dir=str(tmp_path), scripted=True)
    app = create_app(settings, {"scripted": Scripted()}, opened)
    loop = asyncio.get_running_loop()

    def begin(loop: Any, work: Any, **named: Any) -> asyncio.Task[Any]:
        counted["tasks"] += 1
        return asyncio.Task(work, loop=loop, **named)

    config = Config(app, settings)
    config.load()
    async with alive(app):
        shop = Shop(app, config, counted)
        names = [await shop.create() for _ in range(2 * PLACES)]
        await until_busy(shop, names[:PLACES])
        loop.set_task_factory(begin)
        try:
            yield shop
        finally:
            loop.set_task_factory(None)


async def until_busy(shop: Shop, names: list[str]) -> None:
    """Return once these tasks run."""
    async with asyncio.timeout(10):
        for name in names:
            while (await shop.ask("GET", f"/api/tasks/{name}"))[1]["status"] == "queued":
                await anyio.lowlevel.checkpoint()
        while shop.app.state.context.statistics()["predictions"] < PLACES:
            await anyio.lowlevel.checkpoint()


async def test_a_create_alone_is_one_visit_and_one_commit(shop: Shop) -> None:
    """It begins, writes three rows and commits: five statements in all, and asks nothing."""
    cost = await shop.cost(shop.create)
    assert (cost["visits"], cost["statements"], cost["commits"]) == (1, 5, 1)


async def test_a_create_with_a_key_asks_one_more_thing(shop: Shop) -> None:
    """Its key is looked up, in a visit before, and written."""
    cost = await shop.cost(partial(shop.create, (b"idempotency-key", b"mine")))
    assert (cost["visits"], cost["statements"], cost["commits"]) == (2, 7, 1)


async def test_many_creates_are_as_many_statements_as_one(shop: Shop) -> None:
    """What arrives at the same moment is one transaction, each table one INSERT."""
    cost = await shop.cost(*[shop.create] * TOGETHER)
    assert (cost["visits"], cost["statements"], cost["commits"]) == (1, 5, 1)


async def test_a_create_starts_no_task_of_the_loop(shop: Shop) -> None:
    """It is done where it was asked for, and outlives that without a task of its own."""
    cost = await shop.cost(*[shop.create] * TOGETHER)
    assert cost["tasks"] == 0


async def test_a_create_encodes_each_thing_once(shop: Shop) -> None:
    """Its parameters (by which a resolution is remembered), its likeness, its first event, the
    two halves of its row, its snapshot, what stands beside that, and the sentence: eight. The
    test's own request is one more."""
    cost = await shop.cost(*[shop.create] * TOGETHER)
    assert cost["encodes"] == 9 * TOGETHER


async def test_a_create_takes_few_calls(shop: Shop) -> None:
    """Calls of Python functions, by and large what its time goes to; a tenth is to spare."""
    cost = await shop.cost(*[shop.create] * TOGETHER)

    assert cost["calls"] / TOGETHER < 167


async def posted(lines: list[Wired], requests: list[bytes]) -> None:
    """Send one on each connection, and wait for the last answer."""
    for line, request in zip(lines, requests, strict=True):
        line.send(request)
    await lines[-1].wire.wrote.wait()


async def test_a_create_that_came_whole_starts_nothing(shop: Shop) -> None:
    """On our own server neither a task nor a cycle of uvicorn is made for it; its answer is one
    write, and what is told in it is encoded as it is on the ordinary way."""
    lines = [shop.connect() for _ in range(TOGETHER)]
    cost = await shop.cost(partial(posted, lines, [shop.request() for _ in lines]))
    assert [line.wire.writes for line in lines] == [1] * TOGETHER
    assert all(line.wire.written.startswith(b"HTTP/1.1 202 ") for line in lines)
    assert [line.protocol.cycle for line in lines] == [None] * TOGETHER
    assert (cost["tasks"], cost["encodes"]) == (0, 8 * TOGETHER)
    assert (cost["visits"], cost["statements"], cost["commits"]) == (1, 5, 1)


async def test_creates_that_only_wait_do_not_wake_who_claims(shop: Shop) -> None:
    """While all places are taken, a new task is no news to the dispatcher; nothing looks
    through its lines."""
    names = ("take", "due", "overdue")
    cost = await shop.cost(*[shop.create] * TOGETHER)
    assert [cost[f"Dispatcher.{name}"] for name in names] == [0, 0, 0]


async def test_a_create_that_came_whole_takes_few_calls(shop: Shop) -> None:
    """From the bytes of the request to those of the answer; a tenth is to spare."""
    lines = [shop.connect() for _ in range(TOGETHER)]
    requests = [shop.request() for _ in lines]
    cost = await shop.cost(partial(posted, lines, requests))
    assert cost["calls"] / TOGETHER < 140


async def test_a_look_at_a_live_task_costs_the_database_nothing(shop: Shop) -> None:
    """Its row and its snapshot are in memory."""
    id = await shop.create()
    cost = await shop.cost(partial(shop.ask, "GET", f"/api/tasks/{id}"))
    assert (cost["visits"], cost["tasks"], cost["encodes"]) == (0, 0, 3)


async def test_a_create_leaves_no_cycle_behind(shop: Shop) -> None:
    """What is done with it goes at once, and waits for no collection of garbage."""
    await asyncio.gather(*[shop.create()])
    gc.collect()
    gc.disable()
    try:
        await asyncio.gather(*(shop.create() for _ in range(TOGETHER)))
        assert gc.collect() < TOGETHER / 2
    finally:
        gc.enable()


async def test_what_stays_of_a_create_is_little(shop: Shop) -> None:
    """The task, its place in the line and its tail: blocks of memory that are kept."""
    await asyncio.gather(*(shop.create() for _ in range(TOGETHER)))
    gc.collect()
    before = sys.getallocatedblocks()
    await asyncio.gather(*(shop.create() for _ in range(4 * TOGETHER)))
    gc.collect()
    assert (sys.getallocatedblocks() - before) / (4 * TOGETHER) < 70


async def test_what_stays_of_a_create_is_hardly_looked_at(shop: Shop) -> None:
    """Objects that the collector of garbage goes through, again and again while they live:
    keys of what it is known by, and no more."""
    await asyncio.gather(*(shop.create() for _ in range(TOGETHER)))
    gc.collect()
    before = len(gc.get_objects())
    gc.disable()
    try:
        await asyncio.gather(*(shop.create() for _ in range(4 * TOGETHER)))
        await shop.create()  # the rows of the group before it are let go
        assert (len(gc.get_objects()) - before) / (4 * TOGETHER) < 5
    finally:
        gc.enable()
