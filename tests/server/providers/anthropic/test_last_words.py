"""What comes after the model's last word: it cannot be unsaid."""

from __future__ import annotations

import pytest

from safelight.providers.anthropic import Anthropic
from safelight.providers.base import Done
from tests.doubles.anthropic_words import began, breaks, ends, says
from tests.doubles.heard import followed, prediction
from tests.doubles.sse_end import CUT, SseEnd, streamed

LAST = ends().partition(b"event: message_stop")[0]


@pytest.mark.parametrize("after", [breaks(), breaks("api_error"), CUT, b"data: {\n\n"])
async def test_trouble_behind_the_last_word_costs_no_second_run(
    provider: Anthropic, end: SseEnd, after: bytes | str
) -> None:
    """All was said and counted, whatever the connection says then."""
    end.scripts = [streamed(began(), says("x"), LAST, after)]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Done)
    assert outcome.usage is not None
