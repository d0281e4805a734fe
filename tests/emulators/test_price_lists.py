"""The models and price lists of three emulators: whole, and counted in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from safelight.emulators.anthropic import models as anthropic_models
from safelight.emulators.anthropic import prices as anthropic
from safelight.emulators.gemini import models as gemini_models
from safelight.emulators.gemini import prices as gemini
from safelight.emulators.openai import models as openai_models
from safelight.emulators.openai import prices as openai
from safelight.registry.catalog import read_catalog

OWN = "llama3.2"
"""Stands for somebody's own server, which bills nobody."""

LISTS: Mapping[str, tuple[Mapping[str, object], Mapping[str, object]]] = {
    "openai": (openai_models.MODELS, openai.RATES),
    "anthropic": (anthropic_models.MODELS, anthropic.RATES),
    "gemini": (gemini_models.MODELS, gemini.RATES),
}

ENDED = {"imagen-4.0-generate-001", "gpt-image-1", "dall-e-3", "claude-sonnet-4-20250514"}
"""Rows that are shipped for models that have ended: no emulator has them either."""


@pytest.mark.parametrize("name", LISTS)
def test_every_model_has_its_price(name: str) -> None:
    """What can be run costs something, and nothing else is priced."""
    models, rates = LISTS[name]
    assert set(models) - {OWN} == set(rates)


@pytest.mark.parametrize("name", LISTS)
def test_what_is_shipped_can_be_tried(name: str) -> None:
    """Every row of ours that can still run is a model that the emulator has."""
    rows = {row.name for row in read_catalog().models if row.provider == name}
    assert rows - ENDED and rows - ENDED <= set(LISTS[name][0])


@pytest.mark.parametrize(
    ("cost", "micros"),
    [
        (lambda: openai.cost("gpt-5.4-nano", openai.Tokens(text_in=2)), 0),
        (lambda: openai.cost("gpt-5.4-nano", openai.Tokens(text_in=3)), 1),
        (lambda: openai.cost("gpt-4.1-mini", openai.Tokens(text_in=10, cached=5)), 2),
        (lambda: openai.cost("gpt-4.1-mini", openai.Tokens(text_in=15, cached=5)), 4),
        (lambda: openai.cost("gpt-image-2", openai.Tokens(image_in=1, image_out=272)), 8168),
        (lambda: openai.cost(OWN, openai.Tokens(text_in=10**9)), 0),
        (lambda: anthropic.cost("claude-haiku-5-5", anthropic.Tokens(written=2)), 2),
        (lambda: anthropic.cost("claude-haiku-5-5", anthropic.Tokens(written=6)), 8),
        (lambda: anthropic.cost("claude-haiku-5-5", anthropic.Tokens(found=100, given=1)), 15),
        (lambda: gemini.cost("gemini-2.5-pro", gemini.Tokens(taken=2, thought=1)), 12),
        (lambda: gemini.cost("gemini-2.5-pro", gemini.Tokens(taken=6, thought=1)), 18),
    ],
)
def test_a_run_is_rounded_once(cost: Callable[[], int], micros: int) -> None:
    """Half a millionth goes to the even side, and only the sum is rounded."""
    assert cost() == micros
