"""A connection over a transport that the test holds: why it hangs up, and with what code."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from safelight.edges.connection import Connection
from safelight.edges.pump import Gone, Pump
from safelight.edges.wheel import Wheel
from safelight_protocol.codes import CODES
from safelight_protocol.effects import Hangup
from safelight_protocol.frames import V2
from tests.doubles.served import PATIENCE, Served, served

BEAT = json.dumps([None, "1", "phoenix", "heartbeat", {}])


class Wire:
    """A transport made of lists. `stuck` are how much is untaken at each look while a
    frame cannot be sent; without any, every frame is taken at once."""

    takes_binary = False

    def __init__(self, idle_seconds: float = math.inf, stuck: tuple[int, ...] = ()) -> None:
        self.idle_seconds = idle_seconds
        self.sent: list[Any] = []
        self.closes: list[Hangup] = []
        self.inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.dead = False
        self.leaves = False
        self._stuck = list(stuck)
        self._free = asyncio.Event()
        if not stuck:
            self._free.set()

    @property
    def untaken(self) -> int:
        """What the test says; a last 0 lets every frame go."""
        left = self._stuck.pop(0) if len(self._stuck) > 1 else (self._stuck or [0])[0]
        if left == 0:
            self._free.set()
        return left

    async def receive(self) -> str | bytes | None:
        """What the test put in."""
        return await self.inbox.get()

    async def send(self, frame: str | bytes) -> None:
        """Taken at once, or never, or once nothing is stuck any more."""
        if self.dead:
            raise Gone
        await self._free.wait()
        self.sent.append(json.loads(frame))
        if self.leaves:
            self.inbox.put_nowait(None)

    async def close(self, why: Hangup) -> None:
        """Noted."""
        self.closes.append(why)


class Broken:
    """A channel with a bug."""

    def close(self) -> None:
        """Nothing is held."""

    def fall_behind(self) -> None:
        """Nothing is written."""

    async def pull(self, room: int) -> list[Any]:
        """The bug."""
        raise ZeroDivisionError


async def ran(house: Served, wire: Wire, meanwhile: Callable[[Connection], None]) -> list[int]:
    """Run a connection to its end; the codes it was closed with."""
    context = msgspec.structs.replace(house.context, wheel=Wheel(slot_seconds=0.001))
    pump = Pump(wire)
    connection = Connection(pump, context, "local", V2())
    asyncio.get_running_loop().call_soon(meanwhile, connection)
    async with asyncio.timeout(PATIENCE):
        await pump.run(connection)
    assert (len(context.guests), len(context.wheel)) == (0, 0)
    return [why.code for why in wire.closes]


def nothing(connection: Connection) -> None:
    """The transport does it all."""


async def test_silence_is_1001(house: Served) -> None:
    """A client that sends nothing, not even heartbeats, is told to come back."""
    assert await ran(house, Wire(idle_seconds=0.01), nothing) == [1001]


@pytest.mark.parametrize(
    ("data", "code"), [("nonsense", 1011), (b"\x09junk", 1011), ("x" * 2_000_000, 1009)]
)
async def test_what_is_no_frame_is_told_by_its_code(
    house: Served, data: str | bytes, code: int
) -> None:
    """The reason is in words, and what was asked before is answered first."""
    wire = Wire()
    wire.inbox.put_nowait(BEAT)
    wire.inbox.put_nowait(data)
    assert await ran(house, wire, nothing) == [code]
    assert wire.closes[0].reason
    assert wire.sent[0][4]["status"] == "ok"


async def test_a_restart_is_1012(house: Served) -> None:
    """Asked to go, it writes what waits and says why."""
    wire = Wire()

    def leave(connection: Connection) -> None:
        connection.send([BEAT])
        asyncio.get_running_loop().call_soon(
            lambda: asyncio.ensure_future(house.context.guests.see_out(0.0, asyncio.sleep))
        )

    assert await ran(house, wire, leave) == [1012]
    assert len(wire.sent) == 1


async def test_a_bug_is_1011(house: Served) -> None:
    """A channel that fails ends its socket with a code, not with a cut line."""
    assert await ran(house, Wire(), lambda c: c.open("task:t1", Broken())) == [1011]


async def test_a_reader_who_takes_nothing_is_1013(tmp_path: Any) -> None:
    """After the limit, with whatever was waiting left out."""
    async with served(tmp_path, slow_reader_seconds=0.01) as house:
        wire = Wire(stuck=(5, 5, 5))
        assert await ran(house, wire, lambda c: c.send([BEAT, BEAT])) == [1013]
        assert wire.sent == []


async def test_a_reader_who_takes_a_little_has_time_again(tmp_path: Any) -> None:
    """As long as less and less is untaken nobody hangs up; the frame goes out in the end."""
    async with served(tmp_path, slow_reader_seconds=0.01) as house:
        wire = Wire(stuck=(5, 4, 3, 2, 1, 0))
        wire.leaves = True
        assert await ran(house, wire, lambda c: c.send([BEAT])) == []
        assert len(wire.sent) == 1


async def test_a_client_that_went_is_told_nothing(house: Served) -> None:
    """Neither one that closed nor one whose line broke gets a close."""
    closed = Wire()
    closed.inbox.put_nowait(None)
    assert await ran(house, closed, nothing) == []
    broken = Wire()
    broken.dead = True
    assert await ran(house, broken, lambda c: c.send([BEAT])) == []


def test_no_code_is_1000() -> None:
    """phoenix.js up to 1.8.15 never comes back after it."""
    assert 1000 not in {code.close for code in CODES.values()}
