"""The registry of models: what can be asked for, and what a request resolves to.

The one place where defaults are assigned, aliases followed and parameters checked,
whatever the door. Rows come from models.toml; which providers there are is told at
start. Knows nothing of tasks, prices paid or backends' live state. The rules are
those of docs/wire.md, "Models and defaults".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable
from typing import Any, NoReturn

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind
from safelight_protocol.fields import invalid
from safelight_protocol.identity import shown
from safelight_protocol.task import Asked, Resolved

from .params import Schema, drop_unfit, drop_unknown, read_params
from .rows import BadCatalog, Catalog, ModelRow, read_catalog

__all__ = ["BadCatalog", "Model", "Offer", "Registry", "Resolution"]


MEMO = 512
MEMO_BYTES = 500
"""How many resolutions are remembered, and the longest parameters of one, as JSON."""

_encode = msgspec.json.Encoder().encode


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model as GET /api/models shows it.

    `price` is in US dollars for one result, None if not known here. `default` marks
    the model of its kind that a native body gets when it names none. `params` maps
    each parameter to a fragment of JSON Schema.
    """

    name: str
    label: str
    kind: Kind
    provider: str
    usable: bool
    default: bool
    price: float | None
    vip: bool
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


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was taken to mean.

    `asked` is as it was sent: a repeat of the request must compare equal to it.
    """

    asked: Asked
    resolved: Resolved
    warnings: tuple[str, ...] = ()


class Registry:
    """The models, given the providers that are configured. Never changes."""

    def __init__(self, catalog: Catalog, configured: frozenset[str]) -> None:
        providers = catalog.providers
        hidden = {name for name, row in providers.items() if row.hidden and name not in configured}
        rows = [row for row in catalog.models if row.provider not in hidden]
        self._catalog = catalog
        self._configured = configured
        self._rows = sorted(rows, key=lambda row: row.order)
        self._named = {name: row for row in rows for name in (row.name, *row.aliases)}
        self._schemas = {row.name: catalog.schema_of(row) for row in rows}
        self._resolutions: dict[Hashable, tuple[Resolved, tuple[str, ...]]] = {}
        self._only_embedded = not any(
            not row.embedded and name in configured for name, row in providers.items()
        )

    @classmethod
    def load(cls, configured: frozenset[str]) -> Registry:
        """The shipped models, usable where their provider is one of `configured`."""
        return cls(read_catalog(), configured)

    def models(self, kind: Kind | None = None) -> list[Model]:
        """Every model, or those of a kind, in the order in which they would be defaults."""
        rows = [row for row in self._rows if kind is None or row.kind == kind]
        return [self._shown(row) for row in rows]

    def offers(self, kind: Kind) -> list[Offer]:
        """The models of a kind that may be named here, the app's default first."""
        rows = [row for row in self._rows if row.kind == kind and self._may_be_named(row)]
        meant = self._named[self._catalog.app[kind].model]
        default = meant if meant in rows else next(iter(self._usable(kind)), None)
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

    def has_model(self, name: str) -> bool:
        """Whether a name or alias is known, usable or not."""
        return name in self._named

    def provider_label(self, provider: str) -> str:
        """A provider's name for people, `Replicate` say; unknown ones as they are."""
        row = self._catalog.providers.get(provider)
        return provider if row is None else row.label

    def resolve(self, asked: Asked, *, draw_seed: Callable[[], int]) -> Resolution:
        """What will run, with every default filled in.

        Raises Refused `unknown_model`, `provider_not_configured` or `invalid`.
        `draw_seed` is called once, and only if the caller left the seed open. Requests that
        differ in nothing but prompt, seed and inputs share the params that they come to.
        """
        params = _encode(asked.params)
        like = (asked.kind, asked.model, asked.backend, asked.n, asked.app, params)
        known = self._resolutions.get(like)
        if known is None:
            known = self._resolved(asked)
            if len(params) <= MEMO_BYTES:
                if len(self._resolutions) >= MEMO:
                    self._resolutions.clear()
                self._resolutions[like] = known
        resolved, warnings = known
        seed = draw_seed() if asked.seed is None else asked.seed
        own = dict(resolved.params)
        resolved = msgspec.structs.replace(resolved, seed=seed, params=own)
        return Resolution(asked=asked, resolved=resolved, warnings=warnings)

    def _resolved(self, asked: Asked) -> tuple[Resolved, tuple[str, ...]]:
        """What will run, but for its seed, and what was ignored."""
        requested = self._requested(asked)
        row = self._running(requested, named=asked.model is not None)
        _check_n(asked)
        _check_backend(asked, row)
        params, warnings = self._params(asked, requested, row)
        resolved = Resolved(
            requested=requested.name,
            model=row.name,
            provider=row.provider,
            backend=None,
            params=params,
            seed=0,
            n=asked.n or 1,
            substituted_for=None if row is requested else requested.name,
        )
        return resolved, tuple(warnings)

    def compare_defaults(self, asked: Asked) -> Resolved | None:
        """What the request would be resolved to, only to be compared; the seed is 0.

        Never raises. A request that would be refused today is read by the schema of
        the model it means, or is None where even that fails: attaching to a task
        must not fail because the registry has changed since.
        """
        try:
            return self.resolve(asked, draw_seed=lambda: 0).resolved
        except Refused:
            pass
        try:
            row = self._requested(asked)
            params = read_params(asked.params, self._schemas[row.name])
        except Refused:
            return None
        return Resolved(
            requested=row.name,
            model=row.name,
            provider=row.provider,
            backend=asked.backend,
            params=params,
            seed=asked.seed or 0,
            n=asked.n or 1,
        )

    def _requested(self, asked: Asked) -> ModelRow:
        """The model that the request means, after aliases, usable or not."""
        if asked.model is None:
            return self._implied(asked)
        row = self._named.get(asked.model)
        if row is None:
            self._refuse_unknown(asked.model, asked.kind)
        if row.kind != asked.kind:
            raise invalid(
                [
                    {
                        "field": "model",
                        "found": f"{shown(row.name)}, of kind {row.kind}",
                        "expected": f"a model of kind {asked.kind}, such as"
                        f" {', '.join(self._names(asked.kind)[:3])}",
                    }
                ]
            )
        return row

    def _implied(self, asked: Asked) -> ModelRow:
        if asked.app:
            return self._named[self._catalog.app[asked.kind].model]
        usable = self._usable(asked.kind)
        if not usable:
            raise _not_configured(f"No model of kind {asked.kind} is usable here.", "nothing", [])
        return usable[0]

    def _running(self, requested: ModelRow, *, named: bool) -> ModelRow:
        """The requested model, or the one that stands in for it.

        A model that was named is not swapped behind its caller's back; only where no
        remote provider is configured at all, as on a first run, a built-in one shows
        the way. For a model that we implied ourselves any usable one will do.
        """
        if requested.provider in self._configured:
            return requested
        usable = self._usable(requested.kind)
        if usable and (not named or self._only_embedded):
            return usable[0]
        label = self.provider_label(requested.provider)
        raise _not_configured(
            f"{requested.name} needs {label}, which is not configured here.",
            requested.name,
            [row.name for row in usable],
        )

    def _params(
        self, asked: Asked, requested: ModelRow, row: ModelRow
    ) -> tuple[dict[str, Any], list[str]]:
        """Native names that the model does not know are refused, the app's are dropped;
        a stand-in also drops values that only the model it stands in for takes."""
        schema = self._schemas[row.name]
        where = "" if asked.app else "params."
        params = self._app_params(asked, schema) | asked.params
        warnings: list[str] = []
        if row is not requested:
            _check_known(params, self._schemas[requested.name], where)
            params, warnings = drop_unfit(params, schema, where=where)
        elif asked.app:
            params, warnings = drop_unknown(params, schema, where=where)
        return read_params(params, schema, where=where), warnings

    def _app_params(self, asked: Asked, schema: Schema) -> dict[str, Any]:
        if not asked.app:
            return {}
        implied = self._catalog.app[asked.kind].params
        return {name: value for name, value in implied.items() if name in schema.params}

    def _may_be_named(self, row: ModelRow) -> bool:
        """Whether a request for it is accepted; on a first run another stands in."""
        if row.provider in self._configured:
            return True
        return self._only_embedded and bool(self._usable(row.kind))

    def _usable(self, kind: Kind) -> list[ModelRow]:
        return [row for row in self._rows if row.kind == kind and row.provider in self._configured]

    def _names(self, kind: Kind) -> list[str]:
        return [row.name for row in self._rows if row.kind == kind]

    def _shown(self, row: ModelRow) -> Model:
        params = self._schemas[row.name].params
        return Model(
            name=row.name,
            label=row.label,
            kind=row.kind,
            provider=row.provider,
            usable=row.provider in self._configured,
            default=row in self._usable(row.kind)[:1],
            price=_dollars(row),
            vip=row.vip,
            params={name: msgspec.to_builtins(param) for name, param in params.items()},
        )

    def _refuse_unknown(self, name: str, kind: Kind) -> NoReturn:
        known = self._names(kind)
        tails = {model.rpartition("/")[2]: model for model in known}
        near = difflib.get_close_matches(name, known, n=3)
        near += [tails[t] for t in difflib.get_close_matches(name.rpartition("/")[2], tails, n=3)]
        told = list(dict.fromkeys(near)) or known
        expected = f"{'one near it' if near else 'one of'}: {', '.join(told)}"
        raise Refused(
            "unknown_model",
            f"model: found {shown(name)}, expected {expected}",
            [{"field": "model", "found": shown(name), "expected": expected}],
        )


def _dollars(row: ModelRow) -> float | None:
    return None if row.price_micros is None else row.price_micros / 1_000_000


def _not_configured(message: str, found: str, usable: list[str]) -> Refused:
    expected = f"one of: {', '.join(usable)}" if usable else "a provider in the settings"
    return Refused(
        "provider_not_configured",
        f"{message} Expected {expected}.",
        [{"field": "model", "found": found, "expected": expected}],
    )


def _check_n(asked: Asked) -> None:
    if asked.kind != "image" and asked.n not in (None, 1):
        found, expected = str(asked.n), f"1 for kind {asked.kind}"
        raise invalid([{"field": "n", "found": found, "expected": expected}])


def _check_backend(asked: Asked, row: ModelRow) -> None:
    """A backend that cannot be had is never dropped in silence."""
    if asked.backend is not None:
        expected = f"nothing: {row.name} has no backends to choose from"
        raise invalid([{"field": "backend", "found": shown(asked.backend), "expected": expected}])


def _check_known(params: dict[str, Any], schema: Schema, where: str) -> None:
    """What the model that was meant would not take either is refused all the same."""
    known = {name: params[name] for name in schema.params if name in params}
    read_params(known, schema, where=where)
