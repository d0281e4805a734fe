"""What a prediction is priced by: rates per unit, what was used, and what that comes to.

Amounts are integers in millionths of a US dollar; what was used is a Decimal, never a
float, and the one rounding is at the end. A rate of tokens is for a million of them, as
providers print it. Knows no model and no provider: the registry has the prices, the
providers tell what was used. What a request may come to is in quotes.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Any

import msgspec

UNITS: Mapping[str, str] = {
    "run": "prediction",
    "image": "image",
    "video": "video",
    "video_second": "second of video",
    "second": "second of computing",
    "input_token": "million input tokens",
    "cached_token": "million input tokens that were cached",
    "output_token": "million output tokens",
    "input_image_token": "million input tokens of pictures",
    "output_image_token": "million output tokens of pictures",
}
"""What a price may be for, and what one rate of it buys."""

KIND_OF: Mapping[str, str] = {
    "cached_token": "input_token",
    "input_image_token": "input_token",
    "output_image_token": "output_token",
}
"""Tokens that some price lists do not tell apart: what has no rate of its own costs what the
tokens cost that it is a kind of."""

MILLION = 1_000_000

Usage = Mapping[str, Decimal]
"""How much was used of each of UNITS; tokens are counted one by one."""


class Price(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model costs: `rates` in millionths of a US dollar by unit, as of a date (ISO
    8601), and `from` where they are known. Where `most` says so, one result uses no more of a
    unit than this."""

    rates: dict[str, int]
    as_of: str = ""
    source: str = msgspec.field(default="", name="from")
    most: dict[str, int] = {}

    @property
    def free(self) -> bool:
        """Whether it costs nothing, however much is used."""
        return not any(self.rates.values())

    def rate(self, unit: str) -> int:
        """What one of a unit costs: by its own rate, or by that of what it is a kind of. What
        has neither costs nothing."""
        return self.rates.get(unit, self.rates.get(KIND_OF.get(unit, ""), 0))


class Terms(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the owner of a task agreed to, in millionths of a US dollar: `hold` is set aside
    for it until its end; one attempt costs `bound` at the most, None where that is not known;
    all of them together may not pass `cap`, None where only a budget limits them."""

    hold: int
    bound: int | None = None
    cap: int | None = None


MAX_MICROS = 10**15
"""A billion dollars: any amount that is said stays exact in every JSON reader."""

MOST_USED = Decimal(10**15)
FINEST = Decimal("1e-12")
"""What can be used of anything: nobody uses more, and nobody bills for less."""

_EXACT = Context(prec=100)


def micros_of(dollars: float | str) -> int:
    """A number of dollars, as it is written, in millionths of one: nothing is rounded. Raises
    ValueError for one that is negative, no number, too large or finer than a millionth."""
    try:
        amount = Decimal(str(dollars)) * MILLION
    except ArithmeticError:
        raise ValueError("no number") from None
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError("finer than a millionth")
    if not 0 <= amount <= MAX_MICROS:
        raise ValueError("out of range")
    return int(amount)


def in_dollars(micros: int) -> str:
    """An amount for people: `$0.003`; whole cents at least."""
    whole, part = divmod(abs(micros), MILLION)
    told = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}${whole}.{told}"


def used(counts: Mapping[str, Any]) -> dict[str, Decimal]:
    """A usage out of what a provider said: integers, floats or text. What is no number, is
    negative, not finite or more than anybody can use is left out."""
    made: dict[str, Decimal] = {}
    for unit, count in counts.items():
        if unit not in UNITS:
            raise ValueError(f"{unit} is none of {', '.join(UNITS)}")
        if isinstance(count, bool) or not isinstance(count, int | float | str | Decimal):
            continue
        try:
            amount = Decimal(str(count))
        except ArithmeticError:
            continue
        if amount.is_finite() and 0 <= amount <= MOST_USED:
            exponent = amount.as_tuple().exponent
            is_finer = isinstance(exponent, int) and exponent < FINEST.adjusted()
            made[unit] = amount.quantize(FINEST) if is_finer else amount
    return made


def cost(price: Price, usage: Usage) -> int:
    """What it comes to, in millionths of a US dollar, rounded once, half to even."""
    total = Decimal(0)
    with localcontext(_EXACT):
        for unit, count in usage.items():
            per = MILLION if unit.endswith("_token") else 1
            total += Decimal(price.rate(unit)) * count / per
        return int(total.to_integral_value(ROUND_HALF_EVEN))


def covers(price: Price, usage: Usage) -> bool:
    """Whether the usage says something about every rate that is not 0. Of a kind of tokens
    without a rate of its own it need not: then they are among the others."""
    return all(unit in usage for unit, rate in price.rates.items() if rate)
