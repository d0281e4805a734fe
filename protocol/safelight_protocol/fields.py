"""Reading a JSON object field by field, and saying plainly what is wrong with it.

Every problem is reported, not only the first, as `{field, found, expected}`.
Knows types and ranges, not what the fields are for; `commands.py` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .codes import Refused
from .identity import shown
from .prices import micros_of

MAX_SEED = 2**64 - 1
MAX_PROMPT = 20_000
MAX_NAME = 64
"""The longest unknown field for which a near one is looked up: looking costs by length."""

MAX_NAMED = 20
"""Unknown fields that are named one by one: a body of nothing else must not be answered
with one a hundred times its size."""


MAX_LISTED = 12
"""Allowed values that are listed; of more, those near what was found come first."""


MAX_SEARCHED = 2000
"""Allowed values among which the nearest are looked for."""


class Wrong(Exception):
    """A value that a field does not take; the message says what it takes. Where only a
    part of it is wrong, `at` leads there from the field and `found` is what is there."""

    def __init__(self, expected: str, at: str = "", found: Any = None) -> None:
        super().__init__(expected)
        self.at = at
        self.found = found


class Field(msgspec.Struct, frozen=True):
    """One field of a body: how it is read, and whether it must be there."""

    read: Callable[[Any], Any]
    required: bool = False


def typed(type_: Any, expected: str) -> Callable[[Any], Any]:
    """A reader that takes what msgspec takes for `type_`, without coercion."""

    def read(value: Any) -> Any:
        try:
            return msgspec.convert(value, type_, strict=True)
        except msgspec.ValidationError:
            raise Wrong(expected) from None

    return read


def read_prompt(value: Any) -> str:
    """A string of 1 to MAX_PROMPT characters that is not only blanks."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_PROMPT:
        raise Wrong(f"a string of 1 to {MAX_PROMPT} characters, not only blanks")
    return value


def read_seed(value: Any) -> int | None:
    """0 to 2**64-1 as a number or a decimal string; null leaves the choice to us."""
    if value is None:
        return None
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20
    number = int(value) if digits else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_SEED:
        raise Wrong(
            "an integer from 0 to 18446744073709551615, as number or decimal string;"
            " leave it out or send null for a random one"
        )
    return number


def read_mapping(value: Any) -> dict[str, Any]:
    """A JSON object, whatever is in it."""
    if not isinstance(value, dict):
        raise Wrong("an object")
    return value


def read_cost(value: Any) -> int | None:
    """US dollars, as they are written, in millionths of one: exactly, or not at all."""
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return micros_of(value)
        except ValueError:
            pass
    raise Wrong("a number of US dollars, 0 or more, with at most six decimals")


_KEY = "a string of 1 to 255 characters, none of them a control one"
_key_text = typed(Annotated[str, Meta(min_length=1, max_length=255)] | None, _KEY)


def read_key(value: Any) -> str | None:
    """Without control characters: a store may end a text at U+0000, and two keys were one."""
    key: str | None = None if value is None else _key_text(value)
    if key is not None and any(character < " " or character == "\x7f" for character in key):
        raise Wrong(_KEY)
    return key


def read_object(
    body: Any,
    fields: Mapping[str, Field],
    *,
    where: str = "",
    strict: bool = True,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, Any], list[str]]:
    """The known fields of an object, read, and the names of the unknown ones.

    Raises Refused `invalid` with every problem in `details`; unknown fields are
    problems only if `strict`. `where` goes before each field's name. `elsewhere` tells
    where a name belongs that is often put here.
    """
    if not isinstance(body, dict):
        wrong = {"field": where.rstrip(".") or "body", "found": shown(body)}
        raise Refused("invalid", "A JSON object is expected.", [{**wrong, "expected": "an object"}])
    problems: list[dict[str, object]] = []
    values = {}
    for name, field in fields.items():
        if name not in body and not field.required:
            continue
        try:
            values[name] = field.read(body.get(name))
        except Wrong as wrong_value:
            problems.append(_wrong(where + name, name in body, body.get(name), wrong_value))
    unknown = [name for name in body if name not in fields]
    if strict:
        for name in unknown[:MAX_NAMED]:
            problems.append(_unknown(where, name, body[name], fields, elsewhere.get(name)))
    if problems:
        raise invalid(problems)
    return values, [where + name for name in unknown]


def told_ignored(names: Sequence[str]) -> tuple[str, ...]:
    """A warning for each of these fields, up to a number."""
    return tuple(f"{name[:80]} is ignored" for name in names[:MAX_NAMED])


def invalid(problems: list[dict[str, object]]) -> Refused:
    """The refusal for these problems; its message tells the first."""
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"{first['field']}: found {first['found']}, expected {first['expected']}{more}"
    return Refused("invalid", message, problems)


def one_of(found: Any, allowed: Sequence[str]) -> str:
    """What is expected where only these values are: `one of a, b, c`, with those that are
    nearest to what was found if there are any."""
    if not allowed:
        return "nothing: there is none to choose from"
    listed = ", ".join(allowed[:MAX_LISTED])
    if len(allowed) > MAX_LISTED:
        listed += f", … ({len(allowed)} in all)"
    near = _nearest(found, allowed) if isinstance(found, str) else []
    return f"one of {listed}" + (f"; near it: {', '.join(near)}" if near else "")


def _nearest(found: str, allowed: Sequence[str]) -> list[str]:
    """Up to three, those that contain it or lie in it first; looking costs by length."""
    if not 2 < len(found) <= MAX_NAME:
        return []
    small = found.casefold()
    plain = {one.casefold(): one for one in allowed[:MAX_SEARCHED]}
    inside = [one for key, one in plain.items() if small in key or (len(key) > 2 and key in small)]
    alike = [plain[key] for key in difflib.get_close_matches(small, plain, n=3)]
    return list(dict.fromkeys([*alike, *inside]))[:3]


def _wrong(field: str, given: bool, value: Any, wrong: Wrong) -> dict[str, object]:
    """The problem of one field, or of what lies inside it."""
    if wrong.at:
        field, value = f"{field}.{wrong.at}", wrong.found
    found = shown(value) if given else "nothing"
    return {"field": field, "found": found, "expected": str(wrong)}


def _unknown(
    where: str, name: str, value: Any, fields: Mapping[str, Field], belongs: str | None
) -> dict[str, object]:
    near = difflib.get_close_matches(name, fields, n=1) if len(name) <= MAX_NAME else []
    meant = belongs or (near[0] if near else None)
    hint = f"; did you mean {meant}?" if meant else ""
    known = ", ".join(fields)
    return {
        "field": where + shown(name)[1:-1],
        "found": shown(value),
        "expected": f"no such field{hint} (known: {known})",
    }
