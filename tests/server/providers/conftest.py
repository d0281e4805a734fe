"""What tests of providers have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.doubles.sse_end import SseEnd, sse_end


@pytest.fixture
async def end() -> AsyncIterator[SseEnd]:
    """The server's end."""
    async with sse_end() as one:
        yield one
