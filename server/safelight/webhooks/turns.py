"""Whose turn it is: owners with something due, in line, and those whose time comes later.

Each owner has one place in line however much waits, and goes to its end with every turn.
Those who were slow of late stand in a line of their own, and the two take turns. Memory and
work go by owners, never by notices. Knows no store and no clock.
"""

from __future__ import annotations

import heapq

from .places import Places

Turn = tuple[str, bool]
"""An owner, and whether it has its turn as one who was slow of late."""


class Turns:
    """Both lines, over the places that they wait for."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lines: dict[bool, dict[str, None]] = {False: {}, True: {}}
        self._slow_next = False
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def come(self, owner: str, now: int) -> None:
        """There may be something due of the owner's; who stands in line keeps the place."""
        slow = self._places.slow(owner, now)
        self._lines[not slow].pop(owner, None)
        self._lines[slow].setdefault(owner)

    def later(self, owner: str, at: int) -> None:
        """Something of the owner's is due then. The earliest of what is said so counts."""
        if self._at.get(owner, at + 1) <= at:
            return
        self._at[owner] = at
        heapq.heappush(self._heap, (at, owner))
        if len(self._heap) > 2 * len(self._at) + 64:  # most of it is out of date
            self._heap = [(at, owner) for owner, at in self._at.items()]
            heapq.heapify(self._heap)

    def next(self, now: int) -> Turn | None:
        """Who has its turn, out of line now; None if nobody has who may begin anything."""
        self._arrive(now)
        for slow in (self._slow_next, not self._slow_next):
            if not self._places.left(slow=slow):  # then nobody in that line is asked for
                continue
            line = self._lines[slow]
            owner = next((one for one in line if self._places.room(one, slow=slow)), None)
            if owner is not None:
                del line[owner]
                self._slow_next = not slow
                return owner, slow
        return None

    def first(self) -> int | None:
        """When the next owner comes into line by time."""
        self._drop()
        return self._heap[0][0] if self._heap else None

    def _arrive(self, now: int) -> None:
        self._drop()
        while self._heap and self._heap[0][0] <= now:
            _, owner = heapq.heappop(self._heap)
            del self._at[owner]
            self.come(owner, now)
            self._drop()

    def _drop(self) -> None:
        """What is out of date goes from the front."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
