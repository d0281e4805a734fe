"""What goes wrong in its own words: refused, broken off. What it has in common with others is
in test_streamed.py. Never a second POST."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from safelight.providers.base import Again, Made, Never, Unclear, Unknowable
from safelight.providers.gemini import Gemini
from tests.doubles.gemini_words import KEY_INVALID, RETRY, error, picture, piece, says
from tests.doubles.heard import followed, prediction
from tests.doubles.sse_end import HOLD, SseEnd, answered, nameless, streamed

SAID = "the vendor's own words"

REFUSALS = [
    (error(400, "INVALID_ARGUMENT", SAID), Never, "invalid_input"),
    (error(400, "INVALID_ARGUMENT", SAID, KEY_INVALID), Never, "provider_refused"),
    (error(400, "FAILED_PRECONDITION", SAID), Never, "provider_refused"),
    (error(401, "UNAUTHENTICATED", SAID), Never, "provider_refused"),
    (error(402, "RESOURCE_EXHAUSTED", SAID), Never, "provider_refused"),
    (error(403, "PERMISSION_DENIED", SAID), Never, "provider_refused"),
    (error(404, "NOT_FOUND", SAID), Never, "model_not_found"),
    (error(429, "RESOURCE_EXHAUSTED", SAID, RETRY), Again, "throttled"),
    (error(500, "INTERNAL", SAID), Again, "provider_failed"),
    (error(503, "UNAVAILABLE", SAID), Again, "throttled"),
]


@pytest.mark.parametrize(("body", "type_", "code"), REFUSALS)
async def test_a_refusal_is_free_and_sent_once(
    provider: Gemini, end: SseEnd, body: Any, type_: Any, code: str
) -> None:
    """What was refused before it began, or failed by Google's own word, is free, by its own
    code, and the SDK does not try again. Only words on the request itself are told on."""
    end.scripts = [answered(body["error"]["code"], body)] * 3
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, type_) and outcome.code == code
    assert outcome.charge is not None and outcome.charge.verdict == "free"
    assert (SAID in outcome.message) == (code == "invalid_input")
    assert len(end.asked) == 1


async def test_a_throttle_says_how_long(provider: Gemini, end: SseEnd) -> None:
    """The provider's own wish is among the details of its error."""
    end.scripts = [answered(429, error(429, "RESOURCE_EXHAUSTED", "no", RETRY))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Again) and outcome.after_seconds == 17


PAGE = b"<html>upstream went away</html>"
UNSURE: list[tuple[int, Any]] = [(status, PAGE) for status in (408, 500, 502, 503, 504)]
UNSURE += [(504, error(504, "DEADLINE_EXCEEDED", "upstream"))]


@pytest.mark.parametrize(("status", "body"), UNSURE)
async def test_a_failure_that_says_nothing_of_the_bill_is_unclear(
    provider: Gemini, end: SseEnd, status: int, body: Any
) -> None:
    """A page of a proxy's is not Google's word that nothing is charged for, nor is that time
    ran out, so it is not sent again, and cannot be looked up."""
    end.scripts = [answered(status, body)] * 3
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Unclear) and "upstream" not in outcome.message
    assert isinstance(await provider.look_up(prediction()), Unknowable)
    assert len(end.asked) == 1


@pytest.mark.parametrize(
    ("status", "code"), [("UNAVAILABLE", "throttled"), ("INTERNAL", "provider_failed")]
)
async def test_an_error_in_the_middle_is_a_fault_that_may_pass(
    provider: Gemini, end: SseEnd, status: str, code: str
) -> None:
    """Its provider has ended the run, and did not say what it cost, which is not nothing."""
    end.scripts = [streamed(says("x"), nameless(error(503, status, SAID)))] * 2
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Again) and outcome.code == code
    assert outcome.charge is not None and outcome.charge.verdict == "unknown"
    assert SAID not in outcome.message
    assert len(end.asked) == 1


async def test_a_picture_that_cannot_be_kept_closes_the_stream(
    provider: Gemini, end: SseEnd
) -> None:
    """Trouble on our side goes through, and leaves no stream that nobody reads."""
    end.scripts = [streamed(piece(picture(b"x")), HOLD)]

    async def full(report: Any) -> None:
        assert isinstance(report, Made)
        raise OSError("no space left")

    asked = prediction(kind="image")
    with pytest.raises(OSError, match="no space"):
        await provider.follow(asked, await provider.start(asked), full)
    async with asyncio.timeout(20):
        await end.left.wait()
