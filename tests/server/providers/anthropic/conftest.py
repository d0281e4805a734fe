"""What tests of the Anthropic provider are made of."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from safelight.providers.anthropic import Anthropic
from safelight.settings import ProviderSettings
from tests.doubles.sse_end import SseEnd


@pytest.fixture
async def provider(end: SseEnd) -> AsyncIterator[Anthropic]:
    """The provider, opened, and patient for a fraction of a second."""
    settings = ProviderSettings(
        url=end.url, key="sk-secret", request_seconds=5.0, silence_seconds=5.0
    )
    made = Anthropic(settings)
    async with made.open():
        yield made
