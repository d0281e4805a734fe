"""How a wrong setting is told: its name, what was found, what is expected, and where.

Every value passes through `converted`, so nothing is refused in other words. What may
be a secret is never repeated.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from safelight_protocol.identity import shown

from .fields import SECRET, Settings

MASK = "*****"

_PASSWORD = re.compile(r"//[^/?#\s]*@")
_QUERY = re.compile(r"(://[^?\s]*\?)[^\s\"]*")


class SettingsError(Exception):
    """A setting that cannot be; the message names it, what was found and what is expected."""


def converted(name: str, value: Any, type_: Any, where: str, *, lax: bool) -> Any:
    """The value as `type_`; from text if `lax`. Raises SettingsError."""
    try:
        return msgspec.convert(value, type_, strict=not lax)
    except msgspec.ValidationError:
        secret = name.rpartition(".")[2] in SECRET
        found = MASK if secret else _without_secrets(shown(value))
        raise wrong(name, found, expected(type_), where) from None


def _without_secrets(told: str) -> str:
    """Without what an address has no business with: a password, or a query with a key."""
    return _QUERY.sub(rf"\1{MASK}", _PASSWORD.sub(f"//{MASK}@", told))


def wrong(name: str, found: str, expected: str, where: str) -> SettingsError:
    """The refusal of one setting."""
    return SettingsError(f"{name}: found {found}, expected {expected} ({where})")


def unknown(name: str, known: Iterable[str], where: str) -> SettingsError:
    """The refusal of a name. The value is not told: it could be a token under a misspelt
    name."""
    names = tuple(known)
    table, _, own = name.rpartition(".")
    if table and own in Settings.__struct_fields__:
        expected = f"it above the first [table]: {own} is a setting of its own"
        return wrong(name, "a setting in a table", expected, where)
    near = difflib.get_close_matches(name, names, n=1)
    expected = f"{near[0]}?" if near else f"one of {', '.join(names)}"
    return wrong(name, "an unknown setting", expected, where)


def expected(type_: Any) -> str:
    """In words, what a setting of this type takes."""
    origin, inner = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return next(str(meta.description) for meta in inner if isinstance(meta, Meta))
    if origin in (Union, types.UnionType):
        return " or ".join(expected(one) for one in inner if one is not type(None)) + ", or none"
    if origin is tuple:
        return f"a list, each of it {expected(inner[0])}"
    if origin is Literal:
        return "one of " + ", ".join(inner)
    return _PLAIN.get(origin or type_, "a string")


_PLAIN = {bool: "true or false", dict: 'a table of owner = "token" or owner = ["token", …]'}
