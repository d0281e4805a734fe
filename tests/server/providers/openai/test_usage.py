"""What was used, in our units: each token counted once, and nothing made up."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.openai import usage
from safelight_protocol.prices import used
from tests.doubles.openai_words import PAINTED, USAGE


def test_cached_tokens_are_not_counted_twice() -> None:
    """They are told among those of the input."""
    counts = used({"run": 1, "input_token": 8, "cached_token": 4, "output_token": 5})
    assert usage.of_response(USAGE) == counts


@pytest.mark.parametrize(
    "said", [None, {}, "many", {"input_tokens": 3}, {"input_tokens": "3", "output_tokens": 1}]
)
def test_what_is_not_told_is_not_known(said: Any) -> None:
    """No count is better than one that is guessed."""
    assert usage.of_response(said) is None
    assert usage.of_chat(said) is None
    assert usage.of_images(said, 2) == used({"run": 1, "image": 2})


def test_a_chat_has_its_own_words() -> None:
    """Without details nothing was cached, and never more than there was."""
    said = {"prompt_tokens": 3, "completion_tokens": 2}
    counts = {"run": 1, "input_token": 3, "cached_token": 0, "output_token": 2}
    assert usage.of_chat(said) == used(counts)
    said |= {"prompt_tokens_details": {"cached_tokens": 9}}  # type: ignore[dict-item]
    counts |= {"input_token": 0, "cached_token": 3}
    assert usage.of_chat(said) == used(counts)


def test_pictures_and_words_are_told_apart() -> None:
    """Of what went in and of what came out."""
    said = PAINTED | {"output_tokens_details": {"text_tokens": 20, "image_tokens": 280}}
    counts = {"run": 1, "image": 1, "input_token": 7, "input_image_token": 2, "cached_token": 0}
    counts |= {"output_token": 20, "output_image_token": 280}
    assert usage.of_images(said, 1) == used(counts)
