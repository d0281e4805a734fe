"""One stream from the POST to its last word: what is sent, reported, used, and ended with."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from safelight.providers.anthropic import Anthropic
from safelight.providers.base import Done, Failure, InputFile, Moved, Never, Unclear
from safelight_protocol.prices import used
from tests.doubles.anthropic_words import began, ends, ping, says, thinks
from tests.doubles.heard import Heard, followed, prediction
from tests.doubles.sse_end import CUT, SseEnd, event, streamed


async def test_a_text_is_told_as_it_comes(provider: Anthropic, end: SseEnd) -> None:
    """Every piece is a report of its own; thoughts and pings are none; the end tells tokens."""
    end.scripts = [
        streamed(began(), ping(), thinks("hm"), says("A light"), says(" turns."), ends())
    ]
    heard = Heard()
    outcome = await followed(provider, prediction(), heard)
    assert [report.text for report in heard.reports] == ["A light", " turns."]
    expected = used({"input_token": 10, "cached_token": 0, "output_token": 5})
    assert outcome == Done(usage=expected)


async def test_what_is_sent(provider: Anthropic, end: SseEnd) -> None:
    """One POST with the key in a header, the prompt as a message, and the parameters, those
    that we do not know among them."""
    end.scripts = [streamed(began(), ends())]
    params = {"max_tokens": 99, "system": "Be brief.", "temperature": 0.5, "top_k": 3}
    await followed(provider, prediction(model="claude-x", params=params))
    (asked,) = end.asked
    assert asked.headers["x-client-request-id"] == "anthropic-u1-1"
    assert asked.line == "POST /v1/messages HTTP/1.1"
    assert "sk-secret" in asked.headers.get("authorization", asked.headers.get("x-api-key", ""))
    assert end.sent() == {
        "model": "claude-x",
        "max_tokens": 99,
        "system": "Be brief.",
        "temperature": 0.5,
        "top_k": 3,
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a lighthouse"}]}],
    }


async def test_parameters_do_not_change_what_runs(provider: Anthropic, end: SseEnd) -> None:
    """A model or a message among the parameters of an open schema is not sent."""
    end.scripts = [streamed(began(), ends())]
    params = {"model": "dear", "messages": [], "stream": False}
    await followed(provider, prediction(model="claude-x", params=params))
    assert end.sent()["model"] == "claude-x"
    assert end.sent()["messages"] and end.sent()["stream"] is True


async def test_pictures_go_before_the_words(
    provider: Anthropic, end: SseEnd, tmp_path: Path
) -> None:
    """An input picture is a block of its own, its bytes in base64."""
    end.scripts = [streamed(began(), ends())]
    (tmp_path / "a.png").write_bytes(b"png!")
    picture = InputFile(tmp_path / "a.png", "image/png")
    await followed(provider, prediction(inputs=(picture,)))
    first, last = end.sent()["messages"][0]["content"]
    assert first["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(b"png!").decode(),
    }
    assert last["text"] == "a lighthouse"


async def test_a_file_that_cannot_be_sent_is_refused_before_anything_is(
    provider: Anthropic, end: SseEnd, tmp_path: Path
) -> None:
    """A video as an input, and a picture as a result, are refused by the start; a file that
    has gone is told as that."""
    clip = InputFile(tmp_path / "a.mp4", "video/mp4")
    gone = InputFile(tmp_path / "a.png", "image/png")
    for asked in (prediction(inputs=(clip,)), prediction(kind="image")):
        with pytest.raises(Failure) as failure:
            await provider.start(asked)
        assert isinstance(failure.value.outcome, Never)
        assert failure.value.outcome.code == "invalid_input"
    with pytest.raises(FileNotFoundError):
        await provider.start(prediction(inputs=(gone,)))
    assert not end.asked


async def test_counts_are_of_the_whole_message(provider: Anthropic, end: SseEnd) -> None:
    """Tokens out of the cache are told apart, those into it are input, and the last count of
    each kind is the one that counts."""
    first = began(input_tokens=7, cache_read_input_tokens=100, cache_creation_input_tokens=20)
    end.scripts = [streamed(first, says("x"), ends(output_tokens=40, input_tokens=8))]
    outcome = await followed(provider, prediction())
    expected = used({"input_token": 28, "cached_token": 100, "output_token": 40})
    assert outcome == Done(usage=expected)


async def test_counts_of_nothing_say_nothing(provider: Anthropic, end: SseEnd) -> None:
    """A server that tells 0 of everything has not counted, and its answer was not free."""
    zeros = {"input_tokens": 0, "output_tokens": 0}
    end.scripts = [streamed(began(**zeros), says("x"), ends(**zeros))]
    assert await followed(provider, prediction()) == Done()


@pytest.mark.parametrize("reason", ["end_turn", "stop_sequence", "some_new_reason"])
async def test_a_reason_to_stop_is_an_end(provider: Anthropic, end: SseEnd, reason: str) -> None:
    """A text that stopped for whatever reason of the model's is done, those that nobody knows
    yet among them."""
    end.scripts = [streamed(began(), says("x"), ends(reason))]
    assert isinstance(await followed(provider, prediction()), Done)


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
async def test_a_text_that_was_cut_off_says_so(
    provider: Anthropic, end: SseEnd, reason: str
) -> None:
    """It is done, and its owner is told that it is not whole."""
    end.scripts = [streamed(began(), says("x"), ends(reason))]
    heard = Heard()
    assert isinstance(await followed(provider, prediction(), heard), Done)
    (moved,) = heard.of(Moved)
    assert "cut off" in (moved.message or "")


async def test_a_refusal_of_the_model_is_final_and_costs(provider: Anthropic, end: SseEnd) -> None:
    """The model's own refusal is content_refused, with what it used."""
    end.scripts = [streamed(began(), ends("refusal"))]
    outcome = await followed(provider, prediction())
    assert isinstance(outcome, Never) and outcome.code == "content_refused"
    assert outcome.usage == used({"input_token": 10, "cached_token": 0, "output_token": 5})


async def test_the_end_of_a_stream_is_not_the_end_of_a_run(
    provider: Anthropic, end: SseEnd
) -> None:
    """A stream that ends well, or is cut, before the model has stopped tells nothing."""
    end.scripts = [streamed(began(), says("x")), streamed(began(), says("x"), CUT)]
    for attempt in (1, 2):
        assert isinstance(await followed(provider, prediction(attempt=attempt)), Unclear)
    assert len(end.asked) == 2


async def test_after_the_last_word_nothing_can_be_lost(provider: Anthropic, end: SseEnd) -> None:
    """A connection that breaks when the model had stopped breaks nothing."""
    end.scripts = [streamed(began(), says("x"), ends(), CUT)]
    assert isinstance(await followed(provider, prediction()), Done)


async def test_what_is_not_known_is_passed_by(provider: Anthropic, end: SseEnd) -> None:
    """Events, blocks and deltas of a later day do not break a stream."""
    news = event("message_sideways", {"type": "message_sideways", "x": 1})
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "hologram"}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "hologram_delta"}}
    pieces = [began(), news, event("content_block_start", block)]
    pieces += [event("content_block_delta", delta), says("x"), ends()]
    end.scripts = [streamed(*pieces)]
    heard = Heard()
    assert isinstance(await followed(provider, prediction(), heard), Done)
    assert heard.text == "x"


async def test_fields_may_be_left_out(provider: Anthropic, end: SseEnd) -> None:
    """A server that only resembles the real one is read as far as it goes."""
    bare = [event(kind, {"type": kind}) for kind in ("message_start", "content_block_delta")]
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    end.scripts = [streamed(*bare, says("x"), event("message_delta", last))]
    heard = Heard()
    assert await followed(provider, prediction(), heard) == Done()
    assert heard.text == "x"


async def test_a_stream_that_is_no_stream_is_unclear(provider: Anthropic, end: SseEnd) -> None:
    """Garbage in the middle says nothing of the run, and is no bug of ours."""
    end.scripts = [streamed(began(), b"event: message_delta\ndata: {nonsense\n\n")]
    assert isinstance(await followed(provider, prediction()), Unclear)
