"""Whether a model takes a value, and the value in the form in which it takes it.

Checks what Cog's schemas say (types, ranges, choices, lengths, items), and says what would
be taken in words for people. Forms that mean the same are brought to the one that is
wanted: 5.0 where an integer is due, "5" where the choices are texts. What is not understood
in a schema is taken, and so is any pattern (a stranger's may take for ever): the model looks
again. Pure.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import Any, TypeGuard

from safelight_protocol.fields import Wrong, one_of

from .schema import Fragment

LARGEST = sys.float_info.max
"""Whole numbers in JSON have no end; a float has."""


def types_of(fragment: Fragment) -> frozenset[str]:
    """The types that a fragment names; none if it names none."""
    said = fragment.get("type")
    if isinstance(said, str):
        return frozenset({said})
    named = said if isinstance(said, list) else []
    return frozenset(one for one in named if isinstance(one, str))


def fitted(value: Any, fragment: Fragment) -> Any:
    """The value as the model takes it. Raises Wrong, which says what it takes instead."""
    if value is None and ("null" in types_of(fragment) or not types_of(fragment)):
        return None
    either = fragment.get("anyOf") or fragment.get("oneOf")
    if isinstance(either, list) and either:
        return _any_of(value, either)
    if isinstance(fragment.get("enum"), list):
        return _one_of(value, fragment["enum"])
    wanted = types_of(fragment) - {"null"}
    readers = [_READERS[name] for name in _READERS if name in wanted]
    if not readers:
        return value
    trouble = None
    for read in readers:
        try:
            return read(value, fragment)
        except Wrong as wrong:
            trouble = trouble or wrong
    assert trouble is not None, "one of them did not take it"
    raise trouble


def _any_of(value: Any, either: list[Fragment]) -> Any:
    told = []
    for fragment in either:
        try:
            return fitted(value, fragment)
        except Wrong as wrong:
            told.append(str(wrong))
    raise Wrong(", or ".join(dict.fromkeys(told)))


def _one_of(value: Any, choices: list[Any]) -> Any:
    """The choice that is meant: itself, or what is the same but for its type."""
    for choice in choices:
        if _same(value, choice):
            return choice
    known = [_shown(choice) for choice in choices if choice is not None]
    raise Wrong(one_of(value if isinstance(value, str) else _shown(value), known))


def _same(value: Any, choice: Any) -> bool:
    if isinstance(value, bool) or isinstance(choice, bool):
        return value is choice
    if value == choice:
        return True
    if isinstance(value, str) == isinstance(choice, str):
        return False
    with suppress(TypeError, ValueError, OverflowError):
        return float(value) == float(choice)
    return False


def _shown(choice: Any) -> str:
    if isinstance(choice, float) and choice.is_integer():
        return str(int(choice))
    return str(choice)


def _integer(value: Any, fragment: Fragment) -> int:
    number = _number(value, fragment, "an integer")
    if number != int(number):
        raise Wrong("an integer" + _range(fragment))
    return int(number)


def _any_number(value: Any, fragment: Fragment) -> int | float:
    return _number(value, fragment, "a number")


def _number(value: Any, fragment: Fragment, what: str) -> int | float:
    if _is_number(value) and abs(value) <= LARGEST:
        low, high = _bound(fragment, "minimum"), _bound(fragment, "maximum")
        over, under = _bound(fragment, "exclusiveMinimum"), _bound(fragment, "exclusiveMaximum")
        above = (low is None or value >= low) and (over is None or value > over)
        below = (high is None or value <= high) and (under is None or value < under)
        if above and below:
            return value
    raise Wrong(what + _range(fragment))


def _bound(fragment: Fragment, name: str) -> int | float | None:
    """A bound; None where it has none, or one that is no number."""
    said = fragment.get(name)
    return said if _is_number(said) else None


def _range(fragment: Fragment) -> str:
    low, high = _bound(fragment, "minimum"), _bound(fragment, "maximum")
    if low is not None and high is not None:
        return f" from {_shown(low)} to {_shown(high)}"
    if low is not None:
        return f" of {_shown(low)} or more"
    return "" if high is None else f" of {_shown(high)} or less"


def _boolean(value: Any, fragment: Fragment) -> bool:
    if isinstance(value, bool):
        return value
    raise Wrong("true or false")


def _string(value: Any, fragment: Fragment) -> str:
    if not isinstance(value, str):
        raise Wrong("an address, or a data: URL" if is_file(fragment) else "a string")
    least, most = fragment.get("minLength"), fragment.get("maxLength")
    if _is_number(most) and len(value) > most:
        raise Wrong(f"a string of at most {most} characters")
    if _is_number(least) and len(value) < least:
        raise Wrong(f"a string of at least {least} characters")
    if is_file(fragment) and not re.match(r"(https?:|data:)", value):
        raise Wrong("an address that begins with https:, or a data: URL")
    return value


def _array(value: Any, fragment: Fragment) -> list[Any]:
    items = fragment.get("items") if isinstance(fragment.get("items"), dict) else {}
    least, most = fragment.get("minItems"), fragment.get("maxItems")
    if not isinstance(value, list):
        raise Wrong("a list")
    if _is_number(most) and len(value) > most:
        raise Wrong(f"a list of at most {most}")
    if _is_number(least) and len(value) < least:
        raise Wrong(f"a list of at least {least}")
    made = []
    for place, one in enumerate(value):
        try:
            made.append(fitted(one, items or {}))
        except Wrong as wrong:
            at = f"{place}.{wrong.at}" if wrong.at else str(place)
            raise Wrong(str(wrong), at=at, found=wrong.found if wrong.at else one) from None
    return made


def _object(value: Any, fragment: Fragment) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Wrong("an object")


def is_file(fragment: Fragment) -> bool:
    """Whether it takes the address of a file."""
    return fragment.get("format") == "uri" and "string" in types_of(fragment)


def is_files(fragment: Fragment) -> bool:
    """Whether it takes a list of such."""
    items = fragment.get("items")
    return "array" in types_of(fragment) and isinstance(items, dict) and is_file(items)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


_READERS = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _any_number,
    "string": _string,
    "array": _array,
    "object": _object,
}
