"""The settings as lines for people: value, source, and what it overrides.

Secrets are masked here: tokens are counted by owner; a backend's token, the values of its
headers, a provider's key and the keys of the object store are stars.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from safelight_protocol.identity import shown

from .fields import NAMES, SECRET
from .sources import NAMED, Loaded, Source
from .words import MASK


class Line(msgspec.Struct, frozen=True):
    """One setting as `safelight settings` prints it; secrets are masked."""

    name: str
    value: str
    source: Source
    overridden: tuple[Source, ...]


def lines(loaded: Loaded) -> list[Line]:
    """Every setting with its source, in the order of `Settings`; each field of a backend
    has a line of its own."""
    return [
        Line(name, text, loaded.sources.get(name, "default"), loaded.overridden.get(name, ()))
        for name, text in _values(loaded)
    ]


def _values(loaded: Loaded) -> Iterator[tuple[str, str]]:
    tables = {one.table: one for one in NAMED}
    for name in NAMES:
        value = getattr(loaded.settings, name)
        if name in tables:
            for entry, settings in value.items():
                for field in tables[name].names:
                    text = _field(field, getattr(settings, field))
                    yield tables[name].spelt(entry, field), text
            if not value:
                yield name, "none"
        else:
            yield name, _owners(value) if name == "tokens" else _field(name, value)


def _field(field: str, value: Any) -> str:
    if field == "headers":
        return _headers(value)
    if field in SECRET and value is not None:
        return MASK
    return _plain(value)


def _plain(value: Any) -> str:
    return "none" if value is None else shown(value)


def _headers(headers: Mapping[str, str]) -> str:
    return ", ".join(f"{header}: {MASK}" for header in headers) or "none"


def _owners(tokens: Mapping[str, str]) -> str:
    owners = list(tokens.values())
    counted = [f"{owner} ({owners.count(owner)})" for owner in dict.fromkeys(owners)]
    return ", ".join(counted) or "none"
