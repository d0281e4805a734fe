"""The registry of models: what can be asked for, and what a request resolves to.

The one place where defaults are assigned, aliases and successors followed, a backend
chosen and parameters checked, whatever the door. Rows come from models.toml and the
operator's own file; which providers and backends there are is told at start, and the
time by a clock that is handed in. Knows nothing of tasks, prices paid or backends' live
state. The rules are those of docs/wire.md, "Models and defaults".
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Hashable
from typing import Any

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind
from safelight_protocol.identity import shown
from safelight_protocol.task import Asked, Resolved

from . import listing
from .catalog import BadCatalog, with_own
from .listing import DIALECT, Model, Offer
from .params import read_params
from .resolving import Meant, Priced, backend_for, check_inputs, check_seed, meant_by, requested_by
from .roster import Places, Roster
from .rows import Catalog, ModelRow
from .standins import standins

__all__ = [
    "DIALECT",
    "BadCatalog",
    "Model",
    "Offer",
    "Places",
    "Priced",
    "Registry",
    "Resolution",
    "workflows",
]


MEMO = 512
MEMO_BYTES = 500
"""How many resolutions are remembered, and the longest parameters of one, as JSON."""

DAY = 86_400_000
EPOCH = datetime.date(1970, 1, 1).toordinal()

_encode = msgspec.json.Encoder().encode


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was taken to mean.

    `asked` is as it was sent: a repeat of the request must compare equal to it. `priced` is
    None where nothing can be billed.
    """

    asked: Asked
    resolved: Resolved
    warnings: tuple[str, ...] = ()
    priced: Priced | None = None


def workflows(own: str | None) -> dict[str, str]:
    """The template that each model stands for, of those that have one; `own` is the
    operator's file. Raises BadCatalog."""
    rows = with_own(own).models
    return {row.name: row.workflow for row in rows if row.workflow is not None}


class Registry:
    """The models, given the providers and backends that are configured.

    `clock` tells milliseconds since 1970; which models are retired changes with the day
    (UTC), and nothing else ever does. A clock that stands still at 0 retires none.
    """

    def __init__(
        self,
        catalog: Catalog,
        configured: frozenset[str],
        places: Places | None = None,
        clock: Callable[[], int] = lambda: 0,
        billed: frozenset[str] = frozenset(),
    ) -> None:
        self._billed = billed
        self._catalog = catalog
        self._configured = configured
        self._places = places or Places()
        self._clock = clock
        self._day = clock() // DAY
        self._of_day = self._made(self._day)
        self._known: dict[Hashable, Meant] = {}

    @classmethod
    def load(
        cls,
        configured: frozenset[str],
        *,
        places: Places | None = None,
        own: str | None = None,
        clock: Callable[[], int] = lambda: 0,
        billed: frozenset[str] = frozenset(),
    ) -> Registry:
        """The shipped models and those of the file `own`, usable where their provider is
        one of `configured`; those of them that are `billed` may ask for money. Raises
        BadCatalog."""
        return cls(with_own(own), configured, places, clock, billed)

    def models(self, kind: Kind | None = None, preferred: str | None = None) -> list[Model]:
        """Every model, or those of a kind, in the order in which they would be defaults for
        whoever prefers that backend."""
        roster = self._roster()
        return listing.models(roster, kind, roster.wish(preferred))

    def offers(self, kind: Kind) -> list[Offer]:
        """The models of a kind that may be named here, the app's default first."""
        return listing.offers(self._roster(), kind)

    def schema(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a model's parameters, by name or alias; of a retired one, that
        of who answers for it. Raises Refused `not_found` with the nearest names."""
        row = self._standing(name)
        return listing.document(row, self._roster().schemas[row.name])

    def runs_at(self, name: str) -> tuple[str, str]:
        """The provider of a model and its name there, by name or alias; of a retired one, of
        who answers for it. Raises Refused `not_found` as `schema` does."""
        row = self._standing(name)
        return row.provider, row.name

    def has_model(self, name: str) -> bool:
        """Whether a name or alias is known, usable or not."""
        return self._of_day.row(name) is not None

    def limits(self) -> dict[str, int]:
        """How many tasks of a model may run at once at a host, for those that say so."""
        rows = self._catalog.models
        return {row.name: row.concurrency for row in rows if row.concurrency is not None}

    def equals(self, resolved: Resolved) -> tuple[Resolved, ...]:
        """What else a resolved request may run as: the same model, declared equal, at another
        host that is configured and costs no more."""
        return standins(self._roster(), resolved)

    def provider_label(self, provider: str) -> str:
        """A provider's name for people, `Replicate` say; unknown ones as they are."""
        return self._of_day.label(provider)

    def resolve(
        self, asked: Asked, *, draw_seed: Callable[[], int], preferred: str | None = None
    ) -> Resolution:
        """What will run, with every default filled in, and where: on the backend that was
        asked for, else the `preferred` one of the owner, else the default, else the first
        that may run the model.

        Raises Refused `unknown_model`, `provider_not_configured`, `unknown_backend` or
        `invalid`. `draw_seed` is called once, and only if the caller left the seed open and it is
        used at all.
        Requests that differ in nothing but prompt, seed and inputs share the params that
        they come to.
        """
        roster = self._roster()
        params = _encode(asked.params)
        like = (asked.kind, asked.model, asked.backend, preferred, asked.n, asked.app, params)
        known = self._known.get(like)
        if known is None:
            known = meant_by(roster, asked, preferred)
            if len(params) <= MEMO_BYTES:
                if len(self._known) >= MEMO:
                    self._known.clear()
                self._known[like] = known
        check_inputs(asked, known.row)
        check_seed(asked, known.resolved)
        drawn = asked.seed is None and known.resolved.own_seed is not True
        seed = draw_seed() if drawn else asked.seed or 0
        own = dict(known.resolved.params)
        resolved = msgspec.structs.replace(known.resolved, seed=seed, params=own)
        return Resolution(
            asked=asked, resolved=resolved, warnings=known.warnings, priced=known.priced
        )

    def compare_defaults(self, asked: Asked, preferred: str | None = None) -> Resolved | None:
        """What the request would be resolved to, only to be compared; the seed is 0.

        Never raises. A request that would be refused today is read by the schema of
        the model it means, or is None where even that fails: attaching to a task
        must not fail because the registry has changed since.
        """
        try:
            return self.resolve(asked, draw_seed=lambda: 0, preferred=preferred).resolved
        except Refused:
            pass
        roster = self._roster()
        try:
            row = requested_by(roster, asked, asked.backend or roster.wish(preferred))
            params = read_params(asked.params, roster.schemas[row.name])
        except Refused:
            return None
        return Resolved(
            requested=row.name,
            model=row.name,
            provider=row.provider,
            backend=asked.backend or backend_for(roster, row, preferred),
            params=params,
            seed=asked.seed or 0,
            n=asked.n or 1,
        )

    def _standing(self, name: str) -> ModelRow:
        """Who answers to a name today. Raises Refused `not_found` with the nearest names."""
        roster = self._roster()
        named = roster.row(name)
        row = None if named is None else roster.standing(named)
        if row is None:
            expected = roster.near(name, [row.name for row in roster.rows])
            raise Refused(
                "not_found",
                f"model: found {shown(name)}, expected {expected}",
                [{"field": "model", "found": shown(name), "expected": expected}],
            )
        return row

    def _roster(self) -> Roster:
        """The models as they stand today."""
        day = self._clock() // DAY
        if day != self._day:
            self._day, self._of_day = day, self._made(day)
            self._known.clear()
        return self._of_day

    def _made(self, day: int) -> Roster:
        today = datetime.date.fromordinal(EPOCH + day)
        return Roster(self._catalog, self._configured, self._places, today, self._billed)
