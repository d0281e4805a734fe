"""Tables of named things, [backends.<name>] say, and their variables, field by field.

Between the sources a field of a named thing is one value under one name,
`backends.kerniegen.url` say, so that a variable can override it alone, and be told to.
`assembled` makes the things of them. What two of them may not have in common is for
whoever owns the table to check.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import msgspec

from safelight_protocol.identity import shown

from .address import normal_url
from .fields import PREFIX, BackendName
from .words import SettingsError, converted, unknown, wrong

Thing = TypeVar("Thing", bound=msgspec.Struct)


class Named(Generic[Thing]):
    """One such table: its name among the settings, what each entry is made into, and the name
    of one for examples. A field `url` is brought to its normal form."""

    def __init__(self, table: str, type_: type[Thing], example: str) -> None:
        self.table = table
        self.type = type_
        self.names: tuple[str, ...] = type_.__struct_fields__
        self.variable = f"{PREFIX}{table.upper()}__"
        self._example = example
        self._types: dict[str, Any] = get_type_hints(type_, include_extras=True)
        self._needed = [one.name for one in msgspec.structs.fields(type_) if one.required]

    def spelt(self, name: str, field: str) -> str:
        """The name of an entry's field among the settings."""
        return f"{self.table}.{name}.{field}"

    def owns(self, name: str) -> bool:
        """Whether a spelt name is of this table."""
        return name.startswith(f"{self.table}.")

    def read_tables(self, tables: Any, where: str) -> dict[str, Any]:
        """The fields of every entry of a file. Raises SettingsError."""
        if not isinstance(tables, dict):
            expected = f"tables such as [{self.table}.{self._example}]"
            raise wrong(self.table, _sort(tables), expected, where)
        values: dict[str, Any] = {}
        for entry, table in tables.items():
            self._check_name(entry, where)
            if not isinstance(table, dict):
                name = f"{self.table}.{entry}"
                raise wrong(name, _sort(table), f"a table, [{name}]", where)
            for field, value in table.items():
                if field not in self.names:
                    fields = [self.spelt(entry, name) for name in self.names]
                    raise unknown(self.spelt(entry, field), fields, where)
                values[self.spelt(entry, field)] = self._value(
                    entry, field, value, where, lax=False
                )
        return values

    def read_variable(self, variable: str, text: str, known: Iterable[str]) -> tuple[str, Any]:
        """One variable, SAFELIGHT_BACKENDS__KERNIEGEN__URL say; as an entry it names one that
        is `known` by that spelling, - read as _, or else a new one. Raises SettingsError."""
        entry, _, field = variable.removeprefix(self.variable).lower().rpartition("__")
        if not entry or not variable.startswith(self.variable):
            expected = f"{self.variable}<NAME>__<FIELD>"
            raise wrong(variable, "an unknown setting", expected, "the environment")
        if field not in self.names:
            fields = [f"{self.variable}{entry.upper()}__{name.upper()}" for name in self.names]
            raise unknown(variable, fields, "the environment")
        self._check_name(entry, variable)
        entry = next((name for name in known if name.replace("-", "_") == entry), entry)
        return self.spelt(entry, field), self._from_text(entry, field, text, variable)

    def assembled(self, values: Mapping[str, Any]) -> dict[str, Thing]:
        """The entries that the values of all sources come to. Raises SettingsError."""
        tables: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            if self.owns(name):
                _, entry, field = name.split(".")
                tables.setdefault(entry, {})[field] = value
        for entry, table in tables.items():
            for field in self._needed:
                if field not in table:
                    expected = "the address of" if field == "url" else f"the {field} of"
                    raise SettingsError(
                        f"{self.spelt(entry, field)}: found nothing, expected {expected} {entry}"
                    )
        return {entry: self.type(**table) for entry, table in tables.items()}

    def check_spellings(self, entries: Iterable[str]) -> None:
        """No two with one variable. Raises SettingsError."""
        variables: dict[str, str] = {}
        for name in entries:
            first = variables.setdefault(name.replace("-", "_"), name)
            if first != name:
                raise SettingsError(
                    f"{self.table}: found {first} and {name}, expected other names: - and _"
                    " are one in a variable"
                )

    def _check_name(self, entry: str, where: str) -> None:
        converted(self.table, entry, BackendName, where, lax=False)

    def _value(self, entry: str, field: str, value: Any, where: str, *, lax: bool) -> Any:
        name = self.spelt(entry, field)
        made = converted(name, value, self._types[field], where, lax=lax)
        if field == "url" and made is not None:
            try:
                return normal_url(made)
            except ValueError:
                expected = "an http or https address with a port from 0 to 65535"
                raise wrong(name, shown(made), expected, where) from None
        return made

    def _from_text(self, entry: str, field: str, text: str, variable: str) -> Any:
        """`none` switches a field off that can be off; headers are a JSON object."""
        if text.lower() == "none" and type(None) in get_args(self._types[field]):
            return None
        value: Any = text
        if field == "headers":
            try:
                value = json.loads(text)
            except ValueError:
                value = None
        return self._value(entry, field, value, variable, lax=True)


def _sort(value: Any) -> str:
    """What stands in the place of a table, but not which: it could be a key."""
    return {str: "text", list: "a list", bool: "true or false"}.get(type(value), "a number")
