"""The price list of the OpenAI emulator: millionths of a US dollar for a million tokens.

Its own, in the manner of the real one; nobody should plan with it. Models that are not here
cost nothing, as those of somebody's own server do. Amounts are integers throughout, and one
run is rounded once, half to even.
"""

from __future__ import annotations

import msgspec

from ..rounding import per_million


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What a million tokens of each kind cost; `cached` are text tokens that went in before."""

    text_in: int
    cached: int = 0
    text_out: int = 0
    image_in: int = 0
    image_out: int = 0


SUNBURST = Rates(text_in=5_000_000, image_in=8_000_000, image_out=30_000_000)
FLARE = Rates(text_in=2_000_000, image_in=2_500_000, image_out=8_000_000)

RATES = {
    "gpt-6-luna": Rates(text_in=1_000_000, cached=100_000, text_out=6_000_000),
    "gpt-6.1-terra": Rates(text_in=2_000_000, cached=200_000, text_out=12_000_000),
    "gpt-6.2-sol": Rates(text_in=2_500_000, cached=250_000, text_out=15_000_000),
    "gpt-5.4": Rates(text_in=2_500_000, cached=250_000, text_out=15_000_000),
    "gpt-5.4-mini": Rates(text_in=750_000, cached=75_000, text_out=4_500_000),
    "gpt-5.4-nano": Rates(text_in=200_000, cached=20_000, text_out=1_250_000),
    "gpt-4.1": Rates(text_in=2_000_000, cached=500_000, text_out=8_000_000),
    "gpt-4.1-mini": Rates(text_in=400_000, cached=100_000, text_out=1_600_000),
    "gpt-image-2.6-sunburst": SUNBURST,
    "gpt-image-2.6-flare": FLARE,
    "gpt-image-2.5-sunburst": SUNBURST,
    "gpt-image-2.5-flare": FLARE,
    "gpt-image-2": SUNBURST,
    "gpt-image-1.5": SUNBURST,
    "gpt-image-1-mini": FLARE,
}


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What one run used; `cached` are among `text_in`."""

    text_in: int = 0
    cached: int = 0
    text_out: int = 0
    image_in: int = 0
    image_out: int = 0


def cost(model: str, used: Tokens) -> int:
    """What a run of `model` comes to, in millionths of a US dollar."""
    rates = RATES.get(model)
    if rates is None:
        return 0
    total = (used.text_in - used.cached) * rates.text_in + used.cached * rates.cached
    total += used.image_in * rates.image_in
    total += used.text_out * rates.text_out + used.image_out * rates.image_out
    return per_million(total)
