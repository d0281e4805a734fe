"""The price list of the Gemini emulator: millionths of a US dollar for a million tokens.

Its own, in the manner of the real one; nobody should plan with it. Thoughts cost what text
costs that comes out. Amounts are integers throughout, and one run is rounded once, half to
even.
"""

from __future__ import annotations

import msgspec

from ..rounding import per_million


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What a million tokens of each kind cost; `cached` were read before."""

    taken: int
    cached: int
    given: int
    pictures: int = 0


RATES = {
    "gemini-2.5-flash-lite": Rates(taken=100_000, cached=10_000, given=400_000),
    "gemini-2.5-flash": Rates(taken=300_000, cached=30_000, given=2_500_000),
    "gemini-2.5-pro": Rates(taken=1_250_000, cached=125_000, given=10_000_000),
    "gemini-3.8-flash": Rates(taken=300_000, cached=30_000, given=2_500_000),
    "gemini-3.5-flash-lite": Rates(taken=250_000, cached=25_000, given=1_500_000),
    "gemini-3.1-flash-lite": Rates(taken=250_000, cached=25_000, given=1_500_000),
    "gemini-nano-banana-2.1": Rates(
        taken=500_000, cached=50_000, given=3_000_000, pictures=60_000_000
    ),
    "gemini-3.1-flash-image": Rates(
        taken=500_000, cached=50_000, given=3_000_000, pictures=60_000_000
    ),
    "gemini-3-pro-image": Rates(
        taken=2_000_000, cached=200_000, given=12_000_000, pictures=120_000_000
    ),
}


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What one run used; `cached` and `seen` (of pictures) are among `taken`."""

    taken: int = 0
    seen: int = 0
    cached: int = 0
    given: int = 0
    thought: int = 0
    pictures: int = 0


def cost(model: str, used: Tokens) -> int:
    """What a run of `model` comes to, in millionths of a US dollar."""
    rates = RATES[model]
    total = (used.taken - used.cached) * rates.taken + used.cached * rates.cached
    total += (used.given + used.thought) * rates.given + used.pictures * rates.pictures
    return per_million(total)
