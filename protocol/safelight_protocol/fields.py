"""Reading a JSON object field by field, and saying plainly what is wrong with it.

Every problem is reported, not only the first, as `{field, found, expected}`.
Knows types and ranges, not what the fields are for; `commands.py` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from .codes import Refused
from .identity import shown

MAX_SEED = 2**64 - 1
MAX_PROMPT = 20_000
MAX_NAME = 64
"""The longest unknown field for which a near one is looked up: looking costs by length."""

MAX_NAMED = 20
"""Unknown fields that are named one by one: a body of nothing else must not be answered
with one a hundred times its size."""


class Wrong(Exception):
    """A value that a field does not take; the message says what it takes."""


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
            found = shown(body[name]) if name in body else "nothing"
            problems.append({"field": where + name, "found": found, "expected": str(wrong_value)})
    unknown = [name for name in body if name not in fields]
    if strict:
        for name in unknown[:MAX_NAMED]:
            problems.append(_unknown(where, name, body[name], fields, elsewhere.get(name)))
    if problems:
        raise invalid(problems)
    return values, [where + name for name in unknown]


def invalid(problems: list[dict[str, object]]) -> Refused:
    """The refusal for these problems; its message tells the first."""
    first = problems[0]
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    message = f"{first['field']}: found {first['found']}, expected {first['expected']}{more}"
    return Refused("invalid", message, problems)


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
