"""The same model at several hosts: which rows say so, and what a task runs as instead.

Equality is declared, never guessed, and holds both ways: that `a` equals `b` is said once.
What one takes the other takes too, so a request need not be read again. Decides nothing about
when a task goes over: patience does, and only after a verified fault.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from .rows import Catalog, ModelRow


def wrong_equal(catalog: Catalog) -> str | None:
    """What is wrong with the equals that the rows declare, the first of it; None if nothing."""
    rows = {row.name: row for row in catalog.models}
    for row in catalog.models:
        for name in row.equals:
            where = f"models.{row.name}.equals"
            other = rows.get(name)
            if other is None:
                near = difflib.get_close_matches(name, rows, n=1)
                meant = f"; did you mean {near[0]}?" if near else ""
                return f"{where}: no model {name}{meant}"
            wrong = _differs(catalog, row, other)
            if wrong is not None:
                return f"{where}: {wrong}"
    return None


def _differs(catalog: Catalog, row: ModelRow, other: ModelRow) -> str | None:
    if other.name == row.name:
        return f"found {row.name} itself, expected another model"
    if other.kind != row.kind:
        return f"{other.name} is no {row.kind} model"
    if catalog.schema_of(row) != catalog.schema_of(other):
        return f"{other.name} does not take the same parameters as {row.name}"
    for field in ("min_inputs", "max_inputs", "max_n"):
        if getattr(row, field) != getattr(other, field):
            return f"{other.name} has another {field} than {row.name}"
    return None


def both_ways(rows: Iterable[ModelRow]) -> dict[str, tuple[str, ...]]:
    """The equals of each model that has any, those that it names itself first."""
    rows = list(rows)
    known = {row.name for row in rows}
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name in row.equals:
            if name in known:
                found.setdefault(row.name, {})[name] = None
    for row in rows:
        for name in row.equals:
            if name in known:
                found.setdefault(name, {})[row.name] = None
    return {name: tuple(others) for name, others in found.items()}
