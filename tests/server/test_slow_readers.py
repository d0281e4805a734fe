"""Clients that take nothing: what they cost, how they end, and how they come back.

The kernel's buffers are made small here (16 KiB on the server's side, 4 KiB on the
client's); with the usual ones the kernel holds some megabytes more for each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from safelight.edges.connection import MAX_UNTAKEN, ROOM
from tests.doubles.clock import ManualClock
from tests.doubles.deaf import Deaf, deaf, line_to
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

TOPIC = "task:t1"
SLOW_SECONDS = 1.0
DELTA = 8_000
CHATTY = {
    "id": "t1",
    "kind": "text",
    "model": "scripted/text",
    "prompt": "x",
    "params": {
        "script": [
            {"do": "wait", "gate": "go"},
            *({"do": "text", "delta": "x" * DELTA} for _ in range(100)),
        ]
    },
}
STREAM = b"GET /api/tasks/t1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
HIGH_WATER = 64 * 1024
MANY_TURNS = 10_000
"""Of the loop: whoever is read on says the rest in fewer."""

MOST = HIGH_WATER + ROOM + 2 * DELTA
"""What one connection may hold: the write buffer's limit and the frame that passed it."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(
        tmp_path, kernel_buffer=16 * 1024, slow_reader_seconds=SLOW_SECONDS
    ) as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def streaming(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Served]:
    """A server whose HTTP side lives in the test's time, with a long task that is over."""
    limits = {"slow_reader_seconds": SLOW_SECONDS, "kernel_buffer": 16 * 1024}
    async with served(tmp_path, clock=clock, **limits) as running:
        running.scripted.gate("go").set()
        await running.post("/api/tasks", CHATTY)
        yield running


def held_by(house: Served) -> int:
    """What the server holds for its connections altogether."""
    return sum(c.transport.get_write_buffer_size() for c in house.connections)


async def held_until_cut(house: Served, held: list[int]) -> None:
    """Note what the server holds for its connections until none that holds is left."""
    async with asyncio.timeout(PATIENCE):
        while holding := [c for c in house.connections if c.transport.get_write_buffer_size()]:
            held += [c.transport.get_write_buffer_size() for c in holding]
            await asyncio.sleep(0)


async def until_held(house: Served) -> None:
    """Wait until some connection's client has left something untaken."""
    await until(
        lambda: any(c.transport.get_write_buffer_size() > HIGH_WATER for c in house.connections)
    )


def events_of(client: Deaf) -> list[dict[str, Any]]:
    return [f[4] for f in client.frames if f[3] == "progress"]


def seqs_of(events: list[dict[str, Any]]) -> list[int]:
    """Every seq that was told, those that were folded away included."""
    return [s for e in events for s in range(e.get("from_seq", e["seq"]), e["seq"] + 1)]


async def resumed(house: Served, cursor: str) -> list[dict[str, Any]]:
    """What a client hears that joins with a cursor, up to the end of the task."""
    async with house.connect() as phone:
        reply = await phone.join(TOPIC, {"after": cursor})
        await phone.until(lambda f: f[3] == "status")
    assert reply["response"]["gap"] is False
    return phone.told(TOPIC)


async def test_a_socket_that_takes_nothing_is_cut_and_misses_nothing(house: Served) -> None:
    """It costs the write buffer and one frame, its line ends though it reads not even the
    close frame, and with its cursor it hears the rest: every event once."""
    held: list[int] = []
    async with deaf(house.url) as client:
        await client.say("1", "1", TOPIC, "phx_join", {"create": CHATTY})
        await client.hear("progress")
        house.scripted.gate("go").set()
        await until_held(house)
        await held_until_cut(house, held)
        await client.hear_to_the_end()
    heard = events_of(client)
    log = client.frames[0][4]["response"]["log"]
    rest = await resumed(house, f"{log}-{heard[-1]['seq']}")
    assert max(held) <= MOST
    assert client.close_code is None
    first, last = heard[0]["seq"], rest[-1]["seq"]
    assert seqs_of(heard + rest) == list(range(first, last + 1))
    assert rest[-1]["type"] == "completed"


async def test_a_socket_that_wakes_up_in_time_is_told_why(house: Served) -> None:
    """Whoever reads again before the line is cut finds 1013 behind what was buffered."""
    async with deaf(house.url) as client:
        await client.say("1", "1", TOPIC, "phx_join", {"create": CHATTY})
        await client.hear("status")
        house.scripted.gate("go").set()
        await until_held(house)
        await until(lambda: not house.context.statistics()["followers"])
        await client.hear_to_the_end()
    assert client.close_code == 1013


async def test_answers_that_nobody_takes_stop_the_reading(tmp_path: Path) -> None:
    """A client that asks and asks and reads no answer is not read any further; once it
    reads, it gets every answer."""
    async with served(tmp_path, kernel_buffer=16 * 1024) as house, deaf(house.url) as client:
        await house.create(id="t1")
        await client.say("1", "1", TOPIC, "phx_join", {})
        asked = 0

        async def ask() -> None:
            nonlocal asked
            while asked * DELTA < 4 * MAX_UNTAKEN:
                await client.say("1", str(asked), TOPIC, "ping", {"x": "x" * DELTA})
                asked += 1

        asking = asyncio.create_task(ask())
        await until(lambda: asked * DELTA > MAX_UNTAKEN)
        for _ in range(MANY_TURNS):
            await asyncio.sleep(0)
        assert not asking.done()
        asking.cancel()
        while not any(f[1] == str(asked - 1) for f in client.frames):
            assert await client.read()
    answers = [f[1] for f in client.frames if len(f[4].get("response", {}).get("x", "")) == DELTA]
    assert answers == [str(n) for n in range(asked)]


async def test_pings_without_end_are_cut(house: Served) -> None:
    """Pongs wait for no reader; a client that takes none of them loses its line."""
    with pytest.raises(OSError):
        async with deaf(house.url) as client:
            for _ in range(200_000):
                await client.ping(b"x" * 125)
            raise AssertionError("nobody stopped it")


async def test_a_stream_that_takes_nothing_is_cut_and_misses_nothing(
    streaming: Served, clock: ManualClock
) -> None:
    """The same for server-sent events: bounded, cut, and resumed with the last id."""
    house = streaming
    async with line_to(house.url) as line:
        await line.write(STREAM)
        await clock.until_runs(SLOW_SECONDS)
        told = await house.events("t1")
        assert HIGH_WATER / 4 < held_by(house) <= MOST
        clock.advance(2 * SLOW_SECONDS)  # within the first it took what the kernel takes
        assert held_by(house) == 0
        text = (await line.read_to_end()).decode()
    ids = [block.split("\n")[0][4:] for block in text.split("\r\n") if block.startswith("id: ")]
    whole = [block for block in text.split("\r\n") if block.startswith("id: ")]
    assert 0 < len(ids) < len(told)
    cursor = ids[-1] if whole[-1].endswith("\n\n") else ids[-2]
    headers = {"Last-Event-ID": cursor}
    async with house.http.stream("GET", "/api/tasks/t1/events", headers=headers) as stream:
        rest = [json.loads(x[6:]) async for x in stream.aiter_lines() if x[:5] == "data:"]
    assert rest == told[int(cursor.partition("-")[2]) :]


async def test_a_reader_who_takes_something_is_left_alone(
    streaming: Served, clock: ManualClock
) -> None:
    """Slow is not dead: a stream that is read bit by bit, with the whole limit between the
    bits, is told everything."""
    told = await streaming.events("t1")
    data, limits = bytearray(), 0
    async with line_to(streaming.url) as line:
        await line.write(STREAM)
        await clock.until_runs(SLOW_SECONDS)
        begun, before = clock.begun, held_by(streaming)
        while chunk := await line.read():
            data += chunk
            if clock.begun == begun and 0 < held_by(streaming) < before:
                clock.advance(SLOW_SECONDS)
                limits += 1
            begun, before = clock.begun, held_by(streaming)
    assert limits > 10
    assert data.count(b"\nevent: progress\n") == len(told)
