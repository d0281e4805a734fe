"""The models as they stand on one day: which can be named, which can run, and where.

Built of a catalog, the providers that are configured, the backends that there are, and
a date; never changes. Decides nothing about a request: `Registry` does.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind
from safelight_protocol.fields import one_of
from safelight_protocol.identity import shown

from .catalog import BadCatalog
from .equals import both_ways
from .rows import Catalog, ModelRow


class Places(msgspec.Struct, frozen=True):
    """The backends that there are: the type of each by its name, the first choice first.
    A type is the name of the provider that runs there. `default` is for whoever names
    none."""

    types: Mapping[str, str] = {}
    default: str | None = None


class Roster:
    """The models of a day. Providers that are `billed` may ask for money."""

    def __init__(
        self,
        catalog: Catalog,
        configured: frozenset[str],
        places: Places,
        today: datetime.date,
        billed: frozenset[str] = frozenset(),
    ) -> None:
        providers = catalog.providers
        hidden = {name for name, row in providers.items() if row.hidden and name not in configured}
        rows = [row for row in catalog.models if row.provider not in hidden]
        self.rows = sorted(rows, key=lambda row: row.order)
        self.schemas = {row.name: catalog.schema_of(row) for row in rows}
        self.catalog = catalog
        self.places = places
        self.only_embedded = not any(
            not row.embedded and name in configured for name, row in providers.items()
        )
        self._named = {name: row for row in rows for name in (row.name, *row.aliases)}
        self.billed = billed
        self._configured = configured
        self._today = today
        self._equals = both_ways(rows)
        self._runs_on = {row.name: self._backends(row) for row in self.rows}

    def row(self, name: str) -> ModelRow | None:
        """The row of a name or alias, retired or not."""
        return self._named.get(name)

    def is_retired(self, row: ModelRow) -> bool:
        """Whether its day has come."""
        return row.shutdown_date is not None and row.shutdown_date <= self._today

    def standing(self, row: ModelRow) -> ModelRow | None:
        """The row itself, or whoever answers for it once it is retired, if anybody does."""
        while self.is_retired(row):
            heir = None if row.replaced_by is None else self._named.get(row.replaced_by)
            if heir is None:
                return None
            row = heir
        return row

    def backends(self, row: ModelRow) -> tuple[str, ...]:
        """Where it may run, the first choice first; nothing for what has no backends."""
        return self._runs_on[row.name]

    def equals(self, name: str) -> tuple[str, ...]:
        """The models that are declared to be the same as this one, by name."""
        return self._equals.get(name, ())

    def can_run(self, row: ModelRow) -> bool:
        """Whether its provider is here; one that needs backends is if it has any."""
        return row.provider in self._configured and not self.is_retired(row)

    def usable(self, kind: Kind) -> list[ModelRow]:
        """The models of a kind that can run, in order."""
        return [row for row in self.rows if row.kind == kind and self.can_run(row)]

    def first(self, kind: Kind, wish: str | None) -> ModelRow | None:
        """The model of a kind for whoever names none: the first on the backend that is
        wished for, else the first of all."""
        usable = self.usable(kind)
        there = [row for row in usable if wish is not None and wish in self.backends(row)]
        return next(iter(there or usable), None)

    def wish(self, preferred: str | None) -> str | None:
        """The backend that is meant where none is named."""
        return preferred if preferred in self.places.types else self.places.default

    def may_stand_in(self, row: ModelRow) -> bool:
        """Whether another may run in the place of this one though it was named: as long as
        no remote provider is configured at all, and nothing that it cannot do without
        would be lost."""
        return self.only_embedded and not self.schemas[row.name].required

    def may_be_named(self, row: ModelRow) -> bool:
        """Whether a request for it is accepted."""
        if self.is_retired(row):
            return False
        return self.can_run(row) or (self.may_stand_in(row) and bool(self.usable(row.kind)))

    def label(self, provider: str) -> str:
        """A provider's name for people, `Replicate` say; unknown ones as they are."""
        row = self.catalog.providers.get(provider)
        return provider if row is None else row.label

    def names(self, kind: Kind) -> list[str]:
        """The names of a kind, without those that are retired."""
        return [row.name for row in self.rows if row.kind == kind and not self.is_retired(row)]

    def refuse_unknown(self, name: str, kind: Kind) -> NoReturn:
        """Raises Refused `unknown_model`, with the names of that kind that are nearest."""
        expected = self.near(name, self.names(kind))
        raise Refused(
            "unknown_model",
            f"model: found {shown(name)}, expected {expected}",
            [{"field": "model", "found": shown(name), "expected": expected}],
        )

    def near(self, name: str, known: list[str]) -> str:
        """In words, which of these names could have been meant."""
        tails = {model.rpartition("/")[2]: model for model in known}
        near = difflib.get_close_matches(name, known, n=3)
        near += [tails[t] for t in difflib.get_close_matches(name.rpartition("/")[2], tails, n=3)]
        told = list(dict.fromkeys(near)) or known
        return f"{'one near it' if near else 'one of'}: {', '.join(told)}"

    def _backends(self, row: ModelRow) -> tuple[str, ...]:
        ours = tuple(name for name, type_ in self.places.types.items() if type_ == row.provider)
        for name in row.backends:
            if self.places.types and name not in ours:
                raise BadCatalog(
                    f"models.{row.name}.backends: found {shown(name)}, expected"
                    f" {one_of(name, ours)} (backends of {self.label(row.provider)})"
                )
        return tuple(name for name in row.backends if name in ours) or (
            () if row.backends else ours
        )
