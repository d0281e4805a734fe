"""Parts of requests, and what comes behind one: nothing is hidden, overtaken or heaped up.

The short way reads what it is given where a request may begin, and nowhere else. Each part
comes by itself, as one segment of TCP would.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from safelight.doors import KEEP_ALIVE_SECONDS
from tests.doubles.clock import ManualClock
from tests.doubles.holding import Gate, holding
from tests.doubles.wired import House, Wired, wired
from tests.server.test_exchange import LOOK, READY, Timed, post, told, until_held

HIDDEN = LOOK % b"a"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(HIDDEN)
BEGUN = {
    "a header": READY[:-2] + b"X: ",
    "a body that is waited for": b"POST /api/tasks HTTP/1.1\r\nHost: a\r\n" + LENGTH,
    "a body that nobody wants": b"POST /nowhere HTTP/1.1\r\nHost: a\r\n" + LENGTH,
    "a chunk": b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n" % len(HIDDEN),
}


async def a_while() -> None:
    """Let answers come that need nothing more."""
    for _ in range(50):
        await anyio.lowlevel.checkpoint()


async def with_a_task(house: House, loop: Any = None) -> Wired:
    """A connection, and a task in memory to look at."""
    other = house.connect()
    other.send(post("a"))
    await other.answers(1)
    return house.connect(loop)


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
async def test_a_part_that_looks_like_a_request_is_none(tmp_path: Path, begun: bytes) -> None:
    """What is begun goes on, also where its answer is there before its end."""
    async with wired(tmp_path) as house:
        line = await with_a_task(house)
        line.send(begun)
        await a_while()
        line.send(HIDDEN)
        await line.answers(1)
        assert b"task_id" not in line.wire.written


async def test_what_is_kept_is_read_where_it_begins(tmp_path: Path) -> None:
    """Behind a request that waits for its commit, a body in two parts stays a body."""
    async with wired(tmp_path) as house:
        line: Any = await with_a_task(house)
        line.send(post("b") + BEGUN["a body that is waited for"])
        line.send(HIDDEN)
        answers = await line.answers(2)
        assert [b'"task_id":"b"' in one for one in answers] == [True, False]
        assert b'"task_id":"a"' not in answers[1]


async def test_nothing_overtakes_what_is_kept(tmp_path: Path) -> None:
    """What comes after an answer, and before the rest of its heap was read, is behind that."""
    async with wired(tmp_path) as house:
        line = await with_a_task(house)
        line.send(HIDDEN + LOOK % b"none" + READY[:20])
        line.send(READY[20:] + HIDDEN)
        statuses = [told(one)[0] for one in await line.answers(4)]
        assert statuses == [200, 404, 200, 200]


async def test_whoever_goes_on_asking_is_not_read(tmp_path: Path) -> None:
    """While a commit is awaited one read more is kept, and no other is made."""
    gate = Gate()
    async with wired(tmp_path, holding(gate)) as house:
        gate.shut = True
        line = house.connect()
        line.send(post("a"))
        await until_held(gate)
        assert line.wire.reading
        line.send(READY)
        assert not line.wire.reading
        gate.open()
        assert len(await line.answers(2)) == 2
        assert line.wire.reading


async def test_each_answer_gives_a_connection_its_time_again(tmp_path: Path) -> None:
    """On either way: one that is used is not closed under a request that is on its way."""
    clock = ManualClock()
    async with wired(tmp_path) as house:
        line = await with_a_task(house, Timed(clock))
        for count, request in enumerate((HIDDEN, READY, post("b"), HIDDEN), start=1):
            line.send(request)
            await line.answers(count)
            clock.advance(KEEP_ALIVE_SECONDS - 1)
            assert not line.wire.closed
        clock.advance(1)
        assert line.wire.closed


async def test_what_was_not_taken_leaves_nothing_behind(tmp_path: Path) -> None:
    """A request that goes the ordinary way, with another behind it, and later a third: each is
    answered once."""
    async with wired(tmp_path) as house:
        line = await with_a_task(house)
        line.send(LOOK % b"none" + HIDDEN)
        assert [told(one)[0] for one in await line.answers(2)] == [404, 200]
        for count in (3, 4):
            line.send(HIDDEN)
            assert told((await line.answers(count))[-1]) == (200, "a")


async def test_an_ordinary_request_is_not_idle(tmp_path: Path) -> None:
    """Behind one of the short way it may take as long as it takes."""
    clock = ManualClock()
    async with wired(tmp_path) as house:
        line = await with_a_task(house, Timed(clock))
        line.send(HIDDEN)
        await line.answers(1)
        line.send(post("a", more=b"Prefer: wait=1\r\n"))
        clock.advance(10 * KEEP_ALIVE_SECONDS)
        assert not line.wire.closed
        assert told((await line.answers(2))[-1]) == (200, "a")
