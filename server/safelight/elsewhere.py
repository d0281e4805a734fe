"""An attempt that was begun at an address where its backend is no more.

The settings have another address under that name now. What runs at the old one cannot be
asked about, and the new one has never heard of it: nothing of such an attempt may be sent
there. So it is in doubt until its deadline, or until the old address is back.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext

from .providers.base import Failure, Outcome, Prediction, Provider, Report, Unclear


class Elsewhere:
    """Stands in for the provider of such an attempt: it asks nobody and knows nothing."""

    resumable = True

    def __init__(self, provider: Provider, url: str) -> None:
        self.name = provider.name
        self.billed = provider.billed
        self._url = url

    def open(self) -> AbstractAsyncContextManager[None]:
        """It holds nothing."""
        return nullcontext()

    async def start(self, prediction: Prediction) -> str:
        """Never here: it was begun there."""
        raise Failure(self._unclear(prediction))

    async def look_up(self, prediction: Prediction) -> Unclear:
        """Nobody can tell."""
        return self._unclear(prediction)

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Nobody can tell."""
        return self._unclear(prediction)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Whoever runs it cannot be asked."""

    def _unclear(self, prediction: Prediction) -> Unclear:
        where = f"{prediction.backend} was at {prediction.place}"
        return Unclear(f"it was begun when {where}, and is at {self._url} now")
