"""Replicate's calls to us: checked by its secret, and taken in once each.

The secret is the settings', or asked for when the first call comes and kept. A call that it
does not fit may be signed with a new one, so it is asked for again; one that did not help
is not asked for again for a while: who sends nonsense must not make us ask.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import anyio

from safelight_protocol.codes import Refused

from ...telemetry import log as record
from ..base import Delivery
from ..http import Trouble
from ..recent import Recent
from .standard import Bad, check, claimed


class Hooks:
    """`ask` tells the secret, or raises Trouble. `clock` is in milliseconds since 1970, `rest`
    the seconds after a question in vain. The ids of calls are remembered for a few minutes,
    even of a busy account."""

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
        self._resting_until = -math.inf
        self._asking = anyio.Lock()
        self._seen: Recent[str, None] = Recent()

    async def check(self, delivery: Delivery) -> str:
        """Its id. Raises Refused `unauthorized`, and `provider_unreachable` if there is no
        secret to check it by."""
        try:
            claim = claimed(delivery.headers, self._clock() / 1000)
            known = self._given or self._secret
            try:
                check(claim, delivery.body, known or await self._ask(None))
            except Bad:
                if known is None or self._given is not None:
                    raise
                check(claim, delivery.body, await self._ask(known))
        except Bad as bad:
            raise self._refused(bad) from None
        return claim.id

    def is_new(self, id: str) -> bool:
        """Whether a call of this id was not taken in before."""
        return id not in self._seen

    def taken(self, id: str) -> None:
        """A call of this id was taken in."""
        self._seen.put(id, None)

    async def _ask(self, than: str | None) -> str:
        """The secret, asked for unless somebody else has a newer one `than` this by now, or
        it was asked for in vain a moment ago."""
        async with self._asking:
            if self._secret is not None and self._secret != than:
                return self._secret
            if self._monotonic() < self._resting_until:
                if than is None:
                    raise _unknown()
                return than
            try:
                fresh = await self._ask_provider()
            except Trouble:
                self._rest_now()
                raise _unknown() from None
            if fresh == than:
                self._rest_now()
            self._secret = fresh
            return fresh

    def _rest_now(self) -> None:
        """It was asked in vain: whoever sends nonsense does not make us ask, nor, by sending
        more of it, keeps us from asking later."""
        self._resting_until = self._monotonic() + self._rest

    def _refused(self, bad: Bad) -> Refused:
        record("webhook.refused", provider=self._name, error=str(bad))
        return Refused("unauthorized", f"The webhook was refused: {bad}.")


def _unknown() -> Refused:
    """Why is not told to whoever calls: it may be anybody."""
    return Refused("provider_unreachable", "The call cannot be checked now.")
