"""How a response may end, by itself or because we asked for it, and what it comes to then."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from safelight.providers.base import (
    Account,
    Again,
    Done,
    Ended,
    Moved,
    Never,
)
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import SOON, Opening, code_of
from tests.doubles.openai_words import BEGINS, USED, response, stands, writes
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, streamed

ENDS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "failed": (
        response("failed", error={"code": "server_error", "message": "it broke"}),
        "provider_failed",
        True,
    ),
    "throttled in the middle": (
        response("failed", error={"code": "rate_limit_exceeded", "message": "slow down"}),
        "throttled",
        True,
    ),
    "a prompt that is not allowed": (
        response("failed", error={"code": "invalid_prompt", "message": "no"}),
        "content_refused",
        False,
    ),
    "a picture that cannot be read": (
        response("failed", error={"code": "invalid_image", "message": "no picture"}),
        "invalid_input",
        False,
    ),
    "filtered": (
        response("incomplete", "so", incomplete_details={"reason": "content_filter"}),
        "content_refused",
        False,
    ),
    "declined": (words.refusing("I'd rather not."), "content_refused", False),
    "all tokens spent on thinking": (
        response("incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "invalid_input",
        False,
    ),
}


@pytest.mark.parametrize("how", ENDS)
async def test_other_ends_have_their_codes(opening: Opening, end: SseEnd, how: str) -> None:
    """Whatever its last status is, the outcome says why, and what was used if that is told."""
    body, code, again = ENDS[how]
    talk = await opening()
    end.scripts = [answered(404, b""), answered(200, body)]
    outcome = await talk.follow(words.ID)
    assert code_of(outcome) == code
    assert isinstance(outcome, Again if again else Never)
    assert outcome.usage == (USED if body["usage"] else None)
    if body["usage"] is None:  # its own last word is that nothing was used
        assert outcome.charge is not None
        assert outcome.charge.verdict == "free"


async def test_a_text_that_ends_at_max_tokens_is_done(opening: Opening, end: SseEnd) -> None:
    """It is as long as was asked for, and that is said."""
    talk = await opening()
    details = {"reason": "max_output_tokens"}
    last = stands(4, "incomplete", text="so", incomplete_details=details)
    end.scripts = [streamed(*BEGINS, writes(3, "so"), last)]
    assert await talk.run() == Done(usage=USED)
    assert talk.of(Moved)[-1].message == "the text ends at max_tokens"


async def test_a_cancel_is_asked_for_and_its_end_is_heard(opening: Opening, end: SseEnd) -> None:
    """The stream of a cancelled response never says so: the response does, with what it
    used."""
    talk = await opening(timings=msgspec.structs.replace(SOON, silence=1000.0))
    end.scripts = [
        streamed(*BEGINS, writes(3, "so "), HOLD),
        answered(200, response("cancelled")),
        answered(200, response("cancelled", "so it", usage=words.USAGE)),
    ]
    await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    await talk.provider.cancel(talk.asked, words.ID)
    assert await following == Ended(usage=USED)
    assert talk.text == "so it"
    assert end.asked[1].line == "POST /v1/responses/resp_1/cancel HTTP/1.1"


async def test_one_that_is_cancelled_in_the_queue_is_free(opening: Opening, end: SseEnd) -> None:
    """It never began, and says why it costs nothing."""
    talk = await opening()
    end.scripts = [
        streamed(*BEGINS[:2], HOLD),
        answered(200, response("cancelled")),
        answered(200, response("cancelled")),
    ]
    await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    await talk.provider.cancel(talk.asked, words.ID)
    outcome = await following
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None
    assert (outcome.charge.verdict, bool(outcome.charge.reason)) == ("free", True)


async def test_a_cancel_after_the_end_changes_nothing(opening: Opening, end: SseEnd) -> None:
    """What cannot be cancelled any more was cancelled well enough."""
    talk = await opening()
    end.scripts = [answered(400, words.error("already completed")), answered(404, words.error())]
    await talk.provider.cancel(talk.asked, words.ID)
    await talk.provider.cancel(talk.asked, words.ID)


async def test_a_cancel_is_asked_until_it_is_heard(opening: Opening, end: SseEnd) -> None:
    """Trouble on the way is no answer: one that was not heard would let it run on."""
    talk = await opening()
    end.scripts = [
        answered(503, words.error()),
        answered(429, words.error()),
        answered(200, response("cancelled")),
    ]
    await talk.provider.cancel(talk.asked, words.ID)
    assert [asked.line for asked in end.asked] == ["POST /v1/responses/resp_1/cancel HTTP/1.1"] * 3


async def test_one_that_stays_in_the_queue_is_taken_out(opening: Opening, end: SseEnd) -> None:
    """A stream that is torn in its first instant may leave its response queued for ever: it
    is cancelled, and once that is confirmed another attempt costs nothing."""
    now = [100.0]
    timings = msgspec.structs.replace(SOON, stuck=60.0)
    talk = await opening(timings=timings, monotonic=lambda: now[0])
    end.scripts = [
        streamed(BEGINS[0], CUT),
        streamed(stands(1, "queued"), CUT),
        streamed(),
        answered(200, response("queued")),
        streamed(HOLD),
        answered(200, response("queued")),
        answered(200, response("cancelled")),
    ]
    await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    assert len(end.asked) == 5
    now[0] += 61
    end.release()
    outcome = await following
    assert isinstance(outcome, Again)
    assert outcome.charge is not None
    assert (outcome.code, outcome.charge.verdict) == ("provider_failed", "free")
    assert end.asked[-1].line == "POST /v1/responses/resp_1/cancel HTTP/1.1"


async def test_what_it_used_can_be_learnt_later(opening: Opening, end: SseEnd) -> None:
    """Of a response that has ended; of one that runs, or is kept no more, nothing is told."""
    talk = await opening()
    end.scripts = [
        answered(200, response("in_progress")),
        answered(404, words.error()),
        answered(500, b""),
        answered(200, response("cancelled")),
        answered(200, response("cancelled", usage=words.USAGE)),
    ]
    asked = [await talk.provider.account(talk.asked, words.ID) for _ in range(5)]
    assert asked == [None, None, None, None, Account(usage=USED)]
    assert await talk.provider.account(talk.asked, None) is None


async def test_one_that_has_begun_may_take_its_time(opening: Opening, end: SseEnd) -> None:
    """However long ago its stream was torn, what runs is not taken out."""
    now = [100.0]
    timings = msgspec.structs.replace(SOON, stuck=60.0)
    talk = await opening(timings=timings, monotonic=lambda: now[0])
    end.scripts = [
        streamed(*BEGINS, CUT),
        streamed(HOLD),
        answered(200, response("in_progress")),
        streamed(stands(3, "completed", text="so")),
    ]
    await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    now[0] += 1000
    end.release()
    assert await following == Done(usage=USED)
    assert not [asked for asked in end.asked if "cancel" in asked.line]


async def test_a_stream_that_nobody_follows_is_closed(opening: Opening, end: SseEnd) -> None:
    """Once its response was cancelled, nothing is left open."""
    talk = await opening()
    end.scripts = [streamed(BEGINS[0], HOLD), answered(200, response("cancelled"))]
    handle = await talk.start()
    await talk.provider.cancel(talk.asked, handle)
    await asyncio.wait_for(end.left.wait(), 20)
