"""The catalog: read as a whole, and refused where it contradicts itself."""

from __future__ import annotations

import pytest

from safelight.registry import Registry
from safelight.registry.catalog import BadCatalog, read_catalog
from safelight_protocol.task import Asked

HEAD = """
dated = 2026-01-01
[providers.p]
label = "P"
[app.image]
model = "m"
[schemas.s.params.steps]
type = "integer"
default = 5
minimum = 1
maximum = 9
[[models]]
name = "m"
label = "M"
kind = "image"
provider = "p"
schema = "s"
order = 1
"""


def test_a_catalog_that_agrees_with_itself_is_read() -> None:
    """A small catalog without mistakes makes a registry."""
    registry = Registry(read_catalog(HEAD), frozenset({"p"}))
    asked = Asked(kind="image", prompt="p")
    assert registry.resolve(asked, draw_seed=lambda: 1).resolved.params == {"steps": 5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('provider = "p"', 'provider = "q"', r"models\.toml: models\.m\.provider: no provider q"),
        ('schema = "s"', 'schema = "t"', r"models\.m\.schema: no schema t"),
        ("order = 1", 'order = 1\naliases = ["m"]', r"models\.m\.aliases: found m twice"),
        ('model = "m"', 'model = "x"', r"app\.image\.model: x is no image model"),
        ('kind = "image"', 'kind = "text"', r"app\.image\.model: m is no image model"),
        ("default = 5", "default = 50", "steps: found 50, expected an integer from 1 to 9"),
        ("default = 5", "defualt = 5", "defualt"),
        ("order = 1", "order = x", "cannot be read: Invalid value"),
    ],
)
def test_a_catalog_that_contradicts_itself_is_refused(old: str, new: str, message: str) -> None:
    """Mistakes in models.toml are found when it is read, and named."""
    with pytest.raises(BadCatalog, match=message):
        read_catalog(HEAD.replace(old, new))
