"""Text by the Responses API: streams that end when they like, and a status that is the end."""

from __future__ import annotations

import msgspec
import pytest

from safelight.providers.base import (
    Delta,
    Done,
    Moved,
    Unclear,
    Unknowable,
)
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import SOON, Opening
from tests.doubles.openai_words import BEGINS, USED, response, stands, told, writes
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, streamed


async def test_it_is_told_to_wait_only_while_it_waits(opening: Opening, end: SseEnd) -> None:
    """In the queue the message says so, and from its beginning on it does not."""
    talk = await opening()
    end.scripts = [streamed(*BEGINS, BEGINS[1], writes(3, "so"), stands(4, "completed", text="so"))]
    await talk.run()
    assert talk.reports == [Moved(message="waits at the provider"), Moved(), Delta("so", part=True)]


async def test_a_stream_that_is_cut_goes_on_behind_its_last_event(
    opening: Opening, end: SseEnd
) -> None:
    """It is taken up with `starting_after`, and no piece is told twice even if one is sent
    twice."""
    talk = await opening()
    rest = (writes(4, "two "), writes(5, "three"), stands(6, "completed", text="one two three"))
    end.scripts = [
        streamed(*BEGINS, writes(3, "one "), writes(4, "two "), CUT),
        streamed(*rest),
    ]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "one two three"
    line = "GET /v1/responses/resp_1?starting_after=4&stream=true HTTP/1.1"
    assert end.asked[1].line == line


async def test_after_a_restart_it_is_heard_from_its_beginning(
    opening: Opening, end: SseEnd
) -> None:
    """A process that knows nothing but the handle hears all of it, in the same order."""
    talk = await opening()
    last = stands(5, "completed", text="so it is")
    end.scripts = [streamed(*BEGINS, writes(3, "so "), writes(4, "it is"), last)]
    assert await talk.follow(words.ID) == Done(usage=USED)
    assert talk.text == "so it is"
    assert end.asked[0].line == "GET /v1/responses/resp_1?stream=true HTTP/1.1"


async def test_where_no_stream_is_had_it_is_asked(opening: Opening, end: SseEnd) -> None:
    """Text that no stream told comes with the end, whole."""
    talk = await opening()
    end.scripts = [
        answered(400, words.error("not created with stream")),
        answered(200, response("in_progress")),
        answered(200, response(text="all at once")),
    ]
    assert await talk.follow(words.ID) == Done(usage=USED)
    assert [one.text for one in talk.of(Delta)] == ["all at once"]


async def test_what_the_stream_left_out_is_told_at_the_end(opening: Opening, end: SseEnd) -> None:
    """The end has the whole text; the part that was told is not told again."""
    talk = await opening()
    end.scripts = [streamed(*BEGINS, writes(3, "so "), stands(4, "completed", text="so it is"))]
    await talk.run()
    assert [one.text for one in talk.of(Delta)] == ["so ", "it is"]


async def test_after_silence_it_is_asked(opening: Opening, end: SseEnd) -> None:
    """A stream that hangs is given up, and the response itself is asked."""
    talk = await opening(timings=msgspec.structs.replace(SOON, silence=0.1))
    end.scripts = [
        streamed(*BEGINS, writes(3, "so "), HOLD),
        streamed(HOLD),
        answered(200, response(text="so it is")),
    ]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so it is"


async def test_the_end_of_a_stream_is_no_end(opening: Opening, end: SseEnd) -> None:
    """A stream that ends well before its response does is taken up again."""
    talk = await opening()
    end.scripts = [
        streamed(*BEGINS, writes(3, "so ")),
        answered(500, b"oops"),
        answered(500, b"oops"),
        streamed(writes(4, "it is"), stands(5, "completed", text="so it is")),
    ]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so it is"


async def test_an_answer_without_a_bottom_is_trouble_that_passes(
    opening: Opening, end: SseEnd
) -> None:
    """JSON that is nested beyond reading, in an event or in an answer, loses nothing."""
    talk = await opening()
    deep = b"[" * 100_000 + b"]" * 100_000
    end.scripts = [
        streamed(*BEGINS, b"event: x\ndata: " + deep + b"\n\n"),
        answered(200, b'{"status":' + deep + b"}"),
        answered(200, b'{"status":' + deep + b"}"),
        streamed(stands(5, "completed", text="so it is")),
    ]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so it is"


async def test_one_that_is_kept_no_more_is_lost_for_good(opening: Opening, end: SseEnd) -> None:
    """Nobody can tell what became of it, and nobody asks for ever: what is missing three
    times in a row is believed to be gone."""
    talk = await opening()
    end.scripts = [answered(404, words.error("Response not found.")) for _ in range(6)]
    assert isinstance(await talk.follow(words.ID), Unclear)
    assert not end.scripts
    assert isinstance(await talk.look_up(), Unknowable)


async def test_what_a_report_raises_goes_through(opening: Opening, end: SseEnd) -> None:
    """A defect of ours is no trouble of the server's: it is neither hidden nor repeated."""
    talk = await opening()

    async def broken(report: object) -> None:
        raise ValueError("ours")

    end.scripts = [streamed(*BEGINS, writes(3, "so "), HOLD)]
    handle = await talk.start()
    with pytest.raises(ValueError, match="ours"):
        await talk.provider.follow(talk.asked, handle, broken)
    end.scripts = [answered(404, b""), answered(200, response(text="so"))]
    with pytest.raises(ValueError, match="ours"):
        await talk.provider.follow(talk.asked, handle, broken)


async def test_events_that_nobody_knows_are_no_trouble(opening: Opening, end: SseEnd) -> None:
    """New types of events, and fields that are missing, are data."""
    talk = await opening()
    strange = told(3, "something.new", why={"not": []}), told(4, "output_text.delta", delta=None)
    end.scripts = [streamed(*BEGINS, *strange, stands(5, "completed", text="so"))]
    assert await talk.run() == Done(usage=USED)
    assert talk.text == "so"
