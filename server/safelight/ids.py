"""Names we mint: time-ordered task ids. The clock and the randomness are arguments."""

from __future__ import annotations

from collections.abc import Callable


def uuid7(now: int, randomness: Callable[[int], bytes]) -> str:
    """A UUID version 7 (RFC 9562, section 5.7) in lower case: 48 bits of milliseconds,
    then 74 random ones, so that ids made later sort later."""
    tail = int.from_bytes(randomness(10), "big")
    value = (now & (2**48 - 1)) << 80 | tail
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
