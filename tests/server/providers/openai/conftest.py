"""What tests of the OpenAI provider are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from safelight.providers.openai import OpenAI
from safelight.settings import ProviderSettings
from tests.doubles.openai_talk import SOON, Opening, Talk
from tests.doubles.sse_end import SseEnd


@pytest.fixture
async def opening(end: SseEnd) -> AsyncIterator[Opening]:
    """Makes a talk with a provider that is open: `api`, `key` and `timings` are of the
    provider, all else of the prediction."""
    async with AsyncExitStack() as stack:

        async def opened(**fields: Any) -> Talk:
            more = {name: fields.pop(name) for name in ("monotonic",) if name in fields}
            api, key = fields.pop("api", "responses"), fields.pop("key", "sk-secret")
            timings = fields.pop("timings", SOON)
            settings = ProviderSettings(url=end.url + "/v1", key=key, api=api)
            provider = OpenAI(settings, name=fields.pop("name", "openai"), timings=timings, **more)
            await stack.enter_async_context(provider.open())
            return Talk(provider, **fields)

        yield opened
