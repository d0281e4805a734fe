"""The price list of the Anthropic emulator: millionths of a US dollar for a million tokens.

Its own, in the manner of the real one; nobody should plan with it. Writing to the cache
costs a quarter more than reading anew, what is found there a tenth. Amounts are integers
throughout, and one run is rounded once, half to even.
"""

from __future__ import annotations

import msgspec

from ..rounding import per_million


class Rates(msgspec.Struct, frozen=True):
    """What a million tokens cost, in and out."""

    taken: int
    given: int


RATES = {
    "claude-opus-5-5": Rates(5_000_000, 25_000_000),
    "claude-sonnet-5-5": Rates(3_000_000, 15_000_000),
    "claude-haiku-5-5": Rates(1_000_000, 5_000_000),
    "claude-sonnet-4-5": Rates(3_000_000, 15_000_000),
    "claude-haiku-4-5": Rates(1_000_000, 5_000_000),
}


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What one run used; the three kinds of input are counted apart."""

    taken: int = 0
    written: int = 0
    found: int = 0
    given: int = 0


def cost(model: str, used: Tokens) -> int:
    """What a run of `model` comes to, in millionths of a US dollar."""
    rates = RATES[model]
    total = used.taken * rates.taken + used.given * rates.given
    total += used.written * (rates.taken * 5 // 4) + used.found * (rates.taken // 10)
    return per_million(total)
