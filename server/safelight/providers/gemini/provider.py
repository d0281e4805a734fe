"""The provider: one POST for an attempt, and its stream to the end.

Nothing is kept there and no stream can be taken up again, so what is lost is unknowable. A
cancel closes the connection, which is all that can be done; what it had used by what came
last is told as an estimate.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
from google import genai
from google.genai import errors, types

from ...settings import ProviderSettings
from ..base import Outcome, Prediction, Report, Unclear, Unknowable
from ..http import fault_of
from ..streams import Call, Calls, Garbled, Stopped, client
from .asking import Request, asked
from .hearing import Heard
from .refusals import broken_off, ended, refused

URL = "https://generativelanguage.googleapis.com"
VERSION = "v1"
NO_KEY = "none"
"""What is sent where the settings have no key, as for a proxy that has one: an SDK without a
key looks for one in the environment."""

TOLD = (errors.APIError, httpx2.HTTPError)
"""What the SDK raises that says something; whatever else it raises is of a stream that is none."""


class Gemini:
    """Keeps the contract of providers for one account, or one server that speaks like it."""

    resumable = False
    billed = True

    def __init__(self, settings: ProviderSettings, *, name: str = "gemini") -> None:
        self.name = name
        self._settings = settings
        self._calls: Calls[Request] = Calls(name)
        self._sdk: genai.Client | None = None

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds the SDK's client. It is given both of its HTTP clients, lest it choose others:
        one on aiohttp, where that is installed, sends a request again by itself."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        url = self._settings.url or URL
        with httpx2.Client(verify=False, trust_env=False) as unused:
            async with client(url, self._settings.silence_seconds) as http:
                options = types.HttpOptions(
                    base_url=url,
                    api_version=VERSION,
                    httpx_client=unused,
                    httpx_async_client=http,
                )
                key = self._settings.key or NO_KEY
                self._sdk = genai.Client(vertexai=False, api_key=key, http_options=options)
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
        """Send it, and report the answer until it ends."""

        async def talk(call: Call[Request], request: Request) -> Outcome:
            heard = Heard(prediction.kind)
            try:
                return await self._talk(call, request, heard, report)
            except Stopped:
                return heard.outcome() if heard.has_ended else ended(heard.usage())
            except errors.APIError as error:
                if call.begun:
                    return broken_off(error.details, self.name)
                return refused(fault_of(error), self.name)
            except (httpx2.HTTPError, Garbled) as error:
                return self._lost(error, heard)

        return await self._calls.follow(handle, talk)

    def is_fleeting(self, handle: str) -> bool:
        """Whether its answer comes to this process, or to nobody."""
        return self._calls.has(handle)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Close the connection."""
        self._calls.cancel(handle)

    async def _talk(
        self, call: Call[Request], request: Request, heard: Heard, report: Report
    ) -> Outcome:
        """The SDK sends the request as the first piece is asked for."""
        sdk = self._sdk
        assert sdk is not None, "it is open"
        stream = await sdk.aio.models.generate_content_stream(
            model=request.model, contents=request.contents, config=request.config
        )
        async for piece in call.each(stream, told=TOLD):
            await heard.take(piece, report)
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
