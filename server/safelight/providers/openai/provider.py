"""The provider: which of OpenAI's ways a prediction goes, and what can be told of a lost one.

Pictures and chat completions are answered once, on the connection that asked; responses
are kept by the server and have an id. Which it was, the handle says. Keeps the contract of
base.py for one configured server; a second one is a second provider with a name of its own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio

from safelight_protocol.codes import Refused
from safelight_protocol.events import Charge

from ...settings import ProviderSettings
from ..base import (
    Account,
    Ended,
    Failure,
    Gone,
    Never,
    Outcome,
    Prediction,
    Report,
    Unclear,
    Unknowable,
    Wanted,
)
from ..denials import STRANGE, greeted
from ..greeting import Answer, Heard, Welcome, unheard
from ..http import NOTHING, fault_of, json_of
from ..recent import Recent
from ..streams import Call, Calls, Stopped, handle_of
from . import refusals, usage
from .answers import at, text_at
from .chat import Talk, Talking, talk
from .client import TROUBLE, URL, Line, Timings, is_own, sdk_of
from .following import COUNTS_NOTHING, TERMINAL
from .images import Painting, Pictures, pictures
from .params import Api, read_options
from .responses import Responses

MOST_SENT = 100_000
"""Requests for pictures that are remembered: whoever is in doubt about one asks at once."""

STOPPED = Charge("unknown", reason="it was stopped, and what it had done by then is not told")


class OpenAI:
    """One server that speaks as OpenAI does. One that wants no key bills nobody, so what is
    lost there is begun again."""

    speaks = "openai"
    resumable = True

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        name: str = "openai",
        timings: Timings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.name = name
        self.url = settings.url or URL
        self.heard: Heard = unheard
        self.billed = settings.key is not None
        self._settings = settings
        self._timings = timings or Timings.of(settings)
        self._monotonic = monotonic
        self._sleep = sleep
        self._own = is_own(settings)
        self._writes: Api = settings.api or ("responses" if self._own else "chat")
        self._calls: Calls[Pictures | Talk] = Calls(name)
        self._sent: Recent[str, None] = Recent(MOST_SENT)
        self._line: Line | None = None
        self._kept: Responses | None = None

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds the SDK's client."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        timings = self._timings
        async with (
            sdk_of(self._settings, timings.silence) as sdk,
            sdk_of(self._settings, timings.whole) as painting,
        ):
            self._line = Line(self.name, sdk, painting, timings, self._own, self.billed)
            self._kept = Responses(self._line, self._sleep, self._monotonic)
            try:
                yield
            finally:
                await self._kept.close()

    async def greet(self) -> Answer:
        """Ask for its models. Some servers that speak like OpenAI tell them to anybody."""
        assert self._line is not None, "it is open"
        try:
            with anyio.fail_after(self._timings.answer):
                answer = await self._line.sdk.models.with_raw_response.list()
        except (*TROUBLE, TimeoutError) as trouble:
            return greeted(fault_of(trouble), refusals.of_create(trouble, self.name, ""))
        said = json_of(answer.http_response.content)
        if not isinstance(said, dict) or "data" not in said:
            return STRANGE
        return Welcome(proves_key=self._own)

    async def check(self, wanted: Wanted) -> None:
        """Hold the parameters against what is known of them here."""
        self._options(wanted)

    async def schema(self, model: str) -> dict[str, Any] | None:
        """Such servers do not say what they take."""
        return None

    async def start(self, prediction: Prediction) -> str:
        """Create a response, or get ready what `follow` will send."""
        api, model = self._api(prediction), self._model(prediction)
        try:
            options = self._options(prediction)
        except Refused as refused:
            never = Never("invalid_input", refused.message, charge=NOTHING)
            raise Failure(never) from None
        if api == "responses":
            return await self._responses.start(prediction, model, options)
        mark = self._mark(prediction)
        request: Pictures | Talk
        if api == "images":
            request = await pictures(prediction, model, options, mark)
        else:
            request = await talk(prediction, model, options, mark, own=self._own)
        return self._calls.ready(prediction, request)

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear | Unknowable:
        """Nothing is listed anywhere. A picture is sent only when its handle is saved, and
        whoever has a handle is followed first: one that was not, was never sent."""
        if not self.billed:
            return Gone(f"{self.name} keeps nothing, and bills nobody")
        if self._api(prediction) == "images" and self._mark(prediction) not in self._sent:
            return Gone("it was never sent")
        return self._calls.unknowable()

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report until it ends."""
        if not self._is_ours(prediction, handle):
            return await self._responses.follow(handle, report)
        if self._api(prediction) == "images":
            self._sent.put(handle, None)
        outcome = await self._calls.follow(handle, partial(self._talk, report))
        if not isinstance(outcome, Unclear):
            self._sent.discard(handle)
        elif not self.billed:
            return Gone(outcome.message)
        return outcome

    def is_fleeting(self, handle: str) -> bool:
        """Whether its answer comes to this process, or to nobody."""
        return self._calls.has(handle)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Ask for its end, or hang up."""
        if self._is_ours(prediction, handle):
            self._calls.cancel(handle)
        else:
            await self._responses.cancel(handle)

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """What a response used; of all else nothing can be learnt."""
        if handle is None or self._is_ours(prediction, handle):
            return None
        try:
            response = await self._responses.look(handle)
        except (*TROUBLE, TimeoutError):
            return None
        status, used = text_at(response, "status"), usage.of_response(at(response, "usage"))
        if status == "failed" and used is None:
            return Account(charge=COUNTS_NOTHING)
        return None if used is None or status not in TERMINAL else Account(usage=used)

    async def _talk(
        self, report: Report, call: Call[Pictures | Talk], request: Pictures | Talk
    ) -> Outcome:
        assert self._line is not None, "it is open"
        try:
            if isinstance(request, Pictures):
                return await Painting(self._line, call, request, report).run()
            return await Talking(self._line, call, request, report).run()
        except Stopped:
            return Ended(charge=STOPPED if self.billed else None)

    @property
    def _responses(self) -> Responses:
        assert self._kept is not None, "it is open"
        return self._kept

    def _api(self, wanted: Wanted) -> Api:
        return self._writes if wanted.kind == "text" else "images"

    def _options(self, wanted: Wanted) -> Any:
        model = self._model(wanted)
        return read_options(wanted, self._api(wanted), own=self._own, model=model)

    def _model(self, wanted: Wanted) -> str:
        """What the server calls it: `ollama/llama3.2` is `llama3.2` at the provider `ollama`."""
        return wanted.model.removeprefix(f"{self.name}/")

    def _mark(self, prediction: Prediction) -> str:
        return handle_of(prediction, self.name)

    def _is_ours(self, prediction: Prediction, handle: str) -> bool:
        """Whether the handle is a mark of ours, and no id of a response."""
        return handle == self._mark(prediction)
