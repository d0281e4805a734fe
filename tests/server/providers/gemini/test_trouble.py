"""What goes wrong: refused, lost, silent, broken off, canceled. Never a second POST."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from safelight.providers.base import Again, Ended, Made, Never, Unclear, Unknowable
from safelight.providers.gemini import Gemini
from safelight.settings import ProviderSettings
from safelight_protocol.prices import used
from tests.doubles.gemini_words import KEY_INVALID, RETRY, counts, error, picture, piece, says
from tests.doubles.heard import Heard, followed, prediction
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, nameless, streamed

SAID = "the vendor's own words"

REFUSALS = [
    (error(400, "INVALID_ARGUMENT", SAID), Never, "invalid_input"),
    (error(400, "INVALID_ARGUMENT", SAID, KEY_INVALID), Never, "provider_refused"),
    (error(400, "FAILED_PRECONDITION", SAID), Never, "provider_refused"),
    (error(401, "UNAUTHENTICATED", SAID), Never, "provider_refused"),
    (error(402, "RESOURCE_EXHAUSTED", SAID), Never, "provider_refused"),
    (error(403, "PERMISSION_DENIED", SAID), Never, "provider_refused"),
    (error(404, "NOT_FOUND", SAID), Never, "provider_failed"),
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


async def test_an_answer_that_is_lost_is_unclear(provider: Gemini, end: SseEnd) -> None:
    """A connection that is cut before the answer is not asked again."""
    end.scripts = [[CUT]] * 3
    assert isinstance(await followed(provider, prediction()), Unclear)
    assert len(end.asked) == 1


async def test_a_redirect_is_not_followed(provider: Gemini, end: SseEnd) -> None:
    """Neither prompt nor key goes to another address than that of the settings."""
    there = answered(307, {}, location=f"{end.url}/elsewhere")
    end.scripts = [there, streamed(says("x", finish="STOP"))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "provider_failed"
    assert len(end.asked) == 1


async def test_nobody_there_is_no_doubt() -> None:
    """A connection that never came about began nothing, and may be tried again."""
    provider = Gemini(ProviderSettings(url="http://127.0.0.1:1", key="k"))
    async with provider.open():
        outcome = await followed(provider, prediction())
    assert isinstance(outcome, Again) and outcome.code == "provider_unreachable"
    assert outcome.charge is not None and outcome.charge.verdict == "free"


@pytest.mark.parametrize("script", [[HOLD], streamed(says("x"), HOLD)])
async def test_silence_has_an_end(end: SseEnd, script: Any) -> None:
    """A server that says nothing, at first or after a while, is given up as unclear, and its
    connection is closed."""
    end.scripts = [script]
    settings = ProviderSettings(url=end.url, key="k", silence_seconds=0.05)
    provider = Gemini(settings)
    async with provider.open():
        assert isinstance(await followed(provider, prediction()), Unclear)
    async with asyncio.timeout(5):
        await end.left.wait()


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


async def test_a_cancel_closes_the_stream(provider: Gemini, end: SseEnd) -> None:
    """It ends at once with what it had used by the last counts, and the connection is closed."""
    end.scripts = [streamed(says("x", **counts(written=2)), HOLD)]
    heard, asked = Heard(), prediction()
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, heard))
    async with asyncio.timeout(5):
        await heard.first.wait()
        await provider.cancel(asked, handle)
        await provider.cancel(asked, handle)
        outcome = await following
        await end.left.wait()
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None and outcome.charge.verdict == "estimated"
    assert outcome.usage == used({"input_token": 10, "cached_token": 0, "output_token": 2})


async def test_a_cancel_finds_a_model_that_still_thinks(provider: Gemini, end: SseEnd) -> None:
    """Before a word has come it works as well; what it cost is unknown then."""
    end.scripts = [[HOLD]]
    asked = prediction(kind="image")
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, Heard()))
    async with asyncio.timeout(5):
        await end.holding.wait()
        await provider.cancel(asked, handle)
        outcome = await following
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None and outcome.charge.verdict == "unknown"


async def test_no_handle_is_followed_twice(provider: Gemini, end: SseEnd) -> None:
    """A second `follow`, and one by another process, sends nothing and is unclear."""
    end.scripts = [streamed(says("x", finish="STOP"))] * 2
    asked = prediction()
    handle = await provider.start(asked)
    await provider.follow(asked, handle, Heard())
    assert isinstance(await provider.follow(asked, handle, Heard()), Unclear)
    assert isinstance(await provider.follow(asked, "gemini-u9-1", Heard()), Unclear)
    assert len(end.asked) == 1


async def test_followed_from_outside_no_more_it_leaves_nothing_open(
    provider: Gemini, end: SseEnd
) -> None:
    """A `follow` that is cut off closes its connection."""
    end.scripts = [streamed(says("x"), HOLD)]
    heard, asked = Heard(), prediction()
    following = asyncio.create_task(provider.follow(asked, await provider.start(asked), heard))
    async with asyncio.timeout(5):
        await heard.first.wait()
        following.cancel()
        await asyncio.wait([following])
        await end.left.wait()
    assert following.cancelled()


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
    async with asyncio.timeout(5):
        await end.left.wait()
