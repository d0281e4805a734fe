"""How long a client waits before it tries again: two ladders, as pure functions.

Owns the steps. Knows neither clock nor randomness: jitter is a number from outside.
"""

from __future__ import annotations

CONNECT_STEPS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds. phoenix.js begins at 10 ms and ends at 5 s, without jitter, so that all its
clients come back to a restarted server in the same instant; we spread ours."""

JOIN_STEPS = (1.0, 2.0, 5.0, 10.0)
"""Seconds between two tries to join a topic, as phoenix.js and its ports have them."""


def connect_delay(failures: int, jitter: float) -> float:
    """Seconds to wait after `failures` (1 or more) connections in a row have failed.

    `jitter` from 0 to 1 picks a point between half of the step and the whole of it.
    """
    return _step(CONNECT_STEPS, failures) * (1 + jitter) / 2


def join_delay(failures: int) -> float:
    """Seconds to wait after `failures` (1 or more) joins of a topic in a row."""
    return _step(JOIN_STEPS, failures)


def _step(steps: tuple[float, ...], failures: int) -> float:
    return steps[min(failures, len(steps)) - 1]
