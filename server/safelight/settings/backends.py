"""The tables [backends.<name>] and their variables, field by field.

Between the sources a field of a backend is one value under one name,
`backends.kerniegen.url` say, so that a variable can override it alone, and be told to.
`assembled` makes the backends of them. What two backends may not have in common is
checked by `check_backends`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from safelight_protocol.identity import shown

from .address import is_at, normal_url, same_server
from .fields import (
    BACKEND_NAMES,
    BACKEND_TYPES,
    PREFIX,
    BackendName,
    BackendSettings,
    Settings,
)
from .words import SettingsError, converted, unknown, wrong

TABLE = "backends"
VARIABLE = PREFIX + "BACKENDS__"
"""What the variables of backends begin with."""


def read_tables(tables: Any, where: str) -> dict[str, Any]:
    """The fields of every backend of a file. Raises SettingsError."""
    if not isinstance(tables, dict):
        raise wrong(TABLE, shown(tables), "tables such as [backends.kerniegen]", where)
    values: dict[str, Any] = {}
    for backend, table in tables.items():
        _check_name(backend, where)
        if not isinstance(table, dict):
            name = f"{TABLE}.{backend}"
            raise wrong(name, shown(table), f"a table, [{name}]", where)
        for field, value in table.items():
            _check_field(backend, field, where)
            values[spelt(backend, field)] = _value(backend, field, value, where, lax=False)
    return values


def read_variable(variable: str, text: str, known: Iterable[str]) -> tuple[str, Any]:
    """One variable, SAFELIGHT_BACKENDS__KERNIEGEN__URL say; as a backend it names one that
    is `known` by that spelling, - read as _, or else a new one. Raises SettingsError."""
    backend, _, field = variable.removeprefix(VARIABLE).lower().rpartition("__")
    if not backend or not variable.startswith(VARIABLE):
        raise wrong(variable, "an unknown setting", f"{VARIABLE}<NAME>__<FIELD>", "the environment")
    if field not in BACKEND_NAMES:
        fields = [f"{VARIABLE}{backend.upper()}__{field.upper()}" for field in BACKEND_NAMES]
        raise unknown(variable, fields, "the environment")
    _check_name(backend, variable)
    backend = next((name for name in known if name.replace("-", "_") == backend), backend)
    return spelt(backend, field), _from_text(backend, field, text, variable)


def spelt(backend: str, field: str) -> str:
    """The name of a backend's field among the settings."""
    return f"{TABLE}.{backend}.{field}"


def assembled(values: Mapping[str, Any]) -> dict[str, BackendSettings]:
    """The backends that the values of all sources come to. Raises SettingsError."""
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        _, backend, field = name.split(".")
        tables.setdefault(backend, {})[field] = value
    for backend, table in tables.items():
        if "url" not in table:
            raise SettingsError(
                f"{spelt(backend, 'url')}: found nothing, expected the address of {backend}"
            )
    return {backend: BackendSettings(**table) for backend, table in tables.items()}


def check_backends(settings: Settings) -> None:
    """No two with one address or one variable, none at our own, and a default that is there.
    Raises SettingsError."""
    places: dict[str, str] = {}
    variables: dict[str, str] = {}
    for name, backend in settings.backends.items():
        first = places.setdefault(same_server(backend.url), name)
        if first != name:
            raise SettingsError(
                f"{spelt(name, 'url')}: found {backend.url}, which is where {first} is, too;"
                " expected an address of its own for each backend"
            )
        if is_at(backend.url, settings.host, settings.port):
            raise SettingsError(
                f"{spelt(name, 'url')}: found {backend.url}, where this server listens itself,"
                " expected the address of another one"
            )
        first = variables.setdefault(name.replace("-", "_"), name)
        if first != name:
            raise SettingsError(
                f"backends: found {first} and {name}, expected other names: - and _"
                " are one in a variable"
            )
        if backend.token and any(header.lower() == "authorization" for header in backend.headers):
            raise SettingsError(
                f"{spelt(name, 'token')}: found beside an Authorization header, expected only one"
                " of the two"
            )
    _check_default(settings)


def _check_default(settings: Settings) -> None:
    name, known = settings.default_backend, list(settings.backends)
    if name is None or name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    expected = f"{near[0]}?" if near else f"one of {', '.join(known)}" if known else "[backends]"
    raise SettingsError(f"default_backend: found {shown(name)}, expected {expected}")


def _check_name(backend: str, where: str) -> None:
    converted(TABLE, backend, BackendName, where, lax=False)


def _check_field(backend: str, field: str, where: str) -> None:
    if field not in BACKEND_NAMES:
        fields = [spelt(backend, name) for name in BACKEND_NAMES]
        raise unknown(spelt(backend, field), fields, where)


def _value(backend: str, field: str, value: Any, where: str, *, lax: bool) -> Any:
    name = spelt(backend, field)
    made = converted(name, value, BACKEND_TYPES[field], where, lax=lax)
    if field == "url":
        try:
            return normal_url(made)
        except ValueError:
            expected = "an http or https address with a port from 0 to 65535"
            raise wrong(name, shown(made), expected, where) from None
    return made


def _from_text(backend: str, field: str, text: str, variable: str) -> Any:
    """`none` switches a field off that can be off; headers are a JSON object."""
    if text.lower() == "none" and type(None) in get_args(BACKEND_TYPES[field]):
        return None
    value: Any = text
    if field == "headers":
        try:
            value = json.loads(text)
        except ValueError:
            value = None
    return _value(backend, field, value, variable, lax=True)
