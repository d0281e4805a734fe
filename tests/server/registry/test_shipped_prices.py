"""Prices that are shipped: what they are known from, and that the app's own models have a limit.

The deployed app sends no `max_cost`: only a price with an upper bound lets it make anything
from a budget.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import UNSET

from safelight.registry import Registry, Resolution
from safelight.registry.catalog import read_catalog
from safelight.registry.rows import ModelRow
from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind
from safelight_protocol.quotes import bounds
from safelight_protocol.task import Asked, Input

CATALOG = read_catalog()
OWN = {name for name, row in CATALOG.providers.items() if row.embedded} | {"comfyui"}
PAID = [row for row in CATALOG.models if row.provider not in OWN]
TEXTS = [row for row in PAID if row.kind == "text" and row.price]
PRICED = [row for row in PAID if row.price]
DAY = 86_400_000
TODAY = (CATALOG.dated.toordinal() - 719_163) * DAY

SAID: dict[str, tuple[Kind, str | None, str]] = {
    "an image": ("image", None, "bytedance/seedream-3"),
    "a video": ("video", None, "bytedance/seedance-1-pro"),
    "a text": ("text", None, "gemini-2.5-flash-lite"),
    "the image model of old": ("image", "google/imagen-4-fast", "bytedance/seedream-3"),
    "by an alias": ("image", "imagen-4-fast", "bytedance/seedream-3"),
    "the other image model": ("image", "bytedance/seedream-3", "bytedance/seedream-3"),
    "the quicker video model": ("video", "bytedance/seedance-1-lite", "bytedance/seedance-1-lite"),
    "a third video model": ("video", "kwaivgi/kling-v2.1", "kwaivgi/kling-v2.1"),
    "a text of OpenAI": ("text", "gpt-4.1", "gpt-4.1"),
    "a text of Anthropic": ("text", "claude-sonnet-4-20250514", "claude-sonnet-5-5"),
    "a longer text of Google": ("text", "gemini-2.5-pro", "gemini-2.5-pro"),
}
"""What the app says, and which model that is on the catalog's day."""


def meant(kind: Kind, model: str | None, inputs: tuple[Input, ...] = ()) -> Resolution:
    """A request of the app's, where every provider is configured and bills."""
    names = frozenset(CATALOG.providers)
    registry = Registry(CATALOG, names, billed=names - OWN, clock=lambda: TODAY)
    asked = Asked(kind=kind, prompt="a medieval monk", model=model, app=True, inputs=inputs)
    return registry.resolve(asked, draw_seed=lambda: 1)


@pytest.mark.parametrize(("kind", "model", "runs"), SAID.values(), ids=SAID)
def test_what_the_app_asks_for_has_a_limit(kind: Kind, model: str | None, runs: str) -> None:
    """Its defaults and the models that it names, through aliases and successors, cost no more
    than a known amount, and that is no fortune."""
    row = next(row for row in CATALOG.models if row.name == runs)
    found = meant(kind, model, tuple(Input(upload="u") for _ in range(row.min_inputs)))
    price = found.resolved.price
    assert found.resolved.model == runs and price is not UNSET
    limit = bounds(price, found.asked, found.resolved).high
    assert limit is not None and 0 < limit <= 2_000_000


def test_a_model_that_begins_with_a_picture_says_so() -> None:
    """A film of Kling's is refused without one, before its provider is asked."""
    with pytest.raises(Refused, match="inputs: found nothing, expected 1 or more"):
        meant("video", "kwaivgi/kling-v2.1")


@pytest.mark.parametrize("row", TEXTS, ids=lambda row: row.name)
def test_a_text_about_pictures_has_a_limit(row: ModelRow) -> None:
    """What a model can take at all bounds what pictures come to."""
    if CATALOG.dated < (row.shutdown_date or CATALOG.dated.max):
        found = meant("text", row.name, (Input(upload="u"),))
        assert found.resolved.price is not UNSET
        assert bounds(found.resolved.price, found.asked, found.resolved).high is not None


@pytest.mark.parametrize("row", PRICED, ids=lambda row: row.name)
def test_a_price_says_where_it_is_from(row: ModelRow) -> None:
    """And when that was true, never later than the catalog itself."""
    price = row.price
    assert price is not None and price.source
    assert price.as_of or "neither with a date" in price.source
    assert price.as_of <= CATALOG.dated.isoformat()
    assert re.fullmatch(r"(\d{4}(-\d\d){1,2})?", price.as_of)


@pytest.mark.parametrize("row", PRICED, ids=lambda row: row.name)
def test_tokens_are_counted_on_both_sides(row: ModelRow) -> None:
    """A price by tokens names what goes in and what comes out; the rest costs as they do."""
    assert row.price is not None
    rates = row.price.rates
    if any(unit.endswith("_token") for unit in rates):
        assert "input_token" in rates
        assert ("output_image_token" if row.kind == "image" else "output_token") in rates


def test_the_page_names_what_has_no_price() -> None:
    """Rows that can run without a price, or without a limit to it, are in docs/models.md."""
    page = (Path(__file__).parents[3] / "docs/models.md").read_text()
    _, _, listed = page.partition("## What has no price here")
    section = listed.partition("\n## ")[0]
    for row in PAID:
        retired = row.shutdown_date is not None and row.shutdown_date <= CATALOG.dated
        if retired or (row.price is not None and _bounded(row)):
            assert f"`{row.name}`" not in section, row.name
        else:
            assert f"`{row.name}`" in section, row.name


def _bounded(row: ModelRow) -> bool:
    found = meant(row.kind, row.name, tuple(Input(upload="u") for _ in range(row.min_inputs)))
    price = found.resolved.price
    return price is UNSET or bounds(price, found.asked, found.resolved).high is not None
