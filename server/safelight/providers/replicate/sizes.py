"""Width, height and aspect_ratio, for models that have only one way to say a size.

A ratio becomes two sides of about as many pixels as the model makes by itself; two sides
become the ratio that they have. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeGuard

from safelight_protocol.fields import Wrong

from .schema import Fields, Fragment

GRAIN = 16
"""Pixels: computed sides are multiples of it, as most models want theirs."""

LONGEST = 1_000_000
"""Pixels of a side: a number that is larger is none."""

USUAL = 1024
"""The side of a model that names none."""

_SIDES = ("width", "height")

_NUMBER = r"\d{1,6}(?:\.\d{1,20})?"
_RATIO = re.compile(rf"{_NUMBER}(?:[:/]{_NUMBER})?", re.ASCII)


def sized(params: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The parameters with the size said in the model's way. Raises Wrong, `at` the parameter,
    where the model has no such size."""
    made = dict(params)
    has_sides = all(side in fields for side in _SIDES)
    sides = [made.get(side) for side in _SIDES]
    if has_sides:
        if any(sides) and "custom" in _choices(fields.get("aspect_ratio")):
            made.setdefault("aspect_ratio", "custom")
        elif "aspect_ratio" not in fields and "aspect_ratio" in made:
            ratio = _ratio(made.pop("aspect_ratio"))
            made |= _sides(ratio, made, fields)
        return made
    if not any(sides) or any(side in fields for side in _SIDES):
        return made
    return _as_one(made, fields)


def _as_one(params: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """Two sides as `size` or as a ratio."""
    width, height = params.pop("width", None), params.pop("height", None)
    given = "width" if width else "height"
    if "size" not in fields and "aspect_ratio" not in fields:
        raise Wrong("nothing: the model has no such parameter", at=given, found=width or height)
    if not (_is_side(width) and _is_side(height)):
        raise Wrong("both width and height, or aspect_ratio", at=given, found=width or height)
    for name in (f"{width}x{height}", f"{width}*{height}"):
        if name in _choices(fields.get("size")):
            return params | {"size": name}
    real = Fraction(width, height)
    ratio = f"{real.numerator}:{real.denominator}"
    known = _choices(fields.get("aspect_ratio"))
    if "aspect_ratio" in fields and (not known or ratio in known):
        return {"aspect_ratio": ratio} | params
    names = [name for name in known or _choices(fields.get("size")) if isinstance(name, str)]
    expected = f"sides whose ratio is one of {', '.join(names)}"
    raise Wrong(expected, at=given, found=f"{width}x{height}")


def _sides(ratio: Fraction, params: Mapping[str, Any], fields: Fields) -> dict[str, int]:
    """Both sides, of which one may be given."""
    width, height = params.get("width"), params.get("height")
    if _is_side(width) and _is_side(height):
        return {}
    if _is_side(width):
        return {"height": _near(width / ratio, fields["height"])}
    if _is_side(height):
        return {"width": _near(height * ratio, fields["width"])}
    pixels = _usual(fields["width"]) * _usual(fields["height"])
    exact = math.sqrt(pixels * ratio)
    return {
        "width": _near(exact, fields["width"]),
        "height": _near(exact / ratio, fields["height"]),
    }


def _near(pixels: float | Fraction, fragment: Fragment) -> int:
    """The side that is nearest to it, of those that the model takes."""
    choices: list[int] = [one for one in _choices(fragment) if _is_side(one)]
    if choices:
        return min(choices, key=lambda one: abs(one - pixels))
    near = max(GRAIN, round(pixels / GRAIN) * GRAIN)
    low, high = fragment.get("minimum"), fragment.get("maximum")
    near = max(near, low) if _is_side(low) else near
    return min(near, high) if _is_side(high) else near


def _usual(fragment: Fragment) -> int:
    default = fragment.get("default")
    return default if _is_side(default) else USUAL


def _ratio(said: Any) -> Fraction:
    """`16:9` as a number, never in powers of ten: who writes those has us reckon for hours.
    Raises Wrong."""
    width, _, height = str(said).replace("/", ":").partition(":")
    if _RATIO.fullmatch(str(said)) and float(height or 1):
        ratio = Fraction(width) / Fraction(height or 1)
        if Fraction(1, 20) <= ratio <= 20:
            return ratio
    raise Wrong("width:height, from 1:20 to 20:1", at="aspect_ratio", found=said)


def _choices(fragment: Fragment | None) -> list[Any]:
    said = None if fragment is None else fragment.get("enum")
    return said if isinstance(said, list) else []


def _is_side(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LONGEST
