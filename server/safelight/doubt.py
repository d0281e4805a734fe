"""An attempt in doubt: asked about again and again, until it is known or time is up.

Owns the pauses between two look-ups and the end of the asking. Starts nothing and
writes nothing: what is learnt is returned, and the runner acts on it.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from .providers.base import Gone, Prediction, Provider, Unclear, Unknowable
from .retry import RetryPolicy
from .stray import spared
from .telemetry import log as record

LEAST_TRIES = 3
"""Look-ups that are made even if the deadline has passed: the server may have been down
for longer than that."""

LOOK_UP_SECONDS = 30.0
"""How long one look-up may take; one that takes longer has told nothing."""


class Doubt:
    """What one attempt's doubt has come to. `tries` counts over all of its doubts, so that
    a provider that shows a handle and loses it again is not asked without a pause."""

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.tries = 0
        self.scope = anyio.CancelScope()
        self._nudge = anyio.Event()
        self._nudged = False

    def nudge(self) -> None:
        """Ask now: somebody waits for the answer. Once: whoever has to be stopped each time that
        it is found, and is lost again each time, must not be asked without a pause."""
        if not self._nudged:
            self._nudged = True
            self._nudge.set()

    async def wait(self, seconds: float) -> None:
        """Pause before the next look-up, or until the nudge."""
        with anyio.move_on_after(seconds):
            await self._nudge.wait()
        self._nudge = anyio.Event()


class Resolver:
    """Asks providers what became of an attempt."""

    def __init__(
        self, policy: RetryPolicy, clock: Callable[[], int], share: Callable[[], float]
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._share = share

    async def learn(
        self, doubt: Doubt, provider: Provider, prediction: Prediction, deadline: int | None
    ) -> str | Gone | None:
        """The handle, Gone, or None when nobody can tell, or could until the deadline."""
        found = await self._ask(doubt, provider, prediction, deadline)
        verdict = "unknown" if found is None else "found" if isinstance(found, str) else "gone"
        record(
            "prediction.settled",
            uid=prediction.uid,
            attempt=prediction.attempt,
            provider=provider.name,
            verdict=verdict,
            tries=doubt.tries,
        )
        return found

    async def _ask(
        self, doubt: Doubt, provider: Provider, prediction: Prediction, deadline: int | None
    ) -> str | Gone | None:
        while True:
            left = self._left(deadline)
            if doubt.tries >= LEAST_TRIES and left is not None and left <= 0:
                return None
            if doubt.tries > 0:
                pause = self._policy.pause(doubt.tries - 1, self._share())
                await doubt.wait(pause if not left or left <= 0 else min(pause, left))
            doubt.tries += 1
            found = await look_up(provider, prediction)
            if isinstance(found, Unknowable):
                return None
            if not isinstance(found, Unclear):
                return found

    def _left(self, deadline: int | None) -> float | None:
        return None if deadline is None else (deadline - self._clock()) / 1000


async def look_up(
    provider: Provider, prediction: Prediction, seconds: float = LOOK_UP_SECONDS
) -> str | Gone | Unclear | Unknowable:
    """One look-up. A provider that fails at it, or takes too long, has told nothing."""
    try:
        with anyio.fail_after(seconds):
            return await spared(provider.look_up(prediction))
    except TimeoutError:
        return Unclear(f"{provider.name} did not say in time")
    except Exception as defect:
        record(
            "prediction.defect",
            uid=prediction.uid,
            attempt=prediction.attempt,
            provider=provider.name,
            exc=defect,
        )
        return Unclear(f"{provider.name} met a bug")
