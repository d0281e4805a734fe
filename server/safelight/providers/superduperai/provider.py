"""The provider: starts, finds, follows and leaves the creates of one SuperDuperAI account.

Its create carries no mark of ours, has no key against repeats, and cannot be stopped. What
stands in for all that is the rule of its database, which refuses the same prompt, seed and
model a second time: by these a lost create is found, and a repeat can do no harm.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from safelight_protocol.events import Charge

from ...settings import ProviderSettings
from ..base import (
    Account,
    Again,
    Failure,
    Gone,
    Never,
    Outcome,
    Prediction,
    Report,
    Unclear,
    Wanted,
)
from ..denials import greeted, overheard
from ..greeting import Answer, Denied, Heard, Welcome, unheard
from ..http import NOTHING, Trouble
from ..recent import Recent
from .asking import body_of, references, usage_of
from .client import Client
from .following import Following
from .listening import Lines
from .matching import Claims, handle_of, ids_of, matches
from .offers import Offers
from .pace import Pace, Timings
from .refusals import refusal
from .shapes import Offer

Marks = tuple[str, int]

AWAY = frozenset({404, 409})
"""Answers that mean something of a create, and nothing of what goes before it."""


class SuperDuperAI:
    """Keeps the contract of providers, Checking, Accounting and Greeting for one account."""

    speaks = "superduperai"
    resumable = True
    billed = True

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        name: str = "superduperai",
        timings: Timings | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.heard: Heard = unheard
        self._client = Client(settings)
        self.url = self._client.url
        self._pace = Pace(timings or Timings(), sleep)
        self._offers = Offers(name, self._client, self._pace.timings, monotonic, self._hear)
        self._lines = Lines(self._client, self._pace, name)
        self._claims = Claims()
        self._followed: dict[Marks, Following] = {}
        self._canceled: Recent[Marks, None] = Recent()
        self._drawn_anew: Recent[str, None] = Recent()

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds its connections."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        async with self._client.open(), self._lines.open():
            yield

    async def start(self, prediction: Prediction) -> str:
        """Begin it: one create, never repeated here."""
        offer = await self._offer(prediction)
        body = body_of(prediction, offer, await self._references(prediction))
        try:
            files = await self._client.generate(prediction.kind, body)
        except Trouble as trouble:
            return await self._after(prediction, trouble)
        if not files:
            raise Failure(Unclear("the create was answered without a file"))
        return self._taken(prediction, [file.id for file in files])

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear:
        """The handle if the account has files that were asked for just so. Gone only if there
        are none twice, with a pause in which a create on its way would have arrived."""
        try:
            offer = await self._offers.find(prediction.model)
            if offer is None:
                return Unclear(f"{self.name} has no {prediction.model} any more")
            for last in (False, True):
                found = await self._matching(prediction, offer)
                if len(found) > prediction.n:
                    return Unclear("there are several creates that it could be")
                if len(found) == prediction.n or (found and last):
                    return self._taken(prediction, found)
                if not last:
                    await self._pace.sleep(self._pace.timings.settle)
        except Trouble as trouble:
            return Unclear(f"{self.name} could not be asked: {trouble}")
        return Gone(f"{self.name} has no such file")

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report until all its files have ended."""
        marks = (prediction.uid, prediction.attempt)
        ids = ids_of(handle)
        self._claims.take(prediction, ids)
        following = Following(self._client, self._pace, prediction, ids, report, self._overhear)
        if marks in self._canceled:
            following.cancel()
        self._followed[marks] = following
        try:
            with self._lines.listening(following.boxes):
                return await following.run()
        finally:
            del self._followed[marks]
            self._canceled.discard(marks)
            self._drawn_anew.discard(prediction.uid)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Follow it no longer. It runs on there, and is paid: nothing stops it."""
        marks = (prediction.uid, prediction.attempt)
        following = self._followed.get(marks)
        if following is not None:
            following.cancel()
        else:
            self._canceled.put(marks, None)

    async def greet(self) -> Answer:
        """Ask whose key it is."""
        try:
            await self._client.me()
        except Trouble as trouble:
            return greeted(trouble.fault, refusal(trouble.fault, self.name))
        return Welcome()

    async def check(self, wanted: Wanted) -> None:
        """Raises Refused for what its models do not take."""
        await self._offers.check(wanted)

    async def schema(self, model: str) -> dict[str, Any] | None:
        """What a model takes. Raises Refused."""
        return await self._offers.schema(model)

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """What it cost. A create that was taken in is paid, whatever became of it."""
        found = await self.look_up(prediction) if handle is None else handle
        if isinstance(found, str):
            return Account(usage=usage_of(prediction, len(ids_of(found))))
        if isinstance(found, Gone):
            return Account(charge=Charge("free", reason="its provider never began it"))
        return None

    async def _offer(self, prediction: Prediction) -> Offer:
        """The model to ask for. Raises Failure: nothing has begun."""
        try:
            offer = await self._offers.find(prediction.model)
        except Trouble as trouble:
            raise Failure(self._unbegun(trouble)) from None
        if offer is None or offer.makes != prediction.kind:
            message = f"{self.name} has no model {prediction.model} of kind {prediction.kind}"
            raise Failure(Never("invalid_input", message, charge=NOTHING, elsewhere=True))
        return offer

    async def _references(self, prediction: Prediction) -> list[dict[str, str]]:
        """Its files, uploaded. Raises Failure: nothing has begun."""
        try:
            return await references(self._client, prediction)
        except Trouble as trouble:
            raise Failure(self._unbegun(trouble)) from None

    def _hear(self, denied: Denied) -> None:
        self.heard(denied)

    def _overhear(self, trouble: Trouble) -> None:
        overheard(trouble.fault, self.name, self.heard)

    def _unbegun(self, trouble: Trouble) -> Again | Never:
        """A request that goes before the create came to nothing."""
        refused = None if trouble.fault.status in AWAY else refusal(trouble.fault, self.name)
        if refused is not None:
            return refused
        message = f"{self.name} did not take the request: {trouble}"
        return Again("provider_failed", message, charge=NOTHING, elsewhere=True)

    async def _after(self, prediction: Prediction, trouble: Trouble) -> str:
        """The create was not answered with files: a refusal says so, all else is looked up.
        Raises Failure."""
        refused = refusal(trouble.fault, self.name)
        if isinstance(refused, Again) and refused.fresh_seed:
            return await self._repeated(prediction, refused)
        if refused is not None:
            raise Failure(refused)
        if trouble.fault.status is None:
            raise Failure(Unclear(f"{self.name} was asked, and {trouble}"))
        found = await self.look_up(prediction)
        if isinstance(found, str):
            return found
        if isinstance(found, Gone):
            message = f"{self.name} failed: {trouble}"
            raise Failure(Again("provider_failed", message, charge=NOTHING, elsewhere=True))
        raise Failure(found)

    async def _repeated(self, prediction: Prediction, refused: Again) -> str:
        """It was made before. By an earlier attempt, perhaps, of which nothing was to be seen
        when it was looked for: then that is what runs, and no other seed is drawn."""
        if prediction.attempt > 1 and prediction.uid not in self._drawn_anew:
            found = await self.look_up(prediction)
            if isinstance(found, str):
                return found
            raise Failure(Unclear("an earlier attempt seems to have arrived after all"))
        self._drawn_anew.put(prediction.uid, None)
        raise Failure(refused)

    async def _matching(self, prediction: Prediction, offer: Offer) -> list[str]:
        files = await self._client.files(prediction.kind)
        return matches(files, prediction, offer.name, self._claims)

    def _taken(self, prediction: Prediction, ids: list[str]) -> str:
        self._claims.take(prediction, ids)
        return handle_of(ids)
