"""The delay of the event loop, with a clock in the hand."""

from __future__ import annotations

import pytest

from safelight.pulse import BEAT_SECONDS, Pulse


class Clock:
    """A clock that each sleep moves on, late by what the script says."""

    def __init__(self, *late: float) -> None:
        self.now = 0.0
        self._late = iter(late)

    async def sleep(self, seconds: float) -> None:
        try:
            self.now += seconds + next(self._late)
        except StopIteration:
            raise TimeoutError from None


async def test_it_tells_how_late_the_loop_was() -> None:
    """Median and maximum are what the sleeper overslept, in milliseconds."""
    clock = Clock(0.0, 0.001, 0.25)
    pulse = Pulse(clock.sleep, lambda: clock.now)
    with pytest.raises(TimeoutError):
        await pulse.beat()
    told = pulse.statistics()
    assert told["loop_delay_ms_max"] == 250.0
    assert told["loop_delay_ms_p50"] == 1.0
    assert BEAT_SECONDS <= 0.1


def test_it_is_silent_before_the_first_beat() -> None:
    """Without a beat every figure is zero."""
    assert set(Pulse(Clock().sleep, lambda: 0.0).statistics().values()) == {0.0}
