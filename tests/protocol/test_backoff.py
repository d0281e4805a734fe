"""The two ladders of delays."""

from __future__ import annotations

import pytest

from safelight_protocol.backoff import CONNECT_STEPS, JOIN_STEPS, connect_delay, join_delay


@pytest.mark.parametrize(
    ("failures", "jitter", "seconds"),
    [
        (1, 1.0, 0.1),  # the whole of the first step
        (1, 0.0, 0.05),  # half of it
        (3, 0.5, 0.375),  # 0.5 * 0.75
        (7, 1.0, 10.0),  # the last step
        (1000, 1.0, 10.0),  # and no further
    ],
)
def test_connections_back_off_with_jitter(failures: int, jitter: float, seconds: float) -> None:
    """Each failure takes the next step, of which jitter picks the upper half."""
    assert connect_delay(failures, jitter) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1.0), (2, 2.0), (3, 5.0), (4, 10.0), (99, 10.0)]
)
def test_joins_back_off_like_phoenix(failures: int, seconds: float) -> None:
    """A topic is tried again after 1, 2, 5 and then every 10 seconds."""
    assert join_delay(failures) == seconds


def test_the_ladders_rise() -> None:
    """No step is shorter than the one before it."""
    assert list(CONNECT_STEPS) == sorted(CONNECT_STEPS)
    assert list(JOIN_STEPS) == sorted(JOIN_STEPS)
