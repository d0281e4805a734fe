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
from ..denials import greeted, overheard, unable
from ..greeting import Answer, Heard, Welcome, unheard
from ..http import NOTHING, Trouble, data_url, refusal_of
from .client import Client
from .finding import Sought, marks_of
from .fitting import Fit, fit, params_of
from .following import Following
from .hooks import Hooks
from .inputs import filled
from .lookup import LookUp
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
    """Keeps the contract of providers, and Greeting. `public_url` is where Replicate reaches us;
    without one, or with one that it would not take, it is only asked. `clock` is in milliseconds
    since 1970."""

    speaks = "replicate"
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
        self.heard: Heard = unheard
        self._pace = Pace(timings or Timings(), sleep)
        self._clock = clock
        self._client = Client(settings)
        self.url = self._client.url
        self._called_at = _reachable(public_url, self._client.url)
        self._models = Models(self._client.described, monotonic, self._pace.timings.schema)
        self._memory = Memory()
        self._lost = LookUp(self._client, self._memory, self._pace, name)
        self._hooks = Hooks(
            name,
            self._secret,
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

    async def greet(self) -> Answer:
        """Ask whose key it is."""
        try:
            await self._client.account()
        except Trouble as trouble:
            return greeted(trouble.fault, refusal_of(trouble.fault, self.name))
        return Welcome()

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
        """Look for it in the list, unless its id is remembered."""
        describe = partial(self._sought, prediction)
        return await self._lost.look_up(attempt_of(prediction), describe)

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report until it ends."""
        self._memory.known(attempt_of(prediction), handle)
        with self._memory.following(handle) as course:
            following = Following(
                self._client, course, prediction, report, self._pace, self.name, self._overhear
            )
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
            raise unable(trouble.fault, self.name, self.heard) from None

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

    async def _secret(self) -> str:
        try:
            return await self._client.secret()
        except Trouble as trouble:
            self._overhear(trouble)
            raise

    def _overhear(self, trouble: Trouble) -> None:
        overheard(trouble.fault, self.name, self.heard)

    def _webhook(self, prediction: Prediction) -> str:
        marks = urlencode({"task": prediction.uid, "attempt": prediction.attempt})
        return f"{self._called_at}/api/webhooks/{self.name}?{marks}"

    async def _sought(self, prediction: Prediction) -> Sought:
        """What an attempt is told by."""
        try:
            given = await self._fitted(prediction)
        except Failure:
            given = None  # the mark may still be found
        began = prediction.began_at
        since = self._clock() - DAY if began is None else began
        slack = round(self._pace.timings.slack * 1000)
        return Sought(attempt_of(prediction), given, since - slack)


def _reachable(public_url: str | None, api: str) -> str | None:
    """Where webhooks may go: Replicate refuses a create that names an address without TLS. One
    that we reach without TLS ourselves is on this machine, or at least none of the real one's."""
    if public_url is None:
        return None
    secure = public_url.startswith("https:") or not api.startswith("https:")
    return public_url.rstrip("/") if secure else None
