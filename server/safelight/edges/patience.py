"""How long a client that takes nothing is waited for.

Its time runs from when it stopped taking what is written. Whoever took a little by the
end of it has as long again for the rest. Knows no sockets: what is untaken is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Patience:
    """One wait for one client, until `end`; `give_up` is called at most once."""

    __slots__ = ("_before", "_give_up", "_seconds", "_timer", "_untaken")

    def __init__(
        self, seconds: float, untaken: Callable[[], int], give_up: Callable[[], None]
    ) -> None:
        self._seconds = seconds
        self._untaken = untaken
        self._give_up = give_up
        self._before = untaken()
        self._timer = self._later()

    def wrote(self, added: int) -> None:
        """More was written meanwhile: that is not less that was taken."""
        self._before += added

    def end(self) -> None:
        """Wait no more."""
        self._timer.cancel()

    def _later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds, self._judge)

    def _judge(self) -> None:
        untaken = self._untaken()
        if untaken < self._before:
            self._before = untaken
            self._timer = self._later()
        else:
            self._give_up()
