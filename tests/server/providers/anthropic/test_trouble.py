"""What goes wrong in its own words: refused, broken off. What it has in common with others is
in test_streamed.py. Never a second POST."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from safelight.providers.anthropic import Anthropic
from safelight.providers.base import Again, Done, Never, Unclear, Unknowable
from safelight.settings import ProviderSettings
from tests.doubles.anthropic_words import began, breaks, ends, error, ping, says
from tests.doubles.heard import Heard, followed, prediction
from tests.doubles.sse_end import HOLD, SseEnd, answered, streamed

SAID = "the vendor's own words"

REFUSALS = [
    (400, "invalid_request_error", Never, "invalid_input"),
    (401, "authentication_error", Never, "provider_refused"),
    (402, "billing_error", Never, "provider_refused"),
    (403, "permission_error", Never, "provider_refused"),
    (404, "not_found_error", Never, "model_not_found"),
    (413, "request_too_large", Never, "too_large"),
    (422, "invalid_request_error", Never, "invalid_input"),
    (429, "rate_limit_error", Again, "throttled"),
    (529, "overloaded_error", Again, "throttled"),
]


@pytest.mark.parametrize(("status", "kind", "type_", "code"), REFUSALS)
async def test_a_refusal_is_free_and_sent_once(
    provider: Anthropic, end: SseEnd, status: int, kind: str, type_: Any, code: str
) -> None:
    """What was refused before it began is free, by its own code, and the SDK does not try
    again. Only words on the request itself are told on."""
    end.scripts = [answered(status, error(kind, SAID))] * 3
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, type_) and outcome.code == code
    assert outcome.charge is not None and outcome.charge.verdict == "free"
    assert (SAID in outcome.message) == (status in (400, 422))
    assert len(end.asked) == 1


async def test_credit_that_ran_out_is_no_fault_of_the_request(
    provider: Anthropic, end: SseEnd
) -> None:
    """It comes as a 400 of the request's; its owner is not told of our credit."""
    said = "Your credit balance is too low to access the Anthropic API."
    end.scripts = [answered(400, error("invalid_request_error", said))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "provider_refused"
    assert "credit" not in outcome.message and outcome.elsewhere


async def test_content_that_is_filtered_is_told_as_that(provider: Anthropic, end: SseEnd) -> None:
    """It comes as a 400 like any other, and is known by its words alone."""
    said = "Output blocked by content filtering policy"
    end.scripts = [answered(400, error("invalid_request_error", said))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "content_refused"


async def test_a_throttle_says_how_long(provider: Anthropic, end: SseEnd) -> None:
    """The provider's own wish is handed on."""
    end.scripts = [answered(429, error("rate_limit_error"), retry_after="17")]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Again) and outcome.after_seconds == 17


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_failure_of_the_server_is_unclear(
    provider: Anthropic, end: SseEnd, status: int
) -> None:
    """A 5xx does not say that nothing began, so it is not sent again, and cannot be looked up."""
    end.scripts = [answered(status, error("api_error", SAID))] * 3
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Unclear) and SAID not in outcome.message
    assert isinstance(await provider.look_up(prediction()), Unknowable)
    assert len(end.asked) == 1


async def test_a_sign_of_life_is_no_silence(end: SseEnd) -> None:
    """A model that thinks for longer than silence may last, and says so all the while, is
    waited for, though the SDK keeps those signs to itself."""
    end.scripts = [streamed(began(), *[ping(), 0.15] * 12, says("x"), ends())]
    provider = Anthropic(ProviderSettings(url=end.url, key="k", silence_seconds=1.0))
    async with provider.open(), asyncio.timeout(20):
        assert isinstance(await followed(provider, prediction()), Done)


@pytest.mark.parametrize(
    ("kind", "code"), [("overloaded_error", "throttled"), ("api_error", "provider_failed")]
)
async def test_an_error_in_the_middle_is_a_fault_that_may_pass(
    provider: Anthropic, end: SseEnd, kind: str, code: str
) -> None:
    """Its provider has ended the run, and did not say what it cost, which is not nothing."""
    end.scripts = [streamed(began(), says("x"), breaks(kind)), streamed(breaks(kind))]
    for attempt in (1, 2):
        outcome = await followed(provider, prediction(attempt=attempt))
        assert isinstance(outcome, Again) and outcome.code == code
        assert outcome.charge is not None and outcome.charge.verdict == "unknown"


async def test_a_cancel_that_comes_too_late_changes_nothing(
    provider: Anthropic, end: SseEnd
) -> None:
    """What the model had finished is its result, though the stream was still open."""
    last = ends("max_tokens").partition(b"event: message_stop")[0]
    end.scripts = [streamed(began(), last, HOLD)]
    heard, asked = Heard(), prediction()
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, heard))
    async with asyncio.timeout(20):
        await heard.first.wait()  # that it was cut off, which is its last word
        await provider.cancel(asked, handle)
        assert isinstance(await following, Done)
