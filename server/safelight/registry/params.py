"""Parameters of a model: their schema, how they are read, and how a size comes about.

Owns the words a schema is written in (those of JSON Schema that we need) and the one
rule that joins width, height and aspect_ratio. Knows neither models nor providers.
The rule is told in docs/wire.md.
"""

from __future__ import annotations

import functools
import math
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal, TypedDict

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.fields import Field, Wrong, invalid, one_of, read_object
from safelight_protocol.identity import shown

from .formats import FORMATS

MAX_PARAMS = 100
"""More is no honest request; each unknown one costs a search for its nearest name."""

GRAIN = 8
"""Pixels: computed sides are multiples of it, as image models want theirs."""


class Param(
    msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True
):
    """One parameter, in words of JSON Schema; None says nothing. `max_bytes` bounds an
    object as JSON, and its `format` is one of those in formats.py."""

    type: Literal["integer", "number", "string", "boolean", "object"]
    description: str | None = None
    default: bool | int | float | str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    enum: tuple[str, ...] | None = None
    pattern: str | None = None
    max_length: int | None = None
    multiple_of: int | None = None
    max_bytes: int | None = None
    format: str | None = None
    examples: tuple[str, ...] | None = None


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of a model.

    With `open`, unknown ones are handed on as they are. With `longer_side` (pixels,
    the default) there are width, height and aspect_ratio, resolved together. Without
    those that are `required` nothing can run.
    """

    params: dict[str, Param] = {}
    required: tuple[str, ...] = ()
    open: bool = False
    longer_side: int | None = None


_encode = msgspec.json.Encoder().encode

_SIDES: tuple[Literal["width", "height"], ...] = ("width", "height")


_ELSEWHERE = {
    name: f"{name}, beside params" for name in ("seed", "prompt", "model", "backend", "n")
}
"""Fields of a body that are often put among the parameters."""


def read_params(
    params: dict[str, Any], schema: Schema, *, where: str = "params.", partly: bool = False
) -> dict[str, Any]:
    """Every value checked and in one form, defaults filled in, sizes computed.

    A parameter that is null counts as left out; `partly` if required ones may be. Raises
    Refused `invalid` naming every wrong or unknown one, with `where` before its name.
    """
    _check_count(params, where)
    may_be_null = {name for name in params if schema.open or name in schema.params}
    given = {name: v for name, v in params.items() if v is not None or name not in may_be_null}
    fields = _fields_of(schema, partly)
    values, unknown = read_object(
        given, fields, where=where, strict=not schema.open, elsewhere=_ELSEWHERE
    )
    values |= {name.removeprefix(where): given[name.removeprefix(where)] for name in unknown}
    if schema.longer_side is not None:
        values = _sized(values, schema, schema.longer_side, where)
    defaults = {name: param.default for name, param in schema.params.items()}
    return {name: value for name, value in defaults.items() if value is not None} | values


MOST_SCHEMAS = 1024

_fields: dict[tuple[int, bool], tuple[Schema, dict[str, Field]]] = {}
"""By the identity of a schema, which is kept beside: there are as many as models, anew each
day."""


def _fields_of(schema: Schema, partly: bool) -> dict[str, Field]:
    """How each parameter is read, and whether it must be there."""
    known = _fields.get((id(schema), partly))
    if known is None:
        made = {
            name: Field(_reader(param), required=name in schema.required and not partly)
            for name, param in schema.params.items()
        }
        if len(_fields) >= MOST_SCHEMAS:
            _fields.clear()
        known = _fields[id(schema), partly] = (schema, made)
    return known[1]


def drop_unknown(
    params: dict[str, Any], schema: Schema, *, where: str
) -> tuple[dict[str, Any], list[str]]:
    """The parameters that the schema knows, and a warning for each of the others."""
    _check_count(params, where)
    given = {name: value for name, value in params.items() if value is not None}
    unknown = [] if schema.open else [name for name in given if name not in schema.params]
    known = {name: value for name, value in given.items() if name not in unknown}
    reason = "is ignored: there is no such parameter"
    return known, [f"{where}{shown(name)[1:-1]} {reason}" for name in unknown]


def drop_unfit(
    params: dict[str, Any], schema: Schema, *, where: str
) -> tuple[dict[str, Any], list[str]]:
    """As drop_unknown, and without values that the schema does not take: for a model
    that stands in for the one they were meant for."""
    known, warnings = drop_unknown(params, schema, where=where)
    kept: dict[str, Any] = {}
    for name, value in known.items():
        try:
            read_params(kept | {name: value}, schema, where=where, partly=True)
        except Refused as refused:
            expected = refused.details[0]["expected"]
            warnings.append(f"{where}{name} is ignored: found {shown(value)}, expected {expected}")
        else:
            kept[name] = value
    return kept, warnings


def _check_count(params: dict[str, Any], where: str) -> None:
    if len(params) > MAX_PARAMS:
        field = where.rstrip(".") or "input_data"
        found, expected = f"{len(params)} parameters", f"at most {MAX_PARAMS}"
        raise invalid([{"field": field, "found": found, "expected": expected}])


def _reader(param: Param) -> Callable[[Any], Any]:
    match param.type:
        case "integer":
            return lambda value: _read_number(value, param, whole=True)
        case "number":
            return lambda value: _read_number(value, param, whole=False)
        case "string":
            return lambda value: _read_string(value, param)
        case "boolean":
            return _read_boolean
        case "object":
            return lambda value: _read_object(value, param)


def _read_number(value: Any, param: Param, *, whole: bool) -> int | float:
    """One form for one number: 20.0 is read as 20 for integers, 3 as 3.0 for numbers."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = -math.inf if param.minimum is None else param.minimum
        high = math.inf if param.maximum is None else param.maximum
        if low <= value <= high and abs(value) <= sys.float_info.max:
            if not whole:
                return float(value)
            if value == int(value) and int(value) % (param.multiple_of or 1) == 0:
                return int(value)
    raise Wrong(("an integer" if whole else "a number") + _range(param))


def _range(param: Param) -> str:
    """In words, which numbers are taken."""
    match param.minimum, param.maximum:
        case None, None:
            words = ""
        case None, high:
            words = f" of {high} or less"
        case low, None:
            words = f" of {low} or more"
        case low, high:
            words = f" from {low} to {high}"
    multiple = param.multiple_of
    return words + (f", a multiple of {multiple}" if multiple else "")


def _read_string(value: Any, param: Param) -> str:
    if isinstance(value, str):
        fits = param.pattern is None or re.fullmatch(param.pattern, value)
        listed = param.enum is None or value in param.enum
        short = param.max_length is None or len(value) <= param.max_length
        if fits and listed and short:
            return value
    if param.enum is not None:
        raise Wrong(one_of(value, param.enum))
    if param.pattern is not None:
        raise Wrong("a string such as " + ", ".join(param.examples or ()))
    if param.max_length is not None:
        raise Wrong(f"a string of at most {param.max_length} characters")
    raise Wrong("a string")


def _read_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise Wrong("true or false")


def _read_object(value: Any, param: Param) -> dict[str, Any]:
    """Bounded as JSON, in the form that is named."""
    if not isinstance(value, dict):
        raise Wrong("an object" + (f": {param.description}" if param.description else ""))
    if param.max_bytes is not None and len(_encode(value)) > param.max_bytes:
        raise Wrong(f"an object of at most {param.max_bytes} bytes as JSON")
    if param.format is not None:
        FORMATS[param.format](value)
    return value


def _sized(values: dict[str, Any], schema: Schema, longer_side: int, where: str) -> dict[str, Any]:
    """Width and height, whatever was given of them, and the ratio they really have."""
    ratio = values.get("aspect_ratio") or str(schema.params["aspect_ratio"].default)
    given = values.get("width"), values.get("height")
    width = schema.params["width"]
    size = _size(*given, ratio, longer_side, int(width.minimum or 1), width.multiple_of or 1)
    for side in _SIDES:
        low, high = schema.params[side].minimum or 1, schema.params[side].maximum or size[side]
        if not low <= size[side] <= high:
            blamed = next((name for name in _SIDES if values.get(name)), "aspect_ratio")
            found = shown(values.get(blamed, ratio))
            expected = f"one whose {side} ({size[side]} at {ratio}) lies from {low} to {high}"
            raise invalid([{"field": where + blamed, "found": found, "expected": expected}])
    return values | size


class _Size(TypedDict):
    width: int
    height: int
    aspect_ratio: str


@functools.lru_cache(maxsize=1024)
def _size(
    width: int | None,
    height: int | None,
    ratio: str,
    longer_side: int,
    shortest: int,
    multiple: int,
) -> _Size:
    """Both sides given win over the ratio. One given: the other follows from the ratio.
    None: the longer side is `longer_side`, more if the shorter would be too short. What is
    computed is a `multiple`."""
    exact = Fraction(ratio.replace(":", "/"))
    if width is not None:
        height = height if height is not None else _near(width / exact, multiple)
    elif height is not None:
        width = _near(height * exact, multiple)
    else:
        width, height = _default_size(exact, longer_side, shortest, multiple)
    real = Fraction(width, height)
    return {
        "width": width,
        "height": height,
        "aspect_ratio": f"{real.numerator}:{real.denominator}",
    }


def _default_size(
    ratio: Fraction, longer_side: int, shortest: int, multiple: int
) -> tuple[int, int]:
    long_by_short = max(ratio, 1 / ratio)
    shorter = max(_near(longer_side / long_by_short, multiple), shortest)
    longer = longer_side
    if shorter <= shortest:
        longer = max(longer_side, _near(shorter * long_by_short, multiple))
    return (longer, shorter) if ratio >= 1 else (shorter, longer)


def _near(pixels: Fraction, multiple: int) -> int:
    """Whole pixels as they are if they are a multiple, others as the nearest multiple of
    GRAIN or, if that is more, of what is asked for."""
    if pixels.denominator == 1 and int(pixels) % multiple == 0:
        return int(pixels)
    grain = math.lcm(GRAIN, multiple)
    return max(grain, round(pixels / grain) * grain)
