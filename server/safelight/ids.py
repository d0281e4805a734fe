"""Names we mint: time-ordered task ids. The clock and the randomness are arguments."""

from __future__ import annotations

from collections.abc import Callable


def uuid7(now: int, randomness: Callable[[int], bytes]) -> str:
    """A UUID version 7 (RFC 9562, section 5.7) in lower case: 48 bits of milliseconds,
    then 74 random ones, so that ids made later sort later."""
    tail = randomness(10)
    time, rest = f"{now & (2**48 - 1):012x}", tail.hex()
    variant = "89ab"[tail[2] >> 4 & 3]
    return f"{time[:8]}-{time[8:]}-7{rest[1:4]}-{variant}{rest[5:8]}-{rest[8:]}"
