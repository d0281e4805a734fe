"""The provider: begins predictions at Replicate, finds, follows and stops them.

A start is one POST whose input was held to the model's own schema before; what becomes of
one whose answer was lost is looked up in the list of predictions, by its mark, before
anything is begun again. Knows neither tasks nor the store; what it remembers it can do
without.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlencode

import anyio

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from ...machine import now_ms
from ...settings import ProviderSettings
from ..base import (
    Account,
    Delivery,
    Failure,
    Gone,
    InputFile,
    Never,
    Outcome,
    Prediction,
    Report,
    Unclear,
    Unknowable,
    Wanted,
)
from ..http import NOTHING, data_url, refusal_of
from .client import Client, Trouble
from .finding import Sought, TooMany, find, is_ours, marks_of
from .fitting import Fit, fit, params_of
from .following import Following
from .hooks import Hooks
from .inputs import filled
from .memory import Memory, attempt_of
from .models import Model, Models, NoSuchModel
from .pace import Pace, Timings
from .refusals import no_model, of_create, of_question
from .results import files_of, outcome_of
from .wire import Snapshot, read_snapshot

INLINE = 256 * 1024
"""Bytes of a file that goes with the request itself; a larger one is handed over before."""

EVENTS = ["start", "output", "logs", "completed"]

DAY = 86_400_000


class Replicate:
    """Keeps the contract of providers. `public_url` is where Replicate reaches us; without one,
    or with one that it would not take, it is only asked. `clock` is in milliseconds since 1970."""

    resumable = True
    billed = True

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        name: str = "replicate",
        public_url: str | None = None,
        timings: Timings | None = None,
        clock: Callable[[], int] = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.name = name
        self._pace = Pace(timings or Timings(), sleep)
        self._clock = clock
        self._client = Client(settings)
        self._called_at = _reachable(public_url, self._client.url)
        self._models = Models(self._client.described, monotonic, self._pace.timings.schema)
        self._memory = Memory()
        self._hooks = Hooks(
            name,
            self._client.secret,
            settings.webhook_secret,
            clock,
            monotonic,
            self._pace.timings.secret,
        )

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds its connections."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        async with self._client.open(), self._models.open():
            yield

    async def check(self, wanted: Wanted) -> None:
        """Hold what is asked for against what the model takes."""
        fit(wanted, (await self._model(wanted.model)).shape)

    async def schema(self, model: str) -> dict[str, Any] | None:
        """What a model takes as `params`, its files among them by address."""
        shape = (await self._model(model)).shape
        if shape is None:
            return None
        properties, required = params_of(shape)
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    async def start(self, prediction: Prediction) -> str:
        """Begin it, by one request."""
        model, fitted = await self._fitted(prediction)
        values = {**fitted.values, **filled(fitted.placed, await self._addresses(prediction))}
        body: dict[str, Any] = {"input": values}
        if model.route.version is not None:
            body["version"] = model.route.version
        if self._called_at is not None:
            body |= {"webhook": self._webhook(prediction), "webhook_events_filter": EVENTS}
        try:
            begun = await self._client.create(model.route.path, body)
        except Trouble as trouble:
            if trouble.status in (400, 404, 422):
                self._models.forget(prediction.model)
            raise Failure(of_create(trouble, self.name, fitted.names)) from None
        self._memory.known(attempt_of(prediction), begun.id)
        self._memory.course(begun.id).learn(begun)
        return begun.id

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear | Unknowable:
        """Look for it in the list, twice, with a pause in which a request that was on its way
        would have arrived."""
        attempt = attempt_of(prediction)
        known = self._memory.id_of(attempt)
        try:
            if known is not None:
                return await self._still(known)
            sought = await self._sought(prediction)
            for last in (False, True):
                found = await self._find(sought)
                if found is not None:
                    self._memory.known(attempt, found.id)
                    return found.id
                if not last:
                    await self._pace.sleep(self._pace.timings.settle)
        except (Trouble, TooMany) as trouble:
            return Unclear(str(trouble) or "the list of predictions is too long")
        if sought.given is None:
            return Unclear("it cannot be told now what the model was given")
        return Gone("Replicate has no such prediction")

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report until it ends."""
        self._memory.known(attempt_of(prediction), handle)
        with self._memory.following(handle) as course:
            following = Following(self._client, course, prediction, report, self._pace, self.name)
            return await following.run()

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Ask for its end until that is heard; where nobody follows it, until it has come."""
        course = self._memory.course(handle)
        course.canceled = True
        troubles = 0
        while not course.ended:
            try:
                told = await self._client.cancel(handle)
                if told is not None:
                    course.learn(told)
                if course.followers or course.ended:
                    return
                await self._pace.sleep(self._pace.timings.poll)
                course.learn(await self._client.prediction(handle))
            except Trouble as trouble:
                if trouble.status == 404:
                    return
                troubles += 1
                await self._pace.sleep(self._pace.again(troubles, trouble.fault.wait))

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """What an attempt came to, once it has ended."""
        found = handle or await self.look_up(prediction)
        if not isinstance(found, str):
            return None
        try:
            told = await self._client.prediction(found)
        except Trouble:
            return None
        if not told.ended:
            return None
        course = self._memory.course(found)
        files = files_of(told, prediction.kind, self._client.credentials)
        outcome = outcome_of(course, told, len(files), prediction.kind)
        assert not isinstance(outcome, Gone | Unclear), "it has ended"
        return Account(outcome.charge, outcome.usage)

    async def deliver(self, delivery: Delivery) -> None:
        """Take a webhook in: what it says of a prediction that is followed, and which one it
        is of an attempt that is looked for."""
        id = await self._hooks.check(delivery)
        if not self._hooks.is_new(id):
            return
        told = read_snapshot(delivery.body)
        if told is not None:
            self._take(told, delivery)
        self._hooks.taken(id)

    def _take(self, told: Snapshot, delivery: Delivery) -> None:
        course = self._memory.find(told.id)
        if course is not None:
            course.hooked = True
            course.learn(told)
            return
        attempt = marks_of(delivery.query)
        if attempt is not None:
            self._memory.heard(attempt, told.id)

    async def _model(self, name: str) -> Model:
        """Raises Refused."""
        try:
            return await self._models.get(name)
        except NoSuchModel:
            raise Refused(
                "unknown_model",
                f"model: {self.name} has no {shown(name)}, or not for this server's key.",
                [{"field": "model", "found": shown(name), "expected": f"a model of {self.name}"}],
            ) from None
        except Trouble as trouble:
            refusal_of(trouble.fault, self.name)  # an operator should hear of a key that is wrong
            message = f"{self.name} cannot be asked now: {trouble.fault.why}."
            raise Refused("provider_unreachable", message) from None

    async def _fitted(self, prediction: Prediction) -> tuple[Model, Fit]:
        """Raises Failure; nothing was begun then."""
        try:
            model = await self._models.get(prediction.model)
            return model, fit(prediction, model.shape)
        except Refused as refused:
            never = Never("invalid_input", refused.message, charge=NOTHING)
            raise Failure(never) from None
        except NoSuchModel:
            raise Failure(no_model(prediction.model)) from None
        except Trouble as trouble:
            raise Failure(of_question(trouble, self.name)) from None

    async def _addresses(self, prediction: Prediction) -> Sequence[str]:
        """The files it starts from, as a model can take them."""
        try:
            return [await self._address(one) for one in prediction.inputs]
        except Trouble as trouble:
            raise Failure(of_question(trouble, self.name)) from None

    async def _address(self, given: InputFile) -> str:
        data = await anyio.Path(given.path).read_bytes()
        if len(data) <= INLINE:
            return data_url(data, given.media_type)
        return await self._client.upload(given.path.name, data, given.media_type)

    def _webhook(self, prediction: Prediction) -> str:
        marks = urlencode({"task": prediction.uid, "attempt": prediction.attempt})
        return f"{self._called_at}/api/webhooks/{self.name}?{marks}"

    async def _sought(self, prediction: Prediction) -> Sought:
        try:
            given = await self._fitted(prediction)
        except Failure:
            given = None  # the mark may still be found
        began = prediction.began_at
        since = self._clock() - DAY if began is None else began
        slack = round(self._pace.timings.slack * 1000)
        return Sought(attempt_of(prediction), given, since - slack)

    async def _find(self, sought: Sought) -> Snapshot | None:
        """By what a webhook has told, else in the list. Raises Trouble and TooMany."""
        attempt = sought.attempt
        rumour = self._memory.rumour(attempt)
        if rumour is not None and not self._memory.is_anothers(rumour, attempt):
            told = await self._if_there(rumour)
            if told is not None and is_ours(told, sought):
                return told

        async def rest(tries: int, wish: float | None) -> None:
            await self._pace.sleep(self._pace.again(tries, wish))

        is_anothers = partial(self._memory.is_anothers, attempt=attempt)
        return await find(self._client, sought, is_anothers, rest)

    async def _still(self, id: str) -> str | Unknowable:
        """A prediction that was there, unless Replicate says twice that it is not: what became
        of it will then never be told. Raises Trouble."""
        for last in (False, True):
            if await self._if_there(id) is not None:
                return id
            if not last:
                await self._pace.sleep(self._pace.timings.settle)
        return Unknowable(f"{self.name} no longer has the prediction, or not for this key")

    async def _if_there(self, id: str) -> Snapshot | None:
        """A prediction; None if there is no such one. Raises Trouble."""
        try:
            return await self._client.prediction(id)
        except Trouble as trouble:
            if trouble.status == 404:
                return None
            raise


def _reachable(public_url: str | None, api: str) -> str | None:
    """Where webhooks may go: Replicate refuses a create that names an address without TLS. One
    that we reach without TLS ourselves is on this machine, or at least none of the real one's."""
    if public_url is None:
        return None
    secure = public_url.startswith("https:") or not api.startswith("https:")
    return public_url.rstrip("/") if secure else None
