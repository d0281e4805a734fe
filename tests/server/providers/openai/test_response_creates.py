"""The one create of a response: its id, and what is not known where that did not come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.providers.base import (
    Delta,
    Done,
    Unclear,
    Unknowable,
)
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import SOON, Opening, code_of
from tests.doubles.openai_words import BEGINS, USED, stands, writes
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, event, streamed


async def test_text_comes_as_it_is_written(opening: Opening, end: SseEnd) -> None:
    """Each piece is reported; what was used comes with the end; one request was made."""
    talk = await opening(model="openai/m", params={"system": "be brief", "max_tokens": 50})
    last = stands(5, "completed", text="so it is")
    end.scripts = [streamed(*BEGINS, writes(3, "so "), writes(4, "it is"), last)]
    outcome = await talk.run()
    assert outcome == Done(usage=USED)
    assert [one.text for one in talk.of(Delta)] == ["so ", "it is"]
    assert [asked.line for asked in end.asked] == ["POST /v1/responses HTTP/1.1"]
    assert end.sent() == {
        "model": "m",
        "input": "a lamp",
        "instructions": "be brief",
        "max_output_tokens": 50,
        "metadata": {"safelight_task": "u1", "safelight_attempt": "1"},
        "background": True,
        "store": True,
        "stream": True,
    }


async def test_the_handle_is_the_id_before_anything_is_written(
    opening: Opening, end: SseEnd
) -> None:
    """`start` returns at the first event, and what comes after it waits for who follows."""
    talk = await opening()
    end.scripts = [streamed(BEGINS[0], HOLD, writes(3, "on"), stands(4, "completed", text="on"))]
    assert await talk.start() == words.ID
    assert not talk.reports
    end.release()
    assert isinstance(await talk.follow(), Done)
    assert talk.text == "on"


LOST: dict[str, list[Any]] = {
    "cut before the answer": [CUT],
    "cut before the id": streamed(CUT),
    "a stream without an id": streamed(),
    "a web page": answered(200, b"<html>", x="y"),
    "a server's own trouble": answered(500, words.error("The server had an error")),
    "a gateway's": answered(502, b"bad gateway"),
}


@pytest.mark.parametrize("how", LOST)
async def test_a_create_that_may_have_begun_is_never_repeated(
    opening: Opening, end: SseEnd, how: str
) -> None:
    """It is in doubt, nobody can be asked, and one request was made."""
    talk = await opening()
    end.scripts = [list(LOST[how])]
    assert isinstance(await talk.run(), Unclear)
    assert isinstance(await talk.look_up(), Unknowable)
    assert len(end.asked) == 1


async def test_a_create_that_nobody_answers_is_in_doubt(opening: Opening, end: SseEnd) -> None:
    """It is waited for as long as one answer may take."""
    talk = await opening(timings=msgspec.structs.replace(SOON, answer=0.1))
    end.scripts = [[HOLD]]
    assert isinstance(await talk.run(), Unclear)


async def test_an_error_in_place_of_the_first_event_is_a_refusal(
    opening: Opening, end: SseEnd
) -> None:
    """The server says itself that it failed."""
    talk = await opening()
    said = {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None}
    end.scripts = [streamed(event("error", said))]
    assert code_of(await talk.run()) == "throttled"
