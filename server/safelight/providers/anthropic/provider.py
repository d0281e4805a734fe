"""The provider: the SDK's client, and how an attempt is asked of it and heard.

The count of what is written comes with the last words, so of what is left before them less
is known than is billed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import httpx2

from ...settings import ProviderSettings
from ..base import Outcome, Prediction
from ..http import Fault, json_of
from ..streamed import Streamed
from ..streams import NO_KEY, Call, client
from .asking import request_of
from .hearing import Heard
from .refusals import is_full, refused

URL = "https://api.anthropic.com"


class Anthropic(Streamed[dict[str, Any]]):
    """Keeps the contract of providers for one account, or one server that speaks like it."""

    speaks = "anthropic"
    sdk_errors = (anthropic.AnthropicError, httpx2.HTTPError)
    status_error = anthropic.APIStatusError

    def __init__(self, settings: ProviderSettings, *, name: str = "anthropic") -> None:
        super().__init__(name, settings.url or URL, settings.request_seconds)
        self._settings = settings
        self._sdk: anthropic.AsyncAnthropic | None = None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        url = self.url
        async with client(url, self._settings.silence_seconds) as http:
            self._sdk = anthropic.AsyncAnthropic(
                api_key=self._settings.key or NO_KEY,
                base_url=url,
                max_retries=0,
                http_client=http,
            )
            self._sdk._custom_headers = {}  # not those of ANTHROPIC_CUSTOM_HEADERS
            try:
                yield
            finally:
                self._sdk = None

    async def _lists(self) -> bool:
        assert self._sdk is not None, "it is open"
        answer = await self._sdk.models.with_raw_response.list(limit=1)
        said = json_of(answer.http_response.content)
        return isinstance(said, dict) and isinstance(said.get("data"), list)

    async def _request(self, prediction: Prediction) -> dict[str, Any]:
        return await request_of(prediction, self.name)

    def _hearing(self, prediction: Prediction) -> Heard:
        return Heard()

    async def _answer(
        self, call: Call[dict[str, Any]], request: dict[str, Any]
    ) -> AsyncIterator[Any]:
        sdk = self._sdk
        assert sdk is not None, "it is open"
        return await call.wait(lambda: sdk.messages.create(**request, stream=True))

    def _refused(self, fault: Fault) -> Outcome:
        return refused(fault, self.name)

    def _is_full(self, error: Any) -> bool:
        return is_full(error.body)
