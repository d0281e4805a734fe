"""How the price lists of tokens round: a run once, half to even, in integers throughout.

A part of the emulators' own reckoning, which shares nothing with that of the server.
"""

from __future__ import annotations

MILLION = 1_000_000


def per_million(total: int) -> int:
    """A millionth of this."""
    whole, rest = divmod(total, MILLION)
    up = rest * 2 > MILLION or (rest * 2 == MILLION and whole % 2 == 1)
    return whole + up
