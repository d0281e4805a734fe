"""How long the event loop keeps others waiting: the one figure that shows a stall.

A sleeper asks for a short pause again and again and notes by how much it overslept.
What blocks the loop (a long computation, a slow disk call) shows here before anybody
notices it elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

BEAT_SECONDS = 0.05
KEPT = 1_200
"""Beats that are remembered: one minute of them."""


class Pulse:
    """The delays of the last minute. `sleep` and `monotonic` are the loop's own."""

    def __init__(
        self, sleep: Callable[[float], Awaitable[None]], monotonic: Callable[[], float]
    ) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._delays: deque[float] = deque(maxlen=KEPT)

    async def beat(self) -> None:
        """Measure for ever; runs as a task of the group."""
        while True:
            began = self._monotonic()
            await self._sleep(BEAT_SECONDS)
            self._delays.append(max(0.0, self._monotonic() - began - BEAT_SECONDS))

    def statistics(self) -> dict[str, float]:
        """Median, 99th percentile and maximum in milliseconds; zeros before the first."""
        delays = sorted(self._delays) or [0.0]
        at = {"p50": len(delays) // 2, "p99": len(delays) * 99 // 100, "max": -1}
        return {f"loop_delay_ms_{name}": round(delays[i] * 1000, 1) for name, i in at.items()}
