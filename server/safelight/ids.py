"""Names we mint: time-ordered task ids. The clock and the randomness are arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache


def uuid7(now: int, randomness: Callable[[int], bytes]) -> str:
    """A UUID version 7 (RFC 9562, section 5.7) in lower case: 48 bits of milliseconds,
    then 74 random ones, so that ids made later sort later."""
    tail = randomness(10)
    rest, variant = tail.hex(), "89ab"[tail[2] >> 4 & 3]
    return f"{_time(now)}-7{rest[1:4]}-{variant}{rest[5:8]}-{rest[8:]}"


@lru_cache(maxsize=8)
def _time(now: int) -> str:
    """What ids of one millisecond begin with."""
    time = f"{now & (2**48 - 1):012x}"
    return f"{time[:8]}-{time[8:]}"
