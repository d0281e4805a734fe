"""Who is connected for longer than one answer, and how all of them are sent away.

A socket, a long-poll session, a stream, a waiting request and one whose body has not
come whole enter when they begin and leave when they end. When the server goes down they
are asked to go one after another, the longest here first, so that they do not all knock
at the next server in the same instant. Knows neither sockets nor clocks: how to go and
how to sleep are arguments.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import islice

STEP_SECONDS = 0.1
"""Between two groups of leavers."""

LEAST = 10
"""Fewer than this are never worth a pause."""


class Guests:
    """Everybody who stays, in the order of their coming."""

    def __init__(self) -> None:
        self._here: dict[int, Callable[[], None]] = {}
        self._came = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._here)

    def come(self, go: Callable[[], None]) -> int:
        """Be here until `leave` with the number that is returned. `go` asks to leave: it is
        called at most once, must return at once, and whoever it belongs to then ends by
        itself."""
        number = self._came
        self._came += 1
        if self._closed:
            go()
        else:
            self._here[number] = go
        return number

    def leave(self, number: int) -> None:
        """Be here no more; who has been asked to go may leave too, and twice."""
        self._here.pop(number, None)

    @contextmanager
    def staying(self, go: Callable[[], None]) -> Iterator[None]:
        """Be here for the length of the block."""
        number = self.come(go)
        try:
            yield
        finally:
            self.leave(number)

    async def see_out(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Ask everybody to go, in groups spread evenly over at most `seconds`.

        Returns as soon as none is left to be asked. Who comes later goes at once.
        """
        steps = max(1, int(seconds / STEP_SECONDS))
        group = max(LEAST, math.ceil(len(self) / steps))
        for _ in range(steps - 1):
            self._ask(group)
            if not self._here:
                break
            await sleep(STEP_SECONDS)
        self._closed = True
        self._ask(len(self))

    def _ask(self, count: int) -> None:
        for number in list(islice(self._here, count)):
            self._here.pop(number)()
