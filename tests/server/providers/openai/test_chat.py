"""Text by chat completions: one request, one answer, and servers that know less than others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import (
    Again,
    Delta,
    Done,
    Ended,
    Gone,
    InputFile,
    Moved,
    Never,
    Unclear,
    Unknowable,
)
from safelight_protocol.prices import used
from tests.doubles import openai_words as words
from tests.doubles.openai_talk import Opening, code_of
from tests.doubles.openai_words import DONE, USED, chunk, counts
from tests.doubles.sse_end import CUT, HOLD, SseEnd, answered, nameless, streamed

WHOLE = (chunk(""), chunk("so "), chunk("it is"), chunk(finish="stop"), counts(), DONE)


async def test_text_comes_as_it_is_written(opening: Opening, end: SseEnd) -> None:
    """Each piece is reported, to be gathered with others; what was used comes with the end, and
    what was asked for is in the one request."""
    talk = await opening(api="chat", model="openai/a/b", params={"system": "be brief", "top_k": 3})
    end.scripts = [streamed(*WHOLE)]
    assert await talk.run() == Done(usage=USED)
    assert talk.of(Delta) == [Delta("so ", part=True), Delta("it is", part=True)]
    said = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "a lamp"}]
    assert end.sent() == {
        "model": "a/b",
        "messages": said,
        "seed": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
        "top_k": 3,
    }
    assert [asked.line for asked in end.asked] == ["POST /v1/chat/completions HTTP/1.1"]
    assert end.asked[0].headers["authorization"] == "Bearer sk-secret"


async def test_without_a_key_none_is_sent(opening: Opening, end: SseEnd) -> None:
    """A server of one's own sees no credentials, not even empty ones."""
    talk = await opening(api="chat", key=None)
    end.scripts = [streamed(*WHOLE)]
    assert isinstance(await talk.run(), Done)
    assert "authorization" not in end.asked[0].headers


async def test_the_handle_comes_before_the_request(opening: Opening, end: SseEnd) -> None:
    """`start` gets it ready and sends nothing: by the time it is sent, its handle is saved."""
    talk = await opening(api="chat")
    await talk.start()
    assert not end.asked
    end.scripts = [streamed(*WHOLE)]
    assert isinstance(await talk.follow(), Done)


@pytest.mark.parametrize("field", ["stream_options", "seed"])
async def test_what_a_server_does_not_know_is_left_out(
    opening: Opening, end: SseEnd, field: str
) -> None:
    """A refusal began nothing, so the same is asked again without that field."""
    talk = await opening(api="chat")
    refused = words.error(f"Unrecognized request argument supplied: {field}")
    end.scripts = [answered(400, refused), streamed(*WHOLE[:-2], DONE)]
    assert await talk.run() == Done(usage=None)
    assert field in end.sent(0)
    assert field not in end.sent(1)
    assert talk.text == "so it is"


async def test_other_refusals_are_not_asked_again(opening: Opening, end: SseEnd) -> None:
    """One request, one refusal."""
    talk = await opening(api="chat")
    end.scripts = [answered(400, words.error("temperature is too high", param="temperature"))]
    assert code_of(await talk.run()) == "invalid_input"
    assert len(end.asked) == 1


async def test_a_server_that_does_not_stream_is_heard_all_the_same(
    opening: Opening, end: SseEnd
) -> None:
    """Its one answer is taken whole."""
    talk = await opening(api="chat")
    message = {"role": "assistant", "content": "so it is"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 12, "completion_tokens": 5}
    end.scripts = [answered(200, {"choices": [choice], "usage": usage})]
    outcome = await talk.run()
    assert outcome == Done(
        usage=used({"run": 1, "input_token": 12, "cached_token": 0, "output_token": 5})
    )
    assert talk.text == "so it is"


CUTS: dict[str, list[Any]] = {
    "before the answer": [CUT],
    "in the middle": streamed(*WHOLE[:2], CUT),
    "by an end that is none": streamed(*WHOLE[:2]),
    "by a DONE that is none": streamed(*WHOLE[:2], DONE),
    "by an answer that is none": answered(200, b"<html>"),
    "by a piece that is none": streamed(chunk("so "), b"data: {\n\n"),
}


@pytest.mark.parametrize("how", CUTS)
async def test_what_is_lost_is_not_asked_again(opening: Opening, end: SseEnd, how: str) -> None:
    """It may have been billed, and nobody can tell."""
    talk = await opening(api="chat")
    end.scripts = [list(CUTS[how])]
    assert isinstance(await talk.run(), Unclear)
    assert isinstance(await talk.look_up(), Unknowable)
    assert isinstance(await talk.follow(), Unclear)
    assert len(end.asked) == 1


@pytest.mark.parametrize("how", CUTS)
async def test_who_bills_nobody_may_be_asked_again(opening: Opening, end: SseEnd, how: str) -> None:
    """Without a key another attempt costs nothing, after a pause; and after a restart."""
    talk = await opening(api="chat", key=None)
    end.scripts = [list(CUTS[how])]
    outcome = await talk.run()
    assert code_of(outcome) in ("provider_failed", "Gone")
    assert isinstance(await talk.look_up(), Gone)
    assert isinstance(await talk.follow(), Gone)


async def test_a_cut_behind_the_last_word_is_none(opening: Opening, end: SseEnd) -> None:
    """All was said; only the count of tokens is missing."""
    talk = await opening(api="chat")
    end.scripts = [streamed(*WHOLE[:4], CUT)]
    assert await talk.run() == Done(usage=None)


async def test_a_text_that_ends_at_max_tokens_is_done(opening: Opening, end: SseEnd) -> None:
    """That is said; but a text of nothing is no result."""
    talk = await opening(api="chat", params={"max_tokens": 1})
    end.scripts = [streamed(chunk("so"), chunk(finish="length"), counts(), DONE)]
    assert await talk.run() == Done(usage=USED)
    assert talk.of(Moved)[-1].message == "the text ends at max_tokens"
    assert end.sent()["max_tokens"] == 1
    nothing = await opening(api="chat")
    end.scripts = [streamed(chunk(finish="length"), counts(), DONE)]
    outcome = await nothing.run()
    assert isinstance(outcome, Never)
    assert (outcome.code, outcome.usage) == ("invalid_input", USED)


DECLINED = {
    "by a filter": (chunk("so "), chunk(finish="content_filter")),
    "by itself": (
        nameless(words.chunked([{"delta": {"refusal": "no"}, "finish_reason": "stop"}])),
    ),
}


@pytest.mark.parametrize("how", DECLINED)
async def test_a_refusal_is_told_and_paid(opening: Opening, end: SseEnd, how: str) -> None:
    """It is the content that was refused, and what it used is told."""
    talk = await opening(api="chat")
    end.scripts = [streamed(*DECLINED[how], counts(), DONE)]
    outcome = await talk.run()
    assert isinstance(outcome, Never)
    assert (outcome.code, outcome.usage) == ("content_refused", USED)


async def test_an_error_in_the_stream_is_the_servers_word(opening: Opening, end: SseEnd) -> None:
    """It failed, and says so; what it cost is not told."""
    talk = await opening(api="chat")
    said = words.error("out of memory on sk-abcdefghijk", code="server_error")
    end.scripts = [streamed(chunk("so "), nameless(said))]
    outcome = await talk.run()
    assert isinstance(outcome, Again)
    assert (outcome.code, outcome.charge) == ("provider_failed", None)
    assert "out of memory" in outcome.message
    assert "sk-" not in outcome.message


async def test_a_cancel_hangs_up(opening: Opening, end: SseEnd) -> None:
    """At once, in the middle of the stream; what was done by then may cost something."""
    talk = await opening(api="chat")
    end.scripts = [streamed(chunk("so "), HOLD)]
    handle = await talk.start()
    following = asyncio.create_task(talk.follow())
    await end.holding.wait()
    await talk.provider.cancel(talk.asked, handle)
    await talk.provider.cancel(talk.asked, handle)
    outcome = await following
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None
    assert outcome.charge.verdict == "unknown"
    await asyncio.wait_for(end.left.wait(), 20)


async def test_a_cancel_before_it_was_sent_is_free(opening: Opening, end: SseEnd) -> None:
    """Nothing is sent after it."""
    talk = await opening(api="chat")
    handle = await talk.start()
    await talk.provider.cancel(talk.asked, handle)
    outcome = await talk.follow()
    assert isinstance(outcome, Ended)
    assert outcome.charge is not None
    assert outcome.charge.verdict == "free"
    assert not end.asked


async def test_pictures_are_shown_to_the_model(
    opening: Opening, end: SseEnd, tmp_path: Path
) -> None:
    """They go with the prompt, as their own addresses."""
    (tmp_path / "a.png").write_bytes(b"pixels")
    given = (InputFile(tmp_path / "a.png", "image/png"),)
    for api, part in (
        ("chat", {"type": "image_url", "image_url": {"url": "data:image/png;base64,cGl4ZWxz"}}),
        ("responses", {"type": "input_image", "image_url": "data:image/png;base64,cGl4ZWxz"}),
    ):
        talk = await opening(api=api, inputs=given)
        end.scripts = [answered(400, words.error())]
        await talk.run()
        message = end.sent()["messages" if api == "chat" else "input"][0]
        assert message["content"][1] == part


async def test_an_input_that_is_gone_stops_it_before_it_is_sent(
    opening: Opening, end: SseEnd, tmp_path: Path
) -> None:
    """The runner knows what that means, as long as nothing has a handle."""
    talk = await opening(api="chat", inputs=(InputFile(tmp_path / "gone.png", "image/png"),))
    with pytest.raises(FileNotFoundError):
        await talk.start()
    assert not end.asked
