"""Rows that are declared equal: what is checked at load, and what a request runs as instead."""

from __future__ import annotations

import pytest

from safelight.registry import BadCatalog, Registry
from safelight.registry.catalog import laid_over, read_catalog
from safelight_protocol.task import Resolved
from tests.doubles.ailing import twins
from tests.doubles.lives import asked

TOKENS = "price = { rates = { input_token = 1000 } }"
"""What was cached costs what the rest does."""


def registry(north: str = 'equals = ["south/x"]', south: str = "", billed: str = "") -> Registry:
    """One that has both, and both configured."""
    catalog = laid_over(read_catalog(), twins(north, south), "models.toml")
    names = frozenset({"local", "north", "south"})
    return Registry(catalog, names, billed=frozenset(billed.split()))


def meant(registry: Registry, model: str = "north/x") -> Resolved:
    """A request for it."""
    request = asked(model=model, params={"script": []})
    return registry.resolve(request, draw_seed=lambda: 7).resolved


def test_an_equal_runs_the_same_request() -> None:
    """Model and host are others; seed, parameters and what it was asked as are not."""
    ours = registry()
    home = meant(ours)
    (south,) = ours.equals(home)
    assert (south.model, south.provider) == ("south/x", "south")
    assert (south.seed, south.params, south.requested) == (7, home.params, "north/x")
    assert ours.equals(meant(ours, "south/x"))[0].model == "north/x"


def test_what_has_no_equal_has_none() -> None:
    """Nor has one whose equal is not configured."""
    assert registry("").equals(meant(registry(""))) == ()
    catalog = laid_over(read_catalog(), twins(), "models.toml")
    alone = Registry(catalog, frozenset({"local", "north"}))
    assert alone.equals(meant(alone)) == ()


@pytest.mark.parametrize(
    ("north", "south", "equal"),
    [
        ("price_micros = 2000", "price_micros = 2000", True),
        ("price_micros = 2000", "price_micros = 1000", True),
        ("price_micros = 2000", "price_micros = 0", True),
        ("price_micros = 1000", "price_micros = 2000", False),
        ("price_micros = 0", "price_micros = 1", False),
        ("price_micros = 1000", "price = { rates = { run = 1000 } }", False),
        ("price_micros = 1000", "", False),
        (TOKENS, "price = { rates = { input_token = 1000, cached_token = 100 } }", True),
        ("price = { rates = { input_token = 1000, cached_token = 100 } }", TOKENS, False),
        ("", "vip = true\nprice_micros = 0", False),
        ("vip = true\nprice_micros = 10", "vip = true\nprice_micros = 10", True),
    ],
)
def test_an_equal_costs_no_more_than_was_agreed_to(north: str, south: str, equal: bool) -> None:
    """By no unit, and not perhaps."""
    ours = registry(f'equals = ["south/x"]\n{north}', south, billed="south")
    assert bool(ours.equals(meant(ours))) is equal


@pytest.mark.parametrize(
    ("north", "south", "told"),
    [
        ('equals = ["south/y"]', "", "no model south/y; did you mean south/x?"),
        ('equals = ["north/x"]', "", "found north/x itself, expected another model"),
        ('equals = ["local/clip"]', "", "is no image model"),
        ('equals = ["local/paint"]', "", "does not take the same parameters as north/x"),
        ('equals = ["south/x"]', "max_inputs = 0", "south/x has another max_inputs than north/x"),
        ('equals = ["south/x"]', "max_n = 1", "south/x has another max_n than north/x"),
    ],
)
def test_a_wrong_equal_stops_the_server(north: str, south: str, told: str) -> None:
    """With the file, the row, the field, and what is wrong."""
    with pytest.raises(BadCatalog) as wrong:
        registry(north, south)
    assert str(wrong.value).startswith("models.toml: models.north/x.equals: ")
    assert told in str(wrong.value)


def test_limits_are_those_of_the_rows() -> None:
    """Only models that say so have one."""
    assert registry("concurrency = 2").limits() == {"north/x": 2}
