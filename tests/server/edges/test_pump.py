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
    """A transport that notes what it is asked; `taking` says whether a send ends."""

    takes_binary = True
    idle_seconds = 60.0
    untaken = 0

    def __init__(self, *, taking: bool = True, dead: bool = False) -> None:
        self.told: list[str | bytes | int] = []
        self.reading = False
        self.closed_while_reading: bool | None = None
        self._taking = taking
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
        """Taken at once, or never."""
        if self._dead:
            raise Gone
        if not self._taking:
            await asyncio.Event().wait()
        self.told.append(frame)

    async def close(self, why: Hangup) -> None:
        """Noted."""
        self.closed_while_reading = self.reading
        self.told.append(why.code)


class Guest:
    """Does one thing once it is there."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.losses = 0
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
        """Nothing more is written anyway."""

    def resume_writing(self) -> None:
        """Nothing waits."""


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
