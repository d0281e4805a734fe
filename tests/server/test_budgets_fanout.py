"""What one event costs with many followers, and what an idle follower holds: counted.

Encodes, frames, writes, wakes, tasks and bytes; no times. A number that rises here is a
cost that every delivery or every idle client pays.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from safelight import framing
from safelight.edges.context import Context
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import encode_event
from safelight_protocol.frames import V1, V2, Serializer
from safelight_protocol.task import Task
from tests.doubles.lives import NOW
from tests.doubles.served import Served
from tests.doubles.taps import Tap, Teller, settled

OURS = str(Path(framing.__file__).parent)
TOPIC = "task:t1"
FOLLOWERS = 200


LEAST_FRAME = 100
"""Bytes: every event is longer."""


@contextmanager
def frames_counted() -> Iterator[list[int]]:
    """How many frames are made within the block and kept, by what their heads' module has
    allocated; the one number of the list is there at the end."""
    made: list[int] = []
    gc.collect()
    tracemalloc.start()
    try:
        yield made
        taken = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = taken.filter_traces([tracemalloc.Filter(True, framing.__file__)])
    # The interpreter itself may allocate there, too: what it knows of a function, say.
    made.append(sum(trace.size >= LEAST_FRAME for trace in ours.traces))


@contextmanager
def calls_counted() -> Iterator[list[str]]:
    """The calls of the server's own functions within the block, by their names."""
    made: list[str] = []

    def note(frame: FrameType, what: str, _argument: object) -> None:
        if what == "call" and frame.f_code.co_filename.startswith(OURS):
            made.append(frame.f_code.co_qualname)

    sys.setprofile(note)
    try:
        yield made
    finally:
        sys.setprofile(None)


async def running(house: Served) -> Task:
    """A task that its provider leaves alone."""
    script = [{"do": "wait", "gate": "never"}]
    await house.create(id="t1", params={"script": script})
    async with asyncio.timeout(10):
        while True:
            task = await house.context.orchestrator.find("local", "t1")
            if task.handle is not None:
                return task
            await asyncio.sleep(0)


async def followed(context: Context, count: int, *serializers: Serializer) -> list[Tap]:
    """So many sockets that have joined the task, and are told of it from now on."""
    already = context.lanes.statistics()["laned"]
    taps = [Tap(context, serializers[n % len(serializers)]) for n in range(count)]
    for tap in taps:
        tap.join(TOPIC)
    await settled(context, already + count)
    return taps


def steps(first: int, last: int) -> list[happened.Happening]:
    return [happened.Progressed(n / 1000, n, 1000, None) for n in range(first, last)]


def written(taps: list[Tap]) -> list[int]:
    return [len(tap.written) for tap in taps]


async def tick() -> None:
    """Let what was called soon be called."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize("events", [1, 8])
async def test_a_tick_is_one_frame_an_event_and_one_write_a_follower(
    house: Served, events: int
) -> None:
    """However many follow and however many events the tick has."""
    teller = Teller(house.context, await running(house))
    taps = await followed(house.context, FOLLOWERS, V2())
    before = written(taps)
    with frames_counted() as made:
        teller.tell(*steps(1, 1 + events))
        await tick()
    assert made == [events]
    assert [now - was for now, was in zip(written(taps), before, strict=True)] == [1] * FOLLOWERS
    assert len({id(tap.written[-1]) for tap in taps}) == 1


async def test_each_version_of_the_wire_has_one_frame(house: Served) -> None:
    """V1 and V2 clients of a topic are two lanes: two frames an event, not one a client."""
    teller = Teller(house.context, await running(house))
    await followed(house.context, 10, V1(), V2())
    with frames_counted() as made:
        teller.tell(*steps(1, 3))
        await tick()
    assert made == [4]
    assert house.context.lanes.statistics() == {"lanes": 2, "laned": 10}


async def test_replay_and_live_share_the_frames(house: Served) -> None:
    """Who resumes is sent the bytes that were made for those who were there: a whole
    backlog costs no frame, and few writes."""
    teller = Teller(house.context, await running(house))
    (early,) = await followed(house.context, 1, V2())
    for first in range(1, 51, 10):
        teller.tell(*steps(first, first + 10))
        await tick()
    with frames_counted() as made:
        late = Tap(house.context)
        late.join(TOPIC, {"after": 0})
        await settled(house.context, 2)
        late_heard, writes = late.seqs(TOPIC), len(late.written)
        late.written.clear()
    # What came before the first follower did had no frame yet.
    assert made == [min(early.seqs(TOPIC)) - 1]
    assert late_heard[-50:] == early.seqs(TOPIC)
    assert writes <= 4


async def test_a_backlog_of_a_thousand_is_a_few_large_writes(house: Served) -> None:
    """Resumed by whoever missed all of it: by bytes, not by events."""
    teller = Teller(house.context, await running(house))
    for _ in range(1000):
        teller.tell(happened.Wrote("x" * 200))
    late = Tap(house.context)
    late.join(TOPIC, {"after": 0})
    await settled(house.context, 1)
    assert len(late.seqs(TOPIC)) >= 1000
    size = sum(map(len, late.written))
    assert len(late.written) <= size // (64 * 1024) + 8


async def test_an_event_wakes_nobody_who_is_in_a_lane(house: Served) -> None:
    """The lane is woken for all of them, and starts no task for it."""
    teller = Teller(house.context, await running(house))
    quiet = house.context.subscriptions.statistics()["followers"]
    await followed(house.context, FOLLOWERS, V2())
    assert house.context.subscriptions.statistics()["followers"] == quiet + 1
    before = asyncio.all_tasks()
    teller.tell(*steps(1, 4))
    assert asyncio.all_tasks() == before
    await tick()
    assert asyncio.all_tasks() == before


async def test_an_event_for_one_follower_takes_few_calls(house: Served) -> None:
    """From its commit to the client's line: with many small topics these are the cost."""
    teller = Teller(house.context, await running(house))
    (tap,) = await followed(house.context, 1, V2())
    teller.tell(*steps(1, 3))
    await tick()
    (moved,) = steps(3, 4)
    step = lifecycle.step(teller.task, moved, NOW)
    assert step.event is not None
    body, before = encode_event(step.event), len(tap.written)
    (lane,) = house.context.lanes.all()
    with calls_counted() as calls:
        house.context.log.append(step.task, step.event, body)
        house.context.subscriptions.wake(step.task.uid)
        lane.flush(lane.framed())
    assert len(tap.written) == before + 1
    assert len(calls) <= 13, calls


async def test_an_idle_follower_has_no_task(house: Served) -> None:
    """Two hundred joined sockets leave the event loop with as many tasks as before."""
    await running(house)
    await followed(house.context, 1, V2())
    before = len(asyncio.all_tasks())
    await followed(house.context, FOLLOWERS, V2())
    await tick()
    assert len(asyncio.all_tasks()) == before
    assert len(house.context.wheel) == FOLLOWERS + 1


async def test_a_delivery_allocates_nothing_of_its_own(house: Served) -> None:
    """While an event goes out, memory grows by the event and a list of its followers."""
    teller = Teller(house.context, await running(house))
    taps = await followed(house.context, FOLLOWERS, V2())
    teller.tell(*steps(1, 3))
    await tick()
    for tap in taps:
        tap.write = _nowhere  # type: ignore[method-assign]
    teller.tell(*steps(3, 4))
    (lane,) = house.context.lanes.all()
    tracemalloc.start()
    try:
        held, _ = tracemalloc.get_traced_memory()
        lane.flush(lane.framed())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    event = len(taps[0].written[-1])
    assert peak - held < FOLLOWERS * 32 + 8 * event


async def test_what_an_idle_follower_holds(house: Served) -> None:
    """Everything above the line: session, connection, feed and their places in the house."""
    await running(house)
    await followed(house.context, 50, V2())
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        taps = await followed(house.context, FOLLOWERS, V2())
        for tap in taps:
            tap.written.clear()
        await tick()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / FOLLOWERS < 4096


def _nowhere(frames: Any) -> None:
    """Nobody listens."""
