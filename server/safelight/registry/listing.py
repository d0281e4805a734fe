"""The models as they are shown: to programs, to people who choose, and as JSON Schema.

Owns the shapes of GET /api/models, /api/models/{name}/schema and /api/llm/models.
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol.events import Kind
from safelight_protocol.prices import MILLION, Price

from .params import Param, Schema
from .roster import Roster
from .rows import ModelRow

DIALECT = "https://json-schema.org/draft/2020-12/schema"


RESULTS = frozenset({"run", "image", "video"})
"""Units of which one result is one."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model as GET /api/models shows it.

    `price` is in US dollars for one result, None where that cannot be said; `pricing` has
    what it is made of, None if it is not known here. `default` marks the model of its kind
    that a native body gets when it names none. `backends` are those that may run it, the
    first choice first; it has none where it needs none. From `shutdown_date` on it is
    `retired`, and `replaced_by` answers for it. `workflow` is the template that its provider
    fills in. `params` maps each parameter to a fragment of JSON Schema, those that are
    `required` named; it starts from `min_inputs` files or more.
    """

    name: str
    label: str
    description: str
    kind: Kind
    provider: str
    backends: tuple[str, ...]
    usable: bool
    default: bool
    price: float | None
    pricing: Price | None
    vip: bool
    aliases: tuple[str, ...]
    retired: bool
    shutdown_date: str | None
    replaced_by: str | None
    workflow: str | None
    min_inputs: int
    max_inputs: int | None
    required: tuple[str, ...]
    params: dict[str, dict[str, Any]]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One model as the deployed app lists it: what a person chooses by, and nothing of
    its provider. `default` marks what a body without a model means there."""

    name: str
    label: str
    description: str
    default: bool
    price: float | None
    vip: bool


def models(roster: Roster, kind: Kind | None, wish: str | None) -> list[Model]:
    """Every model, or those of a kind, in the order in which they would be defaults."""
    rows = [row for row in roster.rows if kind is None or row.kind == kind]
    firsts = {row.kind: roster.first(row.kind, wish) for row in rows}
    return [_model(roster, row, default=row is firsts[row.kind]) for row in rows]


def offers(roster: Roster, kind: Kind) -> list[Offer]:
    """The models of a kind that may be named here, the app's default first."""
    rows = [row for row in roster.rows if row.kind == kind and roster.may_be_named(row)]
    meant = roster.row(roster.catalog.app[kind].model) if kind in roster.catalog.app else None
    default = None if meant is None else roster.standing(meant)
    if default not in rows:
        default = roster.first(kind, roster.wish(None))
    rows.sort(key=lambda row: row is not default)
    return [
        Offer(
            name=row.name,
            label=row.label,
            description=row.description,
            default=row is default,
            price=_dollars(row),
            vip=row.vip,
        )
        for row in rows
    ]


def document(row: ModelRow, schema: Schema) -> dict[str, Any]:
    """What a model takes as `params`, as a document of JSON Schema 2020-12. `x-order` is
    the place of a parameter in a form."""
    told: dict[str, Any] = {"$schema": DIALECT, "title": row.label}
    if row.description:
        told["description"] = row.description
    properties = {
        name: _told(param) | {"x-order": place}
        for place, (name, param) in enumerate(schema.params.items())
    }
    return told | {
        "type": "object",
        "properties": properties,
        "required": list(schema.required),
        "additionalProperties": schema.open,
        "x-model": row.name,
        "x-kind": row.kind,
    }


def _model(roster: Roster, row: ModelRow, *, default: bool) -> Model:
    schema = roster.schemas[row.name]
    date = row.shutdown_date
    return Model(
        name=row.name,
        label=row.label,
        description=row.description,
        kind=row.kind,
        provider=row.provider,
        backends=roster.backends(row),
        usable=roster.can_run(row),
        default=default,
        price=_dollars(row),
        pricing=row.priced,
        vip=row.vip,
        aliases=row.aliases,
        retired=roster.is_retired(row),
        shutdown_date=None if date is None else date.isoformat(),
        replaced_by=row.replaced_by,
        workflow=row.workflow,
        min_inputs=row.min_inputs,
        max_inputs=row.max_inputs,
        required=schema.required,
        params={name: _told(param) for name, param in schema.params.items()},
    )


def _told(param: Param) -> dict[str, Any]:
    """A fragment of JSON Schema, where a pattern may match anywhere; here it is the whole."""
    told: dict[str, Any] = msgspec.to_builtins(param)
    pattern = param.pattern
    if pattern is not None and not (pattern.startswith("^") and pattern.endswith("$")):
        told["pattern"] = f"^(?:{pattern})$"
    return told


def _dollars(row: ModelRow) -> float | None:
    """For one result, if it is priced by results alone."""
    price = row.priced
    if price is None or any(rate and unit not in RESULTS for unit, rate in price.rates.items()):
        return None
    return sum(price.rates.values()) / MILLION
