"""The pump: what it asks of a transport, and in which order, up to the goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from safelight.edges.pump import Gone, Pump
from safelight_protocol.effects import Hangup

PATIENCE = 10.0
BYE = Hangup(1013, "come back")


class Wire:
    """A transport that notes what it is asked; `taking` lets sends end."""

    takes_binary = True
    idle_seconds = 60.0
    untaken = 0

    def __init__(self, *, taking: bool = True, dead: bool = False) -> None:
        self.told: list[str | bytes | int] = []
        self.reading = False
        self.closed_while_reading: bool | None = None
        self.taking = asyncio.Event()
        if taking:
            self.taking.set()
        self._dead = dead

    async def receive(self) -> str | bytes | None:
        """Nothing comes."""
        self.reading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.reading = False
        return None

    async def send(self, frame: str | bytes) -> None:
        """Taken once the client takes anything."""
        if self._dead:
            raise Gone
        await self.taking.wait()
        self.told.append(frame)

    async def close(self, why: Hangup) -> None:
        """Noted."""
        self.closed_while_reading = self.reading
        self.told.append(why.code)


class Guest:
    """Does one thing once it is there."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.losses = 0
        self.pauses: asyncio.Queue[bool] = asyncio.Queue()
        self._act = act

    def begin(self) -> None:
        """Do it when everything waits."""
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._act)

    def received(self, message: str | bytes) -> None:
        """Nothing comes."""

    def lost(self) -> None:
        """Counted."""
        self.losses += 1

    def pause_writing(self) -> None:
        """Noted."""
        self.pauses.put_nowait(True)

    def resume_writing(self) -> None:
        """Noted."""
        self.pauses.put_nowait(False)


async def test_who_makes_us_wait_takes_nothing() -> None:
    """The guest is paused once a send waits, and goes on when all was handed over."""
    wire = Wire(taking=False)
    pump = Pump(wire)

    def write_twice() -> None:
        assert (pump.write(["four"]), pump.write([b"five!"])) == (4, 5)

    guest = Guest(write_twice)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        running = group.create_task(pump.run(guest))
        assert await guest.pauses.get() is True
        assert (wire.told, pump.untaken) == ([], 9)
        wire.taking.set()
        assert await guest.pauses.get() is False
        assert (wire.told, pump.untaken) == (["four", b"five!"], 0)
        pump.close(BYE)
        await running


async def ran(wire: Wire, act: Callable[[Pump], None]) -> list[str | bytes | int]:
    """Run a pump to its end, with one act of its guest; what the transport was told."""
    pump = Pump(wire)
    guest = Guest(lambda: act(pump))
    async with asyncio.timeout(PATIENCE):
        await pump.run(guest)
    assert guest.losses == 1
    return wire.told


@pytest.mark.parametrize("unsaid", [False, True])
async def test_nothing_is_awaited_from_whom_goodbye_is_said(unsaid: bool) -> None:
    """Some servers send no close frame while a receive of theirs waits, so none does."""
    wire = Wire()
    assert await ran(wire, lambda pump: pump.close(BYE, unsaid=unsaid)) == [1013]
    assert wire.closed_while_reading is False


async def test_the_goodbye_comes_behind_what_waits() -> None:
    """What was written before is handed over first."""

    def write_and_leave(pump: Pump) -> None:
        pump.write(["one", b"two"])
        pump.close(BYE)

    assert await ran(Wire(), write_and_leave) == ["one", b"two", 1013]


async def test_the_goodbye_may_come_instead_of_what_waits() -> None:
    """A send that waits for a client that takes nothing is given up for it."""

    def write_and_leave(pump: Pump) -> None:
        pump.write(["one", "two"])
        asyncio.get_running_loop().call_soon(lambda: pump.close(BYE, unsaid=True))

    assert await ran(Wire(taking=False), write_and_leave) == [1013]


async def test_nobody_is_said_goodbye_to_who_has_gone() -> None:
    """A transport that is gone is not closed, even when it was to be."""

    def write_and_leave(pump: Pump) -> None:
        pump.write(["one"])
        pump.close(BYE)

    assert await ran(Wire(dead=True), write_and_leave) == []
