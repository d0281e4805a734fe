"""What a request comes to, given the models of a day: model, successor or stand-in,
backend and parameters.

Every rule of docs/wire.md, "Models and defaults", is here once, whatever the door. The
seed is left open; nothing is remembered.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from safelight_protocol.codes import Refused
from safelight_protocol.fields import invalid, one_of
from safelight_protocol.identity import shown
from safelight_protocol.prices import Price
from safelight_protocol.task import Asked, Resolved

from .formats import WHOLE
from .params import Schema, drop_unfit, drop_unknown, read_params
from .roster import Roster
from .rows import ModelRow


class Priced(msgspec.Struct, frozen=True):
    """Of a model that may be billed: its price, None if that is not known, and whether it is
    for owners who agree to it whatever it costs."""

    price: Price | None
    vip: bool


class Meant(msgspec.Struct, frozen=True):
    """What requests that are alike come to, but for their seeds. `priced` is None where
    nothing can be billed."""

    resolved: Resolved
    warnings: tuple[str, ...]
    row: ModelRow
    priced: Priced | None = None


def meant_by(roster: Roster, asked: Asked, preferred: str | None) -> Meant:
    """What will run, but for its seed, and what was ignored. Raises Refused."""
    _check_backend_is_known(roster, asked)
    wish = asked.backend or roster.wish(preferred)
    requested = requested_by(roster, asked, wish)
    row = _running(roster, requested, wish, named=asked.model is not None)
    _check_n(asked, row)
    _check_backend(roster, asked, row)
    params, warnings = _params(roster, asked, requested, row)
    if roster.is_retired(requested) and row is roster.standing(requested):
        told = f"{requested.name} was shut down on {requested.shutdown_date}"
        warnings = [f"model: {told}; {row.name} answers for it", *warnings]
    resolved = Resolved(
        requested=requested.name,
        model=row.name,
        provider=row.provider,
        backend=asked.backend or backend_for(roster, row, preferred),
        params=params,
        seed=0,
        n=asked.n or 1,
        substituted_for=None if row is requested else requested.name,
        own_seed=_is_whole(params, roster.schemas[row.name]) or UNSET,
        price=_snapshot(roster, row),
    )
    return Meant(resolved, tuple(warnings), row, priced_of(roster, row))


def priced_of(roster: Roster, row: ModelRow) -> Priced | None:
    """What its owner has to agree to; None for what costs nothing."""
    price = row.priced
    is_billed = not price.free if price is not None else row.provider in roster.billed
    return Priced(price, row.vip) if is_billed or row.vip else None


def _snapshot(roster: Roster, row: ModelRow) -> Price | UnsetType:
    """The price that goes with the task; where nobody bills there is none to keep."""
    price = row.priced
    kept = price is not None and (not price.free or row.provider in roster.billed)
    return price if price is not None and kept else UNSET


def requested_by(roster: Roster, asked: Asked, wish: str | None) -> ModelRow:
    """The model that the request means, after aliases, usable or not. Raises Refused."""
    if asked.model is None:
        return _implied(roster, asked, wish)
    row = roster.row(asked.model)
    if row is None:
        roster.refuse_unknown(asked.model, asked.kind)
    if row.kind != asked.kind:
        names = roster.names(asked.kind)
        found = f"{shown(row.name)}, of kind {row.kind}"
        expected = f"a model of kind {asked.kind}, such as {', '.join(names[:3])}"
        raise invalid([{"field": "model", "found": found, "expected": expected}])
    return row


def _implied(roster: Roster, asked: Asked, wish: str | None) -> ModelRow:
    meant = roster.catalog.app.get(asked.kind) if asked.app else None
    row = roster.first(asked.kind, wish) if meant is None else roster.row(meant.model)
    if row is None:
        raise _not_configured(f"No model of kind {asked.kind} is usable here.", "nothing", [])
    if asked.backend is not None and asked.backend not in roster.backends(row) and meant is None:
        expected = f"one that runs a model of kind {asked.kind}, or none"
        raise invalid([{"field": "backend", "found": shown(asked.backend), "expected": expected}])
    return row


def _running(roster: Roster, requested: ModelRow, wish: str | None, *, named: bool) -> ModelRow:
    """The requested model, its successor, or the one that stands in for them.

    A model that was named is not swapped behind its caller's back; only where no
    remote provider is configured at all, as on a first run, a built-in one shows
    the way. For a model that we implied ourselves any usable one will do.
    """
    row = roster.standing(requested)
    if row is not None and roster.can_run(row):
        return row
    first = roster.first(requested.kind, wish)
    if first is not None and (not named or roster.may_stand_in(requested)):
        return first
    usable = [row.name for row in roster.usable(requested.kind)]
    if row is None:
        expected = roster.near(requested.name, usable) if usable else "another model"
        told = f"it was shut down on {requested.shutdown_date}"
        raise Refused(
            "unknown_model",
            f"model: found {shown(requested.name)}, but {told}; expected {expected}",
            [{"field": "model", "found": f"{requested.name}; {told}", "expected": expected}],
        )
    label = roster.label(row.provider)
    raise _not_configured(
        f"{row.name} needs {label}, which is not configured here.", requested.name, usable
    )


def _params(
    roster: Roster, asked: Asked, requested: ModelRow, row: ModelRow
) -> tuple[dict[str, Any], list[str]]:
    """Native names that the model does not know are refused, the app's are dropped;
    a stand-in also drops values that only the model it stands in for takes."""
    schema = roster.schemas[row.name]
    where = "" if asked.app else "params."
    params = _app_params(roster, asked, schema) | asked.params
    warnings: list[str] = []
    if row is not requested:
        _check_known(params, roster.schemas[requested.name], where)
        params, warnings = drop_unfit(params, schema, where=where)
    elif asked.app:
        params, warnings = drop_unknown(params, schema, where=where)
    return read_params(params, schema, where=where), warnings


def _app_params(roster: Roster, asked: Asked, schema: Schema) -> dict[str, Any]:
    meant = roster.catalog.app.get(asked.kind) if asked.app else None
    implied = {} if meant is None else meant.params
    return {name: value for name, value in implied.items() if name in schema.params}


def backend_for(roster: Roster, row: ModelRow, preferred: str | None) -> str | None:
    """Where it runs for whoever named no backend."""
    there = roster.backends(row)
    for wished in (preferred, roster.places.default):
        if wished in there:
            return wished
    return there[0] if there else None


def _not_configured(message: str, found: str, usable: list[str]) -> Refused:
    expected = f"one of: {', '.join(usable)}" if usable else "a provider in the settings"
    return Refused(
        "provider_not_configured",
        f"{message} Expected {expected}.",
        [{"field": "model", "found": found, "expected": expected}],
    )


def _check_n(asked: Asked, row: ModelRow) -> None:
    count = asked.n or 1
    if asked.kind != "image" and count > 1:
        expected = f"1 for kind {asked.kind}"
    elif row.max_n is not None and count > row.max_n:
        expected = f"at most {row.max_n} for {row.name}"
    else:
        return
    raise invalid([{"field": "n", "found": str(count), "expected": expected}])


def _is_whole(params: dict[str, Any], schema: Schema) -> bool:
    """Whether a graph was sent that runs as it is."""
    return any(schema.params[name].format in WHOLE for name in params if name in schema.params)


def check_seed(asked: Asked, resolved: Resolved) -> None:
    """A seed that would be used nowhere is not taken; 0 is what such a task is told with."""
    if resolved.own_seed is True and asked.seed:
        expected = "nothing: the workflow has its own seeds"
        raise invalid([{"field": "seed", "found": str(asked.seed), "expected": expected}])


def check_inputs(asked: Asked, row: ModelRow) -> None:
    """A model that starts from a picture is not started without, nor one handed to a model
    that would not look at it."""
    count = len(asked.inputs)
    if count < row.min_inputs:
        found, expected = str(count) if count else "nothing", f"{row.min_inputs} or more"
    elif row.max_inputs is not None and count > row.max_inputs:
        found = str(count)
        expected = f"at most {row.max_inputs}" if row.max_inputs else f"none for {row.name}"
    else:
        return
    raise invalid([{"field": "inputs", "found": found, "expected": expected}])


def _check_backend_is_known(roster: Roster, asked: Asked) -> None:
    known = list(roster.places.types)
    if asked.backend is not None and asked.backend not in known:
        expected = one_of(asked.backend, known) if known else "nothing: no backends are here"
        raise Refused(
            "unknown_backend",
            f"backend: found {shown(asked.backend)}, expected {expected}",
            [{"field": "backend", "found": shown(asked.backend), "expected": expected}],
        )


def _check_backend(roster: Roster, asked: Asked, row: ModelRow) -> None:
    """A backend that cannot be had is never dropped in silence."""
    there = roster.backends(row)
    if asked.backend is not None and asked.backend not in there:
        expected = f"nothing: {row.name} has no backends to choose from"
        if there:
            expected = f"for {row.name} {one_of(asked.backend, there)}"
        raise invalid([{"field": "backend", "found": shown(asked.backend), "expected": expected}])


def _check_known(params: dict[str, Any], schema: Schema, where: str) -> None:
    """What the model that was meant would not take either is refused all the same."""
    known = {name: params[name] for name in schema.params if name in params}
    read_params(known, schema, where=where)
