"""What tests of the Gemini provider are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from safelight.providers.gemini import Gemini
from safelight.settings import ProviderSettings
from tests.doubles.sse_end import SseEnd


@pytest.fixture
async def provider(end: SseEnd) -> AsyncIterator[Gemini]:
    """The provider, opened."""
    settings = ProviderSettings(
        url=end.url, key="g-secret", request_seconds=5.0, silence_seconds=5.0
    )
    made = Gemini(settings)
    async with made.open():
        yield made
