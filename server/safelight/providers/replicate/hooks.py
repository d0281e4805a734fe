"""Replicate's calls to us: checked by its secret, and taken in once each.

The secret is the settings', or asked for when the first call comes and kept. A call that it
does not fit may be signed with a new one, so it is asked for again; one that did not help
is not asked for again for a while: who sends nonsense must not make us ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import anyio

from safelight_protocol.codes import Refused

from ...telemetry import log as record
from ..base import Delivery
from .client import Trouble
from .standard import Bad, checked

MOST_IDS = 4096
"""Calls whose ids are remembered: of a few minutes, even of a busy account."""


class Hooks:
    """`ask` tells the secret, or raises Trouble. `clock` is in milliseconds since 1970, `rest`
    the seconds after a question in vain."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[str]],
        secret: str | None,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        rest: float,
    ) -> None:
        self._name = name
        self._ask_provider = ask
        self._given = secret
        self._secret: str | None = None
        self._clock = clock
        self._monotonic = monotonic
        self._rest = rest
        self._resting_until: float | None = None
        self._asking = anyio.Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def check(self, delivery: Delivery) -> str:
        """Its id. Raises Refused `unauthorized`, and `provider_unreachable` if there is no
        secret to check it by."""
        known = self._given or self._secret
        try:
            return self._checked(delivery, known or await self._ask(None))
        except Bad as bad:
            if known is None or self._given is not None:
                raise self._refused(bad) from None
        fresh = await self._ask(known)
        try:
            return self._checked(delivery, fresh)
        except Bad as bad:
            self._resting_until = self._monotonic() + self._rest
            raise self._refused(bad) from None

    def is_new(self, id: str) -> bool:
        """Whether a call of this id was not taken in before."""
        return id not in self._seen

    def taken(self, id: str) -> None:
        """A call of this id was taken in."""
        self._seen[id] = None
        while len(self._seen) > MOST_IDS:
            self._seen.popitem(last=False)

    def _checked(self, delivery: Delivery, secret: str) -> str:
        return checked(delivery.headers, delivery.body, secret, self._clock() / 1000)

    async def _ask(self, than: str | None) -> str:
        """The secret, asked for unless somebody else has a newer one `than` this by now."""
        async with self._asking:
            if self._secret is not None and self._secret != than:
                return self._secret
            resting = self._resting_until
            if than is not None and resting is not None and self._monotonic() < resting:
                return than
            try:
                self._secret = await self._ask_provider()
            except Trouble as trouble:
                raise Refused(
                    "provider_unreachable", f"The call cannot be checked now: {trouble}."
                ) from None
            return self._secret

    def _refused(self, bad: Bad) -> Refused:
        record("webhook.refused", provider=self._name, error=str(bad))
        return Refused("unauthorized", f"The webhook was refused: {bad}.")
