"""Values held to a model's schema: what is taken, in which form, and what is said instead."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.replicate.values import fitted
from safelight_protocol.fields import Wrong

FILE = {"type": "string", "format": "uri"}


@pytest.mark.parametrize(
    ("value", "fragment", "comes_to"),
    [
        (5.0, {"type": "integer"}, 5),
        (5, {"type": "number"}, 5),
        ("5", {"type": "integer", "enum": [5, 10]}, 5),
        (5, {"type": "string", "enum": ["5", "10"]}, "5"),
        (None, {"type": ["string", "null"]}, None),
        (["a"], {"type": "array", "items": {"type": "string"}}, ["a"]),
        ({"a": 1}, {"type": "object"}, {"a": 1}),
        (True, {"type": "boolean"}, True),
        ("https://a.example/x.png", FILE, "https://a.example/x.png"),
        ("data:image/png;base64,AA==", FILE, "data:image/png;base64,AA=="),
        ("x", {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x"),
        ("anything", {}, "anything"),
        ("x", {"type": "colour"}, "x"),
    ],
)
def test_taken(value: Any, fragment: dict[str, Any], comes_to: Any) -> None:
    """What fits is taken, in the form that the model wants."""
    found = fitted(value, fragment)
    assert found == comes_to and type(found) is type(comes_to)


@pytest.mark.parametrize(
    ("value", "fragment", "expected"),
    [
        (51, {"type": "integer", "minimum": 1, "maximum": 50}, "an integer from 1 to 50"),
        (0, {"type": "number", "exclusiveMinimum": 0, "minimum": 0}, "a number of 0 or more"),
        (2.5, {"type": "integer"}, "an integer"),
        (True, {"type": "integer"}, "an integer"),
        (float("nan"), {"type": "number"}, "a number"),
        (10**400, {"type": "integer"}, "an integer"),
        (10**400, {"enum": ["5", "10"]}, "one of 5, 10"),
        (-1, {"type": "integer", "minimum": 0, "maximum": "many"}, "an integer of 0 or more"),
        ("png ", {"enum": ["png", "webp"]}, "one of png, webp"),
        (True, {"enum": [1, 2]}, "one of 1, 2"),
        (1, {"type": "boolean"}, "true or false"),
        (3, {"type": "string"}, "a string"),
        ("xyz", {"type": "string", "maxLength": 2}, "a string of at most 2 characters"),
        ("file:///etc/passwd", FILE, "an address that begins with https:, or a data: URL"),
        ("x", {"type": "array"}, "a list"),
        ([1, 2], {"type": "array", "maxItems": 1}, "a list of at most 1"),
        (None, {"type": "string"}, "a string"),
        ([], {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "an integer, or a string"),
    ],
)
def test_refused(value: Any, fragment: dict[str, Any], expected: str) -> None:
    """What does not fit is refused in words that say what would."""
    with pytest.raises(Wrong) as wrong:
        fitted(value, fragment)
    assert str(wrong.value).startswith(expected)


def test_a_part_is_named() -> None:
    """Of a list, the part that is wrong is named."""
    with pytest.raises(Wrong) as wrong:
        fitted(["a", 2], {"type": "array", "items": {"type": "string"}})
    assert (wrong.value.at, wrong.value.found) == ("1", 2)
