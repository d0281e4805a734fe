"""The rows of the registry: what a file of models may say.

Knows the form of the rows, not what follows from them for a request: `Registry` does.
How files are read, laid over each other and held against themselves is in catalog.py;
docs/models.md tells the form to whoever writes a file.
"""

from __future__ import annotations

import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from safelight_protocol.events import Kind
from safelight_protocol.prices import Price

from .params import Param, Schema

Name = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,199}\Z", description="a name such as owner/x"),
]
Micros = Annotated[int, Meta(ge=0)]
Inputs = Annotated[int, Meta(ge=0, le=16)]
Results = Annotated[int, Meta(ge=1)]


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
    """One model. `description` is a sentence for people; `price` is None if it is not known,
    and `price_micros` says it of one result, in millionths of a US dollar; `params` are those
    that differ from its schema's. A `vip` model is for owners who agree to it.

    `backends` are those that may run it, by name; none named are all of its provider.
    `workflow` names the template that its provider fills in. From its `shutdown_date` on
    (UTC) it is retired, and `replaced_by` answers for it. It starts from `min_inputs` files
    at least, and from `max_inputs` at most where that is known; `max_n` counts results.
    `concurrency` is how many of it run at once at each host, None as many as the host takes.
    `equals` names the same model elsewhere: it may run in its place after a verified fault,
    and the other way round.
    """

    name: Name
    label: str
    kind: Kind
    provider: str
    schema: str
    order: int
    price: Price | None = None
    price_micros: Micros | None = None
    vip: bool = False
    description: str = ""
    aliases: tuple[Name, ...] = ()
    params: dict[str, Param] = {}
    backends: tuple[str, ...] = ()
    workflow: str | None = None
    min_inputs: Inputs = 0
    max_inputs: Inputs | None = None
    max_n: Results | None = None
    shutdown_date: datetime.date | None = None
    replaced_by: str | None = None
    concurrency: Results | None = None
    equals: tuple[Name, ...] = ()

    @property
    def priced(self) -> Price | None:
        """Its price, however the row says it."""
        if self.price is not None or self.price_micros is None:
            return self.price
        unit = "run" if self.kind == "text" else self.kind
        return Price(rates={unit: self.price_micros} if self.price_micros else {})


class Catalog(msgspec.Struct, frozen=True):
    """Everything that the files say, each model by its name."""

    dated: datetime.date
    providers: dict[str, ProviderRow]
    app: dict[Kind, AppDefault]
    schemas: dict[str, Schema]
    models: tuple[ModelRow, ...]

    def schema_of(self, row: ModelRow) -> Schema:
        """What the model takes."""
        schema = self.schemas[row.schema]
        return msgspec.structs.replace(schema, params=schema.params | row.params)
