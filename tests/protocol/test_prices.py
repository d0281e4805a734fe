"""Prices: what was used times what it costs, exactly, and rounded once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol.prices import (
    MAX_MICROS,
    Price,
    cost,
    covers,
    in_dollars,
    micros_of,
    used,
)

COSTS: dict[str, tuple[dict[str, int], dict[str, Any], int]] = {
    "by the piece": ({"image": 3000}, {"image": 4}, 12_000),
    "a run": ({"run": 40_000}, {"run": 1}, 40_000),
    "seconds in fractions": ({"second": 1400}, {"second": "2.5"}, 3500),
    "seconds of video": ({"video_second": 50_000}, {"video_second": 5}, 250_000),
    "tokens by the million": ({"output_token": 2_500_000}, {"output_token": 400}, 1000),
    "several units": (
        {"input_token": 2_000_000, "output_image_token": 8_000_000},
        {"input_token": 50, "output_image_token": 1056},
        8548,
    ),
    "half a millionth, to even": ({"input_token": 500_000}, {"input_token": 1}, 0),
    "one and a half, to even": ({"input_token": 500_000}, {"input_token": 3}, 2),
    "rounded once, not by unit": (
        {"input_token": 500_000, "output_token": 500_000},
        {"input_token": 1, "output_token": 1},
        1,
    ),
    "what has no rate costs nothing": ({"image": 3000}, {"second": 90}, 0),
    "nothing used": ({"image": 3000}, {}, 0),
    "cached tokens without a rate": ({"input_token": 2_000_000}, {"cached_token": 5}, 10),
    "cached tokens with one": (
        {"input_token": 2_000_000, "cached_token": 1_000_000},
        {"input_token": 1, "cached_token": 5},
        7,
    ),
    "cached tokens that are free": (
        {"input_token": 2_000_000, "cached_token": 0},
        {"input_token": 1, "cached_token": 5},
        2,
    ),
    "pictures without rates of their own": (
        {"input_token": 2_000_000, "output_token": 3_000_000},
        {"input_image_token": 5, "output_image_token": 7},
        31,
    ),
    "a rate of pictures is none of words": (
        {"output_image_token": 8_000_000},
        {"output_token": 9},
        0,
    ),
}


@pytest.mark.parametrize(("rates", "counts", "amount"), COSTS.values(), ids=COSTS)
def test_what_it_comes_to(rates: dict[str, int], counts: dict[str, Any], amount: int) -> None:
    """Rate times count, tokens by the million, rounded at the end only."""
    assert cost(Price(rates=rates), used(counts)) == amount


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), st.integers(0, 10**8))
def test_costs_add_up(counts: list[int], rate: int) -> None:
    """Whole units cost the same together as one by one."""
    price = Price(rates={"image": rate})
    each = [cost(price, {"image": Decimal(count)}) for count in counts]
    assert sum(each) == cost(price, {"image": Decimal(sum(counts))})


def test_what_is_no_number_was_not_told() -> None:
    """Of what a provider says only finite numbers of 0 or more count."""
    said = {"image": 1, "second": 0.5, "run": "2", "video": True, "input_token": -1}
    said |= {"output_token": None, "cached_token": "many", "video_second": float("nan")}
    assert used(said) == {"image": 1, "second": Decimal("0.5"), "run": 2}


def test_a_unit_that_there_is_not_is_our_mistake() -> None:
    """An adapter that counts in a unit of its own is told at once."""
    with pytest.raises(ValueError, match="pictures is none of"):
        used({"pictures": 1})


def test_a_usage_covers_a_price() -> None:
    """It does if it says something of every rate; rates of 0 do not matter."""
    price = Price(rates={"image": 3000, "second": 0})
    assert covers(price, used({"image": 0}))
    assert not covers(price, used({"second": 3}))


def test_tokens_without_a_rate_of_their_own_may_be_left_out() -> None:
    """Who does not tell cached tokens apart has told them among the others; who tells nothing
    but them has not told the others."""
    price = Price(rates={"input_token": 2, "output_token": 3})
    assert covers(price, used({"input_token": 1, "output_token": 1}))
    assert not covers(price, used({"cached_token": 1, "output_token": 1}))


def test_free_is_what_has_no_rates_or_only_zeros() -> None:
    """However much is used of it."""
    assert Price(rates={}).free and Price(rates={"image": 0}).free
    assert not Price(rates={"image": 0, "run": 1}).free


DOLLARS: dict[Any, int] = {
    0.003: 3000,
    0.1: 100_000,
    3: 3_000_000,
    "1e-6": 1,
    0: 0,
    1e9: MAX_MICROS,
}


@pytest.mark.parametrize(("dollars", "micros"), DOLLARS.items())
def test_dollars_are_taken_as_they_are_written(dollars: Any, micros: int) -> None:
    """0.1 is a hundred thousand millionths, whatever a float makes of it."""
    assert micros_of(dollars) == micros


@pytest.mark.parametrize("dollars", [-1, 0.0000001, "1e-7", 1e10, "nan", "inf", "two"])
def test_dollars_that_cannot_be_kept(dollars: Any) -> None:
    """Nothing is rounded: what is finer than a millionth is refused."""
    with pytest.raises(ValueError, match=r"number|finer|range"):
        micros_of(dollars)


@given(st.integers(0, MAX_MICROS))
def test_amounts_come_back(micros: int) -> None:
    """What is told of an amount reads as that amount."""
    assert micros_of(in_dollars(micros)[1:]) == micros


def test_amounts_for_people() -> None:
    """Whole cents at least, and no more digits than there are."""
    assert [in_dollars(n) for n in (0, 1, 3000, 1_500_000, -20)] == [
        "$0.00",
        "$0.000001",
        "$0.003",
        "$1.50",
        "-$0.00002",
    ]


def test_a_price_travels() -> None:
    """It is the same price behind JSON, in which its source is called `from`."""
    price = Price(rates={"image": 1}, as_of="2026-11-01", source="a page", most={"second": 9})
    sent = msgspec.json.encode(price)
    assert b'"from":"a page"' in sent and msgspec.json.decode(sent, type=Price) == price
