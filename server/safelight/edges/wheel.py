"""One timer for all the clients that must say something now and then.

Every connection sits in the slot of its deadline. Who is heard of is not moved: when its
slot comes round it says how long it may still be silent, and sits down again there. So
a message costs nothing here, and ten thousand connections wait for one timer.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from ..telemetry import log

SLOT_SECONDS = 1.0
"""How late a client's silence may be noticed."""


class Watched(Protocol):
    """Who must be looked after. `slot` is the wheel's; None says it is in none."""

    slot: int | None

    def look(self, now: float) -> float:
        """Do what is due. Returns when to look again, in seconds of the event loop; infinity
        for never. May call `forget`."""


class Wheel:
    """Deadlines in slots. All calls are made on the event loop, whose time it is."""

    def __init__(self, slot_seconds: float = SLOT_SECONDS) -> None:
        self._width = slot_seconds
        self._slots: dict[int, set[Watched]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def watch(self, one: Watched, deadline: float) -> None:
        """Look at it once the deadline has passed; one without an end is never looked at."""
        if math.isinf(deadline):
            return
        one.slot = math.ceil(deadline / self._width)
        self._slots.setdefault(one.slot, set()).add(one)
        self._arm(one.slot)

    def forget(self, one: Watched) -> None:
        """Look no more; twice is fine."""
        slot = self._slots.get(one.slot) if one.slot is not None else None
        if slot is not None:
            slot.discard(one)
        one.slot = None

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            if self._armed <= slot:
                return
            self._timer.cancel()
        self._armed = slot
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(slot * self._width, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for number in [n for n in self._slots if n <= self._armed]:
            for one in self._slots.pop(number):
                one.slot = None
                try:
                    self.watch(one, one.look(now))
                except Exception as defect:  # one client's; the others are still looked at
                    log("socket.defect", exc=defect)
        self._slots = {n: slot for n, slot in self._slots.items() if slot}
        if self._slots:
            self._arm(min(self._slots))
