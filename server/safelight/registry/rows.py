"""The registry's data: what models.toml may say, read and held against itself.

Knows the form of the rows, not what follows from them for a request; `Registry`
does. Whatever the file says wrong is found at start, never by a request.
"""

from __future__ import annotations

import datetime
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

from .params import Param, Schema, read_params


class BadCatalog(Exception):
    """models.toml contradicts itself; the message says where."""


class ProviderRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`embedded` ones need nothing but this server; `hidden` ones are not there at all
    unless configured."""

    label: str
    embedded: bool = False
    hidden: bool = False


class AppDefault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the deployed app means for a kind when it leaves model or params open."""

    model: str
    params: dict[str, str] = {}


class ModelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model. `description` is a sentence for people; `price_micros` is in millionths of
    a US dollar, None if not known; `params` are those that differ from its schema's."""

    name: str
    label: str
    kind: Kind
    provider: str
    schema: str
    order: int
    price_micros: int | None = None
    vip: bool = False
    description: str = ""
    aliases: tuple[str, ...] = ()
    params: dict[str, Param] = {}


class Catalog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    dated: datetime.date
    providers: dict[str, ProviderRow]
    app: dict[Literal["image", "video", "text"], AppDefault]
    schemas: dict[str, Schema]
    models: tuple[ModelRow, ...]

    def schema_of(self, row: ModelRow) -> Schema:
        """What the model takes."""
        schema = self.schemas[row.schema]
        return msgspec.structs.replace(schema, params=schema.params | row.params)


@cache
def read_catalog(text: str | None = None) -> Catalog:
    """The catalog in `text`, or the one that is shipped. Raises BadCatalog."""
    if text is None:
        text = files(__package__).joinpath("models.toml").read_text(encoding="utf-8")
    try:
        catalog = msgspec.toml.decode(text, type=Catalog)
    except msgspec.DecodeError as trouble:
        raise BadCatalog(str(trouble)) from None
    _check_names(catalog)
    _check_references(catalog)
    for row in catalog.models:
        _check_defaults(row.name, catalog.schema_of(row))
    return catalog


def _check_names(catalog: Catalog) -> None:
    seen: set[str] = set()
    for row in catalog.models:
        for name in (row.name, *row.aliases):
            if name in seen:
                raise BadCatalog(f"{name}: found twice, expected once among names and aliases")
            seen.add(name)


def _check_references(catalog: Catalog) -> None:
    for row in catalog.models:
        if row.provider not in catalog.providers:
            raise BadCatalog(f"{row.name}: no provider {row.provider}")
        if row.schema not in catalog.schemas:
            raise BadCatalog(f"{row.name}: no schema {row.schema}")
    kinds = {row.name: row.kind for row in catalog.models}
    for kind, default in catalog.app.items():
        if kinds.get(default.model) != kind:
            raise BadCatalog(f"app.{kind}: {default.model} is no {kind} model")


def _check_defaults(model: str, schema: Schema) -> None:
    defaults = {name: param.default for name, param in schema.params.items()}
    try:
        read_params(defaults, schema, where=f"{model}: ")
    except Refused as refused:
        raise BadCatalog(refused.message) from None
