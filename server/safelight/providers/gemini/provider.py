"""The provider: the SDK's client, and how an attempt is asked of it and heard.

The client is given all that it would look for in the environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types
from google.genai.client import DebugConfig

from ...settings import ProviderSettings
from ..base import Outcome, Prediction
from ..http import Fault
from ..streamed import Streamed
from ..streams import NO_KEY, Call, client
from .asking import Request, request_of
from .hearing import Heard
from .refusals import is_full, refused

URL = "https://generativelanguage.googleapis.com"
VERSION = "v1"
REAL = DebugConfig(client_mode=None, replays_directory=None, replay_id=None)
"""The network, whatever the environment says of recordings."""


class Gemini(Streamed[Request]):
    """Keeps the contract of providers for one account, or one server that speaks like it."""

    speaks = "gemini"
    sdk_errors = (errors.APIError, httpx2.HTTPError)
    status_error = errors.APIError

    def __init__(self, settings: ProviderSettings, *, name: str = "gemini") -> None:
        super().__init__(name, settings.url or URL, settings.request_seconds)
        self._settings = settings
        self._sdk: genai.Client | None = None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """It is given both of its HTTP clients, lest it choose others: one on aiohttp, where
        that is installed, sends a request again by itself."""
        url = self.url
        with httpx2.Client(verify=False, trust_env=False) as unused:
            async with client(url, self._settings.silence_seconds) as http:
                options = types.HttpOptions(
                    base_url=url,
                    api_version=VERSION,
                    httpx_client=unused,
                    httpx_async_client=http,
                )
                key = self._settings.key or NO_KEY
                self._sdk = genai.Client(
                    vertexai=False, api_key=key, http_options=options, debug_config=REAL
                )
                try:
                    yield
                finally:
                    self._sdk = None

    async def _lists(self) -> bool:
        assert self._sdk is not None, "it is open"
        listed = await self._sdk.aio.models.list(config=types.ListModelsConfig(page_size=1))
        return bool(listed.page)

    async def _request(self, prediction: Prediction) -> Request:
        return await request_of(prediction, self.name)

    def _hearing(self, prediction: Prediction) -> Heard:
        return Heard(prediction.kind)

    async def _answer(self, call: Call[Request], request: Request) -> AsyncIterator[Any]:
        """The SDK sends the request as the first piece is asked for."""
        sdk = self._sdk
        assert sdk is not None, "it is open"
        return await sdk.aio.models.generate_content_stream(
            model=request.model, contents=request.contents, config=request.config
        )

    def _refused(self, fault: Fault) -> Outcome:
        return refused(fault, self.name)

    def _is_full(self, error: Any) -> bool:
        return is_full(error.details)
