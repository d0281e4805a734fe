"""Bounds: what a request may come to before anything runs, and what cannot be said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from safelight_protocol.events import Kind
from safelight_protocol.prices import Price, Terms, cost, used
from safelight_protocol.quotes import MARGIN, bound_of, bounds
from safelight_protocol.task import Asked, Input, Resolved
from tests.doubles.lives import fresh

MILLION = 1_000_000
TOKENS = {"input_token": MILLION, "output_token": MILLION}
"""One millionth of a dollar for each token."""


def resolved(params: dict[str, Any] | None = None, n: int = 1, **more: Any) -> Resolved:
    """What such a request is taken to mean."""
    named = {"requested": "m", "model": "m", "provider": "p", "backend": None}
    return Resolved(**named, params=params or {}, seed=1, n=n, **more)


def asked(prompt: str = "x", kind: Kind = "image", inputs: tuple[Input, ...] = ()) -> Asked:
    """Such a request."""
    return Asked(kind=kind, prompt=prompt, inputs=inputs)


CASES: dict[str, tuple[dict[str, int], dict[str, int], dict[str, Any], int, int, int | None]] = {
    "images": ({"image": 3000}, {}, {}, 4, 12_000, 12_000),
    "a run, however many": ({"run": 40_000}, {}, {}, 4, 40_000, 40_000),
    "a clip of so many seconds": ({"video_second": 50}, {}, {"duration": 5}, 1, 250, 250),
    "a length as text": ({"video_second": 50}, {}, {"seconds": "8"}, 1, 400, 400),
    "a clip of any length": ({"video_second": 50}, {}, {}, 1, 0, None),
    "a clip of 10 seconds at most": ({"video_second": 50}, {"video_second": 10}, {}, 1, 0, 500),
    "computing": ({"second": 1400}, {}, {}, 1, 0, None),
    "computing with a limit": ({"second": 1400}, {"second": 60}, {}, 2, 0, 168_000),
    "a text without a limit": (TOKENS, {}, {}, 1, 0, None),
    "max_tokens": ({"output_token": MILLION}, {}, {"max_tokens": 100}, 1, 0, 100),
    "the model's own limit": ({"output_token": MILLION}, {"output_token": 50}, {}, 1, 0, 50),
    "the lower of both": (
        {"output_token": MILLION},
        {"output_token": 50},
        {"max_output_tokens": 100},
        1,
        0,
        50,
    ),
    "no limit is no number": ({"output_token": MILLION}, {}, {"max_tokens": True}, 1, 0, None),
    "picture tokens": (
        {"output_image_token": 8 * MILLION},
        {"output_image_token": 1000},
        {},
        2,
        0,
        16_000,
    ),
    "no pictures given": ({"input_image_token": MILLION}, {}, {}, 1, 0, 0),
    "a cache that is cheaper": ({"cached_token": 1, "input_token": 2}, {}, {}, 1, 0, 0),
    "a cache that is told with the rest": ({"input_token": MILLION}, {}, {}, 1, 0, 1 + MARGIN),
    "pictures that are words": (
        {"output_token": MILLION},
        {},
        {"max_tokens": 100},
        1,
        0,
        100,
    ),
    "pictures beside the words": (
        {"output_token": MILLION},
        {"output_image_token": 50},
        {"max_tokens": 100},
        2,
        0,
        300,
    ),
    "a limit of the cache at the common rate": (
        {"input_token": MILLION},
        {"cached_token": 50},
        {},
        1,
        0,
        1 + MARGIN,
    ),
    "nothing": ({}, {}, {}, 1, 0, 0),
    "zeros": ({"second": 0}, {}, {}, 1, 0, 0),
}


@pytest.mark.parametrize(("rates", "most", "params", "n", "low", "high"), CASES.values(), ids=CASES)
def test_bounds(
    rates: dict[str, int],
    most: dict[str, int],
    params: dict[str, Any],
    n: int,
    low: int,
    high: int | None,
) -> None:
    """The least and the most, None where nothing limits it."""
    found = bounds(Price(rates=rates, most=most), asked(), resolved(params, n))
    assert (found.low, found.high) == (low, high) and found.basis


def test_a_prompt_is_bounded_by_its_bytes() -> None:
    """A token has a byte at least, and a provider may put some words around it."""
    price = Price(rates={"input_token": MILLION})
    assert bounds(price, asked("é" * 10), resolved()).high == 20 + MARGIN
    more = bounds(price, asked("é" * 10), resolved({"system": "be kind"})).high
    assert more is not None and more > 20 + MARGIN


def test_tokens_of_a_given_picture_are_not_guessed() -> None:
    """With inputs only the price's own limit bounds what is read."""
    given_one = asked(inputs=(Input(upload="u"),))
    price = Price(rates={"input_token": MILLION, "input_image_token": MILLION})
    assert bounds(price, given_one, resolved()).high is None
    most = {"input_token": 10, "input_image_token": 20}
    limited = Price(rates=price.rates, most=most)
    assert bounds(limited, given_one, resolved()).high == 30
    words = Price(rates={"input_token": MILLION})
    assert bounds(words, given_one, resolved()).high is None
    large = Price(rates=words.rates, most={"input_token": 9 * MARGIN})
    assert bounds(large, given_one, resolved()).high == 9 * MARGIN


def test_a_dear_cache_counts_like_the_prompt() -> None:
    """What is cached can cost more than what is not only if its rate says so."""
    price = Price(rates={"cached_token": 2 * MILLION, "input_token": MILLION})
    found = bounds(price, asked(""), resolved()).high
    assert found == 3 * MARGIN


def test_the_basis_is_for_people() -> None:
    """It says how many of what, at which price, and how old that is."""
    price = Price(rates={"image": 3000}, as_of="2026-11-01")
    told = bounds(price, asked(), resolved(n=2)).basis
    assert told == "2 images at $0.003 per image (as of 2026-11-01)"


def test_the_basis_leaves_out_what_cannot_be_used() -> None:
    """Pictures that nobody sent are not told of."""
    price = Price(rates={"image": 3000, "input_image_token": 5})
    assert bounds(price, asked(), resolved()).basis == "1 image at $0.003 per image"


@given(
    n=st.integers(1, 8),
    rate=st.integers(0, 10**7),
    prompt=st.text(max_size=200),
    read=st.integers(0, 100),
    written=st.integers(0, 500),
    limit=st.integers(1, 500),
)
def test_no_cost_lies_beyond_its_bounds(
    n: int, rate: int, prompt: str, read: int, written: int, limit: int
) -> None:
    """Whatever is used within the limits of a request comes to no more than was quoted."""
    price = Price(rates={"image": rate, "input_token": rate, "output_token": 3 * rate})
    found = bounds(price, asked(prompt), resolved({"max_tokens": limit}, n))
    counts = {"image": n, "input_token": len(prompt.encode()) + read}
    counts["output_token"] = min(written, limit) * n
    assert found.high is not None
    assert found.low <= cost(price, used(counts)) <= found.high


def test_the_bound_of_an_attempt_follows_where_it_runs() -> None:
    """That of its terms; of another host by that one's price; none without terms."""
    task = fresh()
    assert bound_of(task) == 0
    priced = resolved(price=Price(rates={"image": 3}), terms=Terms(3, 3))
    task = msgspec.structs.replace(task, resolved=priced)
    assert bound_of(task) == 3
    other = resolved(price=Price(rates={"image": 7}))
    assert bound_of(task, other) == 7
    assert bound_of(msgspec.structs.replace(task, via=other)) == 7
    assert bound_of(task, resolved(price=UNSET)) is None
