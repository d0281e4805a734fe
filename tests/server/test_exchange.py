"""Requests that take the short way, however their bytes come and whatever happens meanwhile.

The protocol class is fed by hand, so each case is exact; over real sockets, and beside the
ordinary way, the same is tested in test_exchange_alike.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from safelight.doors import KEEP_ALIVE_SECONDS
from safelight.exchange import HttpProtocol
from safelight.store import Creation
from tests.doubles.clock import ManualClock
from tests.doubles.forgetful import forgetful
from tests.doubles.holding import Gate, holding
from tests.doubles.wired import House, Wired, wired

LOOK = b"GET /api/tasks/%b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WRONG = b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n[]"


def post(id: str = "", *, more: bytes = b"", **fields: Any) -> bytes:
    """A create of a task that hangs; `more` are headers."""
    named = {"id": id} if id else {}
    script = {"script": [{"do": "hang"}]}
    body = {"kind": "image", "prompt": "a lake", "model": "scripted/image", "params": script}
    data = json.dumps(body | named | fields).encode()
    head = b"POST /api/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n" % len(data)
    return head + more + b"\r\n" + data


def told(answer: bytes) -> tuple[int, Any]:
    """The status, and the id of the task or the code of the refusal."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, said = int(head.split(b" ")[1]), json.loads(body)
    return status, said.get("code") or said["data"].get("task_id")


def went_short(line: Wired) -> bool:
    """Whether nothing on this connection took the ordinary way."""
    return line.protocol.cycle is None and not line.protocol.tasks


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def house(tmp_path: Path, gate: Gate) -> AsyncIterator[House]:
    async with wired(tmp_path, holding(gate)) as running:
        yield running
        gate.open()


async def until_held(gate: Gate, count: int = 1) -> None:
    """So many creates are on disk, and nobody knows."""
    with anyio.fail_after(10):
        while gate.held < count:
            await anyio.lowlevel.checkpoint()


async def test_a_create_and_a_look_take_the_short_way(house: House) -> None:
    """Neither a cycle nor a task is made for them, and each answer is one write."""
    line = house.connect()
    line.send(post("a"))
    await line.answers(1)
    line.send(LOOK % b"a")
    assert [told(one) for one in await line.answers(2)] == [(202, "a"), (200, "a")]
    assert (went_short(line), line.wire.writes) == (True, 2)


@pytest.mark.parametrize("request_of", [post, lambda id: LOOK % b"there"], ids=["POST", "GET"])
async def test_it_may_be_cut_at_every_byte(house: House, request_of: Any) -> None:
    """Whatever part comes first, and the rest behind it: one and the same answer."""
    first = house.connect()
    first.send(post("there"))
    await first.answers()
    found = set()
    for cut in range(1, len(request_of("x000"))):
        line, data = house.connect(), request_of(f"x{cut:03}")
        line.send(data[:cut])
        line.send(data[cut:])
        status, name = told((await line.answers())[0])
        found.add((status, name in ("there", f"x{cut:03}")))
        assert not line.wire.closed
    assert len(found) == 1


async def test_it_may_come_byte_by_byte(house: House) -> None:
    """As slowly as can be, twice on one connection, and once at once behind that."""
    line = house.connect()
    for data in (post("a"), post("b")):
        for at in range(len(data)):
            line.send(data[at : at + 1])
    line.send(post("c"))
    assert [told(one) for one in await line.answers(3)] == [(202, name) for name in "abc"]


MIXES = {
    "creates": [post("a"), post("b"), post("c")],
    "looks": [post("a"), LOOK % b"a", LOOK % b"a", LOOK % b"a"],
    "short and ordinary": [post("a"), READY, LOOK % b"a", READY, post("b"), LOOK % b"b"],
    "ordinary first": [READY, post("a"), LOOK % b"a"],
    "refusals between": [post("a"), WRONG, post("a", seed=7), LOOK % b"none", post("b")],
    "empty lines between": [post("a"), b"\r\n\r\n", post("b"), b"\r\n", LOOK % b"a"],
}


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
async def test_answers_come_in_the_order_of_their_requests(house: House, mix: list[bytes]) -> None:
    """All at once, cut anywhere, or one after another: the same answers in the same order."""
    count = sum(bool(request.strip()) for request in mix)
    streams = [mix, [b"".join(mix)]]
    whole = b"".join(mix)
    streams += [[whole[:cut], whole[cut:]] for cut in range(1, len(whole), 7)]
    first: list[tuple[int, Any]] = []
    for number, stream in enumerate(streams):
        line = house.connect()
        for part in stream:
            line.send(part)
        found = [told(one) for one in await line.answers(count)]
        found = [(200 if status == 202 else status, name) for status, name in found]
        first = found if number == 0 else first
        assert found == first


async def test_what_comes_behind_waits_unread(house: House, gate: Gate) -> None:
    """While an answer is awaited what is there already is kept, and more is not read."""
    gate.shut = True
    line = house.connect()
    line.send(post("a") + LOOK % b"a")
    assert not line.wire.reading
    line.send(READY)
    await until_held(gate)
    assert line.wire.written == b""
    gate.open()
    statuses = [told(one)[0] for one in await line.answers(3)]
    assert (statuses, line.wire.reading) == ([202, 200, 200], True)


async def test_a_client_that_goes_leaves_its_task(house: House, gate: Gate) -> None:
    """Nobody hears the answer; the task is there, and nothing else happens."""
    gate.shut = True
    line = house.connect()
    line.send(post("a") + READY)
    await until_held(gate)
    line.lose()
    gate.open()
    later = house.connect()
    later.send(LOOK % b"a")
    assert told((await later.answers())[0]) == (200, "a")
    assert (line.wire.written, line.wire.late) == (b"", b"")


async def test_an_answer_under_way_is_the_last_of_a_server_that_ends(
    house: House, gate: Gate
) -> None:
    """It comes, says that it is the last, and the connection is closed behind it; what else
    was asked is not begun."""
    gate.shut = True
    line, idle = house.connect(), house.connect()
    line.send(post("a") + post("b"))
    await until_held(gate)
    for one in (line, idle):
        one.protocol.shutdown()
    assert (line.wire.closed, idle.wire.closed) == (False, True)
    gate.open()
    (answer,) = await line.answers()
    assert told(answer) == (202, "a") and b"\r\nconnection: close\r\n\r\n" in answer
    assert line.wire.closed


async def test_a_store_that_is_closed_is_told(tmp_path: Path, gate: Gate) -> None:
    """A create that meets the end of the store is answered like any other."""
    async with wired(tmp_path, holding(gate)) as house:
        line = house.connect()
    line.send(post("a"))
    assert told((await line.answers())[0])[0] == 503


async def test_a_client_that_takes_nothing_is_answered_the_ordinary_way(house: House) -> None:
    """Nothing more is written while the write buffer is full."""
    line = house.connect()
    line.send(post("a"))
    await line.answers(1)
    line.protocol.pause_writing()
    line.send((LOOK % b"a") * 3)
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    assert line.wire.writes == 1
    line.protocol.resume_writing()
    assert len(await line.answers(4)) == 4


async def test_many_looks_at_once_let_others_in_between(house: House) -> None:
    """One client's heap of requests is answered one a turn of the loop."""
    greedy, other = house.connect(), house.connect()
    greedy.send(post("a"))
    await greedy.answers(1)
    greedy.send((LOOK % b"a") * 50)
    other.send(LOOK % b"a")
    assert len(other.wire.written) and greedy.wire.writes == 2
    assert len(await greedy.answers(51)) == 51


@pytest.mark.parametrize("more", [b"Connection: keep-alive\r\n", b"Connection: close\r\n"])
async def test_a_connection_is_kept_as_it_is_asked(house: House, more: bytes) -> None:
    """Both ways say the same, and only one of them is short."""
    line = house.connect()
    line.send(post("a", more=more))
    (answer,) = await line.answers()
    closes = b"close" in more
    assert (line.wire.closed, b"connection: close" in answer) == (closes, closes)
    assert went_short(line) is not closes


class Timed:
    """The loop of the test, but for its time."""

    def __init__(self, clock: ManualClock) -> None:
        self._loop = asyncio.get_running_loop()
        self.time, self.call_later = clock.time, clock.call_later

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


async def test_an_idle_connection_is_closed_in_its_time(house: House, gate: Gate) -> None:
    """Its time runs from its last answer, and not while one is awaited."""
    clock = ManualClock()
    line = house.connect(Timed(clock))
    line.send(post("a"))
    await line.answers(1)
    clock.advance(KEEP_ALIVE_SECONDS - 1)
    gate.shut = True
    line.send(post("b"))
    await until_held(gate)
    clock.advance(10 * KEEP_ALIVE_SECONDS)
    assert not line.wire.closed
    gate.open()
    await line.answers(2)
    clock.advance(KEEP_ALIVE_SECONDS - 1)
    assert not line.wire.closed
    clock.advance(1)
    assert line.wire.closed


async def test_a_request_in_part_is_owed_in_time(tmp_path: Path) -> None:
    """Behind a request of the short way as behind any other."""
    clock = ManualClock()
    async with wired(tmp_path, request_seconds=8.0, clock=clock) as house:
        line = house.connect()
        line.send(post("a") + post("b")[:-1])
        await line.answers(1)
        with anyio.fail_after(10):
            while not clock.running:
                await anyio.lowlevel.checkpoint()
        clock.advance(7)
        assert not line.wire.closed
        clock.advance(1)
        assert line.wire.closed


async def test_our_protocol_is_what_is_tested(house: House) -> None:
    """The server's configuration names it."""
    assert house.config.http is HttpProtocol


async def test_a_commit_whose_end_is_lost_is_looked_up(tmp_path: Path) -> None:
    """The task is there, so its client is told so."""
    opened = forgetful(lambda item: isinstance(item, Creation))
    async with wired(tmp_path, opened) as house:
        line = house.connect()
        line.send(post("a"))
        assert told((await line.answers())[0]) == (202, "a")
        assert went_short(line)


async def test_a_task_of_an_earlier_run_is_read_first(tmp_path: Path) -> None:
    """Whoever asks for it again attaches to it, though nothing of it is in memory."""
    done = {"params": {"script": []}}
    async with wired(tmp_path) as house:
        line = house.connect()
        line.send(post("a", **done))
        (answer,) = await line.answers()
        with anyio.fail_after(10):
            while b'"status":"completed"' not in answer:
                await anyio.lowlevel.checkpoint()
                line.wire.written = b""
                line.send(LOOK % b"a")
                (answer,) = await line.answers()
    async with wired(tmp_path) as house:
        line = house.connect()
        line.send(post("a", **done))
        (answer,) = await line.answers()
        assert (told(answer), b'"attached":true' in answer) == ((200, "a"), True)
        assert went_short(line)


async def test_a_defect_is_told_by_its_reference(tmp_path: Path) -> None:
    """What is wrong with us is logged, and no more of it is said than where to look."""
    error = RuntimeError("secret")
    opened = forgetful(lambda item: isinstance(item, Creation), writes=False, error=error)
    async with wired(tmp_path, opened) as house:
        line = house.connect()
        line.send(post("a") + post("b"))
        broken, well = await line.answers(2)
        assert (told(broken), told(well)) == ((500, "internal"), (202, "b"))
        assert b"secret" not in broken and b'"reference":"' in broken


async def test_what_has_to_wait_for_more_takes_the_ordinary_way(house: House) -> None:
    """A picture to start from is looked up first."""
    line = house.connect()
    line.send(post("a", inputs=[{"task": "none"}]))
    assert told((await line.answers())[0]) == (400, "invalid")
    assert not went_short(line)
