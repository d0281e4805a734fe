"""The provider: one POST for an attempt, and its stream to the end.

Nothing is kept there and no stream can be taken up again, so what is lost is unknowable. A
cancel closes the connection, which is all that can be done; what it had used by then is told
as an estimate, for the count comes with the last words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anthropic
import httpx2

from ...settings import ProviderSettings
from ..base import Outcome, Prediction, Report, Unclear, Unknowable
from ..http import fault_of
from ..streams import Call, Calls, Garbled, Stopped, client
from .asking import asked
from .hearing import Heard
from .refusals import broken_off, ended, refused

URL = "https://api.anthropic.com"
NO_KEY = "none"
"""What is sent where the settings have no key, as for a proxy that has one: an SDK without a
key looks for one in the environment."""

TOLD = (anthropic.AnthropicError, httpx2.HTTPError)
"""What the SDK raises that says something; whatever else it raises is of a stream that is none."""


class Anthropic:
    """Keeps the contract of providers for one account, or one server that speaks like it."""

    resumable = False
    billed = True

    def __init__(self, settings: ProviderSettings, *, name: str = "anthropic") -> None:
        self.name = name
        self._settings = settings
        self._calls: Calls[dict[str, Any]] = Calls(name)
        self._sdk: anthropic.AsyncAnthropic | None = None

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds the SDK's client."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        url = self._settings.url or URL
        async with client(url, self._settings.silence_seconds) as http:
            self._sdk = anthropic.AsyncAnthropic(
                api_key=self._settings.key or NO_KEY,
                base_url=url,
                max_retries=0,
                http_client=http,
            )
            try:
                yield
            finally:
                self._sdk = None

    async def start(self, prediction: Prediction) -> str:
        """Make the request ready. It is sent when it is followed."""
        return self._calls.ready(prediction, await asked(prediction, self.name))

    async def look_up(self, prediction: Prediction) -> Unknowable:
        """Nobody can tell."""
        return self._calls.unknowable()

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Send it, and report the stream until it ends."""

        async def talk(call: Call[dict[str, Any]], request: dict[str, Any]) -> Outcome:
            heard = Heard()
            try:
                return await self._talk(call, request, heard, report)
            except Stopped:
                return heard.outcome() if heard.has_ended else ended(heard.usage())
            except anthropic.APIStatusError as error:
                if call.begun:
                    return broken_off(error.body, self.name)
                return refused(fault_of(error), self.name)
            except (*TOLD, Garbled) as error:
                return self._lost(error, heard)

        return await self._calls.follow(handle, talk)

    def is_fleeting(self, handle: str) -> bool:
        """Whether its answer comes to this process, or to nobody."""
        return self._calls.has(handle)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Close the connection."""
        self._calls.cancel(handle)

    async def _talk(
        self, call: Call[dict[str, Any]], request: dict[str, Any], heard: Heard, report: Report
    ) -> Outcome:
        sdk = self._sdk
        assert sdk is not None, "it is open"
        stream = await call.wait(lambda: sdk.messages.create(**request, stream=True))
        async for event in call.each(stream, told=TOLD):
            await heard.take(event, report)
        return heard.outcome()

    def _lost(self, error: Exception, heard: Heard) -> Outcome:
        """The answer broke off. If the model had ended before, nothing is lost."""
        if heard.has_ended:
            return heard.outcome()
        if isinstance(error, Garbled):
            raise error
        fault = fault_of(error)
        if not fault.sent:
            return refused(fault, self.name)
        return Unclear(f"{self.name} may have run it, but {fault.why}")
