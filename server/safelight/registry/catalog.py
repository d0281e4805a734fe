"""Reading files of models: the one that is shipped, and an operator's own on top of it.

Rows of equal name replace, others add; so do providers, schemas and the app's defaults.
Whatever a file says wrong is found at start, never by a request, and told as file, row
and field. The form of the rows is in rows.py.
"""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind
from safelight_protocol.identity import shown
from safelight_protocol.prices import UNITS, Price

from .equals import wrong_equal
from .formats import FORMATS
from .params import Param, Schema, read_params
from .rows import AppDefault, Catalog, ModelRow, ProviderRow

SHIPPED = "models.toml"

Row = TypeVar("Row", bound=msgspec.Struct)

_TABLES = ("dated", "providers", "app", "schemas", "models")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2})?\Z")
_PLACE = re.compile(r" - at `\$(.*)`\Z")


class BadCatalog(Exception):
    """A file of models is wrong; the message says in which file, row and field."""


@cache
def read_catalog(text: str | None = None) -> Catalog:
    """The catalog in `text`, or the one that is shipped. Raises BadCatalog."""
    if text is None:
        text = files(__package__).joinpath(SHIPPED).read_text(encoding="utf-8")
    return laid_over(Catalog(datetime.date.min, {}, {}, {}, ()), text, SHIPPED)


def with_own(path: str | None) -> Catalog:
    """The shipped catalog with an operator's file on top, if there is one. Raises
    BadCatalog."""
    if path is None:
        return read_catalog()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        raise BadCatalog(f"{path} cannot be read: {trouble}") from None
    return laid_over(read_catalog(), text, path)


def laid_over(below: Catalog, text: str, where: str) -> Catalog:
    """What `text` says on top of a catalog; `where` is its file. Raises BadCatalog."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as trouble:
        raise BadCatalog(f"{where} cannot be read: {trouble}") from None
    try:
        return _checked(_merged(below, said))
    except BadCatalog as trouble:
        raise BadCatalog(f"{where}: {trouble}") from None


def _merged(below: Catalog, said: dict[str, Any]) -> Catalog:
    for name in said:
        if name not in _TABLES:
            raise BadCatalog(f"{shown(name)}: no such table{_meant(name, _TABLES)}")
    rows = said.get("models", [])
    if not isinstance(rows, list):
        raise BadCatalog(f"models: found {shown(rows)}, expected [[models]] tables")
    given = [_model(number, row) for number, row in enumerate(rows, 1)]
    _check_once(row.name for row in given)
    models = {row.name: row for row in below.models} | {row.name: row for row in given}
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    for kind in _table(said, "app"):
        if kind not in kinds:
            raise BadCatalog(f"app.{kind}: no such kind; expected one of {', '.join(kinds)}")
    app = _read(said, "app", AppDefault)
    return Catalog(
        dated=_field("dated", said.get("dated", below.dated), datetime.date),
        providers=below.providers | _read(said, "providers", ProviderRow),
        app=below.app | {kinds[kind]: default for kind, default in app.items()},
        schemas=below.schemas | _read(said, "schemas", Schema),
        models=tuple(models.values()),
    )


def _table(said: dict[str, Any], name: str) -> dict[str, Any]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        raise BadCatalog(f"{name}: found {shown(table)}, expected tables [{name}.<name>]")
    return table


def _read(said: dict[str, Any], name: str, type_: type[Row]) -> dict[str, Row]:
    return {key: _row(f"{name}.{key}", row, type_) for key, row in _table(said, name).items()}


def _model(number: int, row: Any) -> ModelRow:
    """A row of [[models]], told by its name, or by its number where it has none."""
    name = row.get("name") if isinstance(row, dict) else None
    return _row(f"models.{name}" if isinstance(name, str) else f"models[{number}]", row, ModelRow)


def _row(name: str, row: Any, type_: type[Row]) -> Row:
    """One table as a row, field by field. Raises BadCatalog."""
    if not isinstance(row, dict):
        raise BadCatalog(f"{name}: found {shown(row)}, expected a table")
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    values = {}
    for key, value in row.items():
        if key not in fields:
            raise BadCatalog(f"{name}.{key}: no such field{_meant(key, fields)}")
        values[fields[key].name] = _field(f"{name}.{key}", value, fields[key].type)
    for key, field in fields.items():
        if field.required and key not in row:
            raise BadCatalog(f"{name}.{key}: found nothing, expected a value")
    return type_(**values)


def _field(name: str, value: Any, type_: Any) -> Any:
    if isinstance(type_, UnionType) and isinstance(value, dict):
        structs = [one for one in get_args(type_) if isinstance(one, msgspec.StructMeta)]
        type_ = structs[0] if structs else type_
    if type_ is Price:
        value = _with_date_in_words(value)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _row(name, value, type_)
    if get_origin(type_) is dict and isinstance(value, dict):
        of = get_args(type_)[1]
        return {key: _field(f"{name}.{key}", one, of) for key, one in value.items()}
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as trouble:
        told = str(trouble)
        place = _PLACE.search(told)
        inside, problem = ("", told) if place is None else (place[1], told[: place.start()])
        found = "" if inside else f"found {shown(value)}, "
        raise BadCatalog(f"{name}{inside}: {found}{problem[0].lower()}{problem[1:]}") from None


def _with_date_in_words(price: Any) -> Any:
    """A date of TOML's own, without quotes, is as good as one in them."""
    date = price.get("as_of") if isinstance(price, dict) else None
    if not isinstance(date, datetime.date) or isinstance(date, datetime.datetime):
        return price
    return price | {"as_of": date.isoformat()}


def _meant(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; expected one of {', '.join(names)}" if names else ""


def _checked(catalog: Catalog) -> Catalog:
    _check_names(catalog)
    _check_references(catalog)
    _check_heirs({row.name: row for row in catalog.models})
    wrong = wrong_equal(catalog)
    if wrong is not None:
        raise BadCatalog(wrong)
    for row in catalog.models:
        _check_schema(f"models.{row.name}", catalog.schema_of(row))
    return catalog


def _check_once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadCatalog(f"models.{name}: found twice, expected once in a file")
        seen.add(name)


def _check_names(catalog: Catalog) -> None:
    seen = {row.name: row.name for row in catalog.models}
    for row in catalog.models:
        for alias in row.aliases:
            if alias in seen:
                raise BadCatalog(
                    f"models.{row.name}.aliases: found {alias} twice, expected it once among"
                    f" names and aliases ({seen[alias]} has it)"
                )
            seen[alias] = row.name


def _check_references(catalog: Catalog) -> None:
    for row in catalog.models:
        where = f"models.{row.name}"
        if row.provider not in catalog.providers:
            near = _meant(row.provider, catalog.providers)
            raise BadCatalog(f"{where}.provider: no provider {row.provider}{near}")
        if row.schema not in catalog.schemas:
            near = _meant(row.schema, catalog.schemas)
            raise BadCatalog(f"{where}.schema: no schema {row.schema}{near}")
        _check_price(where, row)
        if row.max_inputs is not None and row.max_inputs < row.min_inputs:
            expected = f"min_inputs ({row.min_inputs}) or more"
            raise BadCatalog(f"{where}.max_inputs: found {row.max_inputs}, expected {expected}")
    kinds = {row.name: row.kind for row in catalog.models}
    for kind, default in catalog.app.items():
        if kinds.get(default.model) != kind:
            raise BadCatalog(f"app.{kind}.model: {default.model} is no {kind} model")


def _check_price(where: str, row: ModelRow) -> None:
    if row.price is None:
        return
    if row.price_micros is not None:
        raise BadCatalog(f"{where}.price_micros: found beside price, expected one of them")
    if row.price.as_of and not _is_date(row.price.as_of):
        found, expected = shown(row.price.as_of), "a date such as 2026-11-21, or a month of one"
        raise BadCatalog(f"{where}.price.as_of: found {found}, expected {expected}")
    for field, counts in (("rates", row.price.rates), ("most", row.price.most)):
        for unit, count in counts.items():
            if unit not in UNITS:
                raise BadCatalog(f"{where}.price.{field}.{unit}: no such unit{_meant(unit, UNITS)}")
            if count < 0:
                raise BadCatalog(f"{where}.price.{field}.{unit}: found {count}, expected 0 or more")


def _is_date(text: str) -> bool:
    """Whether it is a day of the calendar, or a month where its source tells no day."""
    if _DATE.match(text) is None:
        return False
    try:
        datetime.date.fromisoformat(text if len(text) > len("2026-11") else f"{text}-01")
    except ValueError:
        return False
    return True


def _check_heirs(rows: dict[str, ModelRow]) -> None:
    """Who answers for a retired model is there, of its kind, and not that model again."""
    for row in rows.values():
        where, heirs, last = f"models.{row.name}.replaced_by", [row.name], row
        if row.replaced_by is not None and row.shutdown_date is None:
            raise BadCatalog(f"{where}: found without shutdown_date, expected both")
        while last.replaced_by is not None:
            heir = rows.get(last.replaced_by)
            if heir is None:
                raise BadCatalog(
                    f"{where}: no model {last.replaced_by}{_meant(last.replaced_by, rows)}"
                )
            if heir.kind != row.kind:
                raise BadCatalog(f"{where}: {heir.name} is no {row.kind} model")
            if heir.name in heirs:
                raise BadCatalog(f"{where}: {' → '.join([*heirs, heir.name])} comes to no end")
            heirs.append(heir.name)
            last = heir


def _check_schema(where: str, schema: Schema) -> None:
    """Words that only count together, and defaults that the schema itself would take."""
    for name, param in schema.params.items():
        _check_param(f"{where}.params.{name}", param)
    for name in schema.required:
        if name not in schema.params:
            raise BadCatalog(f"{where}: required: no parameter {name}{_meant(name, schema.params)}")
    if schema.longer_side is not None:
        missing = {"width", "height", "aspect_ratio"} - schema.params.keys()
        if missing or schema.params["aspect_ratio"].default is None:
            raise BadCatalog(
                f"{where}: longer_side: expected width, height, and aspect_ratio with a default"
            )
    defaults = {name: param.default for name, param in schema.params.items()}
    try:
        read_params(defaults, schema, where=f"{where}.params.", partly=True)
    except Refused as refused:
        raise BadCatalog(refused.message) from None


def _check_param(where: str, param: Param) -> None:
    if param.format is not None and param.format not in FORMATS:
        raise BadCatalog(f"{where}.format: no format {param.format}{_meant(param.format, FORMATS)}")
    try:
        re.compile(param.pattern or "")
    except re.error as trouble:
        raise BadCatalog(f"{where}.pattern: found {shown(param.pattern)}: {trouble}") from None
