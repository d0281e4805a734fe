"""What a request may come to before anything runs: the least and the most, and why.

Reads a price and the request it is for. What nothing limits has no upper bound, and says
so: nobody can agree to an amount that nobody knows. Tokens of a prompt are not counted as
a model would, but bounded by its bytes, of which a token has one at least. Decides nothing;
whether an owner may have it is the server's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from .prices import KIND_OF, MAX_MICROS, MOST_USED, UNITS, Price, cost, in_dollars
from .task import Asked, Resolved, Task

MARGIN = 1024
"""Tokens that a provider may put around a prompt: roles, tools, the beginning and the end."""

TOKEN_LIMITS = ("max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens")
"""Parameters that limit what a model writes."""

LENGTHS = ("duration", "seconds", "num_seconds")
"""Parameters that say how long a video is."""

COUNTS = tuple(
    "n num_outputs num_images number_of_images num_videos num_samples batch_size best_of"
    " num_return_sequences candidate_count".split()
)
"""Parameters by which models that take any say how many results they make of one."""

LEAST = Decimal("1e-6")


class Consent(msgspec.Struct, frozen=True):
    """What a create of it would need: an agreement to its price, and whether the model is
    for those who agree even if it is free. `given` says that this request has it."""

    needed: bool
    given: bool
    vip: bool
    why: str


class Allowance(msgspec.Struct, frozen=True):
    """An owner's budget on a day (UTC): what it is, what is spent of it, what is held for
    tasks that have not ended, and what is left. All in millionths of a US dollar."""

    day: str
    per_day_micros: int
    spent_micros: int
    held_micros: int
    left_micros: int


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may cost. `low_micros` to `high_micros` are for one attempt, null where
    nothing limits it; `basis` says how they come about. `task_id` is there if the request is
    that task already: then it costs nothing."""

    low_micros: int
    high_micros: int | None
    currency: Literal["USD"] = "USD"
    basis: str
    model: str
    provider: str
    price: Price | None
    consent: Consent
    budget: Allowance | None
    task_id: str | None = None


class Bounds(msgspec.Struct, frozen=True):
    """The least and the most that one attempt costs, and in words why."""

    low: int
    high: int | None
    basis: str


def bounds(price: Price, asked: Asked, resolved: Resolved) -> Bounds:
    """What an attempt at this comes to by that price."""
    low: dict[str, Decimal] = {}
    high: dict[str, Decimal] = {}
    open_ended: list[str] = []
    told: list[str] = []
    for unit in _counting(price):
        rate = price.rate(unit)
        if not rate:
            continue
        least, most = _range(unit, price, asked, resolved)
        low[unit] = Decimal(least)
        if most is None:
            open_ended.append(unit)
        else:
            high[unit] = Decimal(most)
        if most != 0:
            told.append(_in_words(unit, rate, least, most))
    basis = "; ".join(told) or "it costs nothing"
    if price.as_of:
        basis += f" (as of {price.as_of})"
    return Bounds(_told(price, low), None if open_ended else _told(price, high), basis)


def bound_of(task: Task, ran: Resolved | None = None) -> int | None:
    """What one attempt at a task costs at the most, None where nothing says so; with `ran`
    one that runs that. Of a task without terms it is 0."""
    terms = task.resolved.terms
    if terms is UNSET:
        return 0
    other = ran or task.via
    if other is None:
        return terms.bound
    return None if other.price is UNSET else bounds(other.price, task.asked, other).high


def _told(price: Price, usage: Mapping[str, Decimal]) -> int:
    """What it comes to; of more than anybody can agree to only that it is more."""
    return min(cost(price, usage), MAX_MICROS + 1)


def _counting(price: Price) -> list[str]:
    """The units that a bound adds up. Tokens of a kind without a rate of its own are bounded
    with those that they are a kind of, unless the price limits them by themselves."""
    apart = (unit for unit in KIND_OF if unit in price.most and unit not in price.rates)
    return [*price.rates, *apart]


def _range(
    unit: str, price: Price, asked: Asked, resolved: Resolved
) -> tuple[Decimal | int, Decimal | int | None]:
    """The least and the most of a unit that an attempt uses; None where nothing says so."""
    least, n = resolved.n, resolved.n * _multiplied(resolved.params)
    most = None if unit not in price.most else price.most[unit] * n
    match unit:
        case "run":
            return 1, 1
        case "image" | "video":
            return least, n
        case "video_second":
            length = number_in(resolved.params, LENGTHS)
            return (0, most) if length is None else (length * least, length * n)
        case "input_token":
            counted = (_bytes_of(asked, resolved) + MARGIN) * n
            return 0, most if asked.inputs else _least(most, counted)
        case "cached_token" if price.rate(unit) <= price.rate("input_token"):
            return 0, 0  # it counts in place of an input token, which costs no less
        case "cached_token":
            return 0, _least(most, (_bytes_of(asked, resolved) + MARGIN) * n)
        case "output_token":
            written = number_in(resolved.params, TOKEN_LIMITS)
            return 0, _least(most, None if written is None else written * n)
        case "input_image_token" if not asked.inputs:
            return 0, 0
        case _:
            return 0, most


def _least(*limits: Decimal | int | None) -> Decimal | int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def number_in(params: Mapping[str, Any], names: tuple[str, ...]) -> Decimal | None:
    """The largest of these parameters, among those that are numbers, or text of one, above 0:
    which of them its provider goes by is not known here."""
    numbers = (_number(params[name]) for name in names if name in params)
    return max((number for number in numbers if number is not None), default=None)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except (ArithmeticError, ValueError):
        return None
    return min(number, MOST_USED) if number.is_finite() and number >= LEAST else None


def _multiplied(params: Mapping[str, Any]) -> int:
    """By how much the results are more than were asked for by `n`."""
    times = 1
    for name in COUNTS:
        times *= max(1, math.ceil(_number(params.get(name)) or 1))
    return times


def _bytes_of(asked: Asked, resolved: Resolved) -> int:
    """Bytes of all that is sent in words."""
    words = msgspec.json.encode(resolved.params) if resolved.params else b""
    return len(asked.prompt.encode()) + len(words)


def _in_words(unit: str, rate: int, least: Decimal | int, most: Decimal | int | None) -> str:
    each = f"{in_dollars(rate)} per {UNITS[unit]}"
    if most is None:
        return f"{each}, as many {_counted(unit)} as it takes"
    if least == most:
        return f"{_plain(most)} {_counted(unit, most)} at {each}"
    return f"{_plain(least)} to {_plain(most)} {_counted(unit, most)} at {each}"


def _counted(unit: str, count: Decimal | int = 2) -> str:
    return unit.replace("_", " ") + ("" if count == 1 else "s")


def _plain(count: Decimal | int) -> str:
    return f"{Decimal(count):f}"
