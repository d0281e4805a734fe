"""Text of the OpenAI emulator, driven by OpenAI's own SDK: the Responses API, and chats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.doubles.emulated import Emulated
from tests.doubles.openai_sdk import client_of, picture

pytestmark = pytest.mark.slow

EMULATOR = "openai"
MODEL = "gpt-5.4-mini"
PAINTER = "gpt-image-2"
BACKGROUND: dict[str, Any] = {"model": MODEL, "background": True, "store": True}


@pytest.fixture
def client(emulator: Emulated) -> Iterator[OpenAI]:
    with client_of(emulator) as made:
        yield made


def test_a_response_is_streamed(client: Any, emulator: Emulated) -> None:
    """Events are numbered from 0 without a gap, and the last has the response with its usage."""
    events = list(
        client.responses.create(
            model=MODEL, input="Say exactly: two words", stream=True, metadata={"task": "t1"}
        )
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    response = events[-1].response
    assert response.output_text == "two words"
    assert response.usage.input_tokens == 3 + 5 and response.usage.output_tokens == 2
    run = emulator.last_run()
    assert run["run"] == response.id and run["outcome"] == "succeeded"
    assert run["cost_micros"] == round((8 * 0.75) + (2 * 4.5))
    assert run["marks"]["metadata"] == {"task": "t1"}


def test_a_background_response_is_resumed(client: Any, emulator: Emulated) -> None:
    """A stream that is cut goes on behind the last number that was heard, and is one run."""
    emulator.arm("cut=6@1")
    heard = []
    before = len(emulator.runs())
    with pytest.raises(openai.APIConnectionError):
        for event in client.responses.create(input="in 40 words", stream=True, **BACKGROUND):
            heard.append(event)
    assert [event.type for event in heard[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    id, number = heard[0].response.id, heard[-1].sequence_number
    assert (heard[0].response.status, number) == ("queued", 5)
    rest = list(client.responses.retrieve(id, stream=True, starting_after=number))
    whole = [event.sequence_number for event in [*heard, *rest]]
    assert whole == list(range(len(whole)))
    text = "".join(e.delta for e in [*heard, *rest] if e.type == "response.output_text.delta")
    assert len(text.split()) == 40
    assert rest[-1].response.output_text == text == client.responses.retrieve(id).output_text
    assert len(emulator.runs()) == before + 1


def test_a_background_response_is_polled(client: Any) -> None:
    """It is queued at first, then it can be asked for until it is completed."""
    begun = client.responses.create(input="hello", **BACKGROUND)
    assert begun.status == "queued" and begun.background
    while (now := client.responses.retrieve(begun.id)).status in ("queued", "in_progress"):
        assert now.usage is None
    assert now.status == "completed" and now.usage is not None and now.completed_at


def test_only_a_streamed_background_response_is_streamed_again(client: Any) -> None:
    """One without background or without stream is refused, one that is not stored is gone."""
    for asked in ({"stream": False, **BACKGROUND}, {"model": MODEL}):
        made = client.responses.create(input="hello", **asked)
        with pytest.raises(openai.BadRequestError):
            client.responses.retrieve(made.id, stream=True)
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        client.responses.cancel(made.id)
    forgotten = client.responses.create(input="hello", model=MODEL, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(forgotten.id)


def test_a_cancelled_response_is_billed_for_what_it_said(client: Any, emulator: Emulated) -> None:
    """A cancel is safe to repeat; the stream ends without a last event, and usage is told."""
    emulator.arm("late=60@1")
    stream = client.responses.create(input="in 500 words", stream=True, **BACKGROUND)
    id = next(iter(stream)).response.id
    first = client.responses.cancel(id)
    assert first.status == "cancelled" == client.responses.cancel(id).status
    assert [event.type for event in stream][-1] == "response.content_part.added"
    assert first.usage is not None and first.usage.output_tokens == 0
    run = emulator.last_run()
    assert run["outcome"] == "canceled"
    assert run["cost_micros"] == round(first.usage.input_tokens * 0.75)


def test_a_response_may_stay_queued_for_ever(client: Any, emulator: Emulated) -> None:
    """It never starts; a cancel ends it, and it costs nothing."""
    emulator.arm("abort-queued@1")
    made = client.responses.create(input="hello", **BACKGROUND)
    assert [client.responses.retrieve(made.id).status for _ in range(3)] == ["queued"] * 3
    assert client.responses.cancel(made.id).status == "cancelled"
    assert emulator.last_run()["cost_micros"] == 0


@pytest.mark.parametrize(
    ("fault", "status", "last"),
    [
        ("fail@1", "failed", "response.failed"),
        ("moderated=run@1", "incomplete", "response.incomplete"),
    ],
)
def test_a_response_that_does_not_complete(
    client: Any, emulator: Emulated, fault: str, status: str, last: str
) -> None:
    """It says so in its last event, with the reason; a failed one is not billed."""
    emulator.arm(fault)
    event = list(client.responses.create(input="hello there", stream=True, **BACKGROUND))[-1]
    assert (event.type, event.response.status) == (last, status)
    if status == "failed":
        assert event.response.error.code == "server_error"
        assert event.response.usage is None and emulator.last_run()["cost_micros"] == 0
    else:
        assert event.response.incomplete_details.reason == "content_filter"
        assert event.response.usage.output_tokens > 0


def test_a_response_is_cut_at_its_limit(client: Any) -> None:
    """It is incomplete with its reason, and what it said is there."""
    made = client.responses.create(model=MODEL, input="in 100 words", max_output_tokens=16)
    assert made.status == "incomplete" and made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert made.usage is not None and made.usage.output_tokens == 16


def test_a_response_paints_with_its_tool(client: Any, emulator: Emulated) -> None:
    """The tool tells partial pictures, then its call has the picture, and both are billed."""
    tool: Any = {"type": "image_generation", "partial_images": 2, "quality": "low"}
    events = list(
        client.responses.create(input="Say exactly: x", tools=[tool], stream=True, **BACKGROUND)
    )
    partial = [e for e in events if e.type == "response.image_generation_call.partial_image"]
    assert [event.partial_image_index for event in partial] == [0, 1]
    call = events[-1].response.output[0]
    assert call.type == "image_generation_call" and picture(call.result).size == (1024, 1024)
    usage = events[-1].response.usage
    text = usage.input_tokens * 0.75 + usage.output_tokens * 4.5
    assert emulator.last_run()["cost_micros"] == round(text) + (272 + 200) * 30


def test_a_long_prompt_is_cheaper_the_second_time(client: Any) -> None:
    """Cached tokens are told, and are among the input tokens."""
    long = "word " * 1500
    used = [client.responses.create(model=MODEL, input=long).usage for _ in range(2)]
    assert used[0] and used[1] and used[0].input_tokens == used[1].input_tokens
    told = [usage.input_tokens_details.cached_tokens for usage in used if usage]
    assert told == [0, used[0].input_tokens // 128 * 128]


def test_a_chat_is_streamed_with_its_usage(client: Any, emulator: Emulated) -> None:
    """Deltas, a finish reason, then a chunk without choices that has the usage."""
    asked: Any = {"messages": [{"role": "user", "content": "Say exactly: a b c"}], "model": MODEL}
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == "a b c"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content == "a b c" and whole.usage == chunks[-1].usage
    assert emulator.last_run()["cost_micros"] == round(whole.usage.prompt_tokens * 0.75 + 3 * 4.5)


def test_a_chat_ends_with_done(emulator: Emulated) -> None:
    """What is on the wire are lines without a name, and `[DONE]` after the last."""
    asked = {"messages": [{"role": "user", "content": "hi"}], "model": MODEL, "stream": True}
    answer = httpx2.post(
        emulator.url + "/v1/chat/completions", json=asked, headers=emulator.headers
    )
    lines = [line for line in answer.text.split("\n") if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]"
    assert "usage" not in json.loads(lines[0][6:])


def test_a_compatible_server_tells_no_usage(client: Any, emulator: Emulated) -> None:
    """With `no-usage` nothing is told even where it was asked for."""
    emulator.arm("no-usage")
    asked: Any = {"messages": [{"role": "user", "content": "hi"}], "model": "llama3.2"}
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert client.chat.completions.create(**asked).usage is None
    assert emulator.last_run()["cost_micros"] == 0


def test_a_chat_may_stop_early(client: Any, emulator: Emulated) -> None:
    """By its length, by a stop sequence, by a filter."""
    words: Any = [{"role": "user", "content": "Say exactly: one two three four"}]
    short = client.chat.completions.create(model=MODEL, messages=words, max_completion_tokens=2)
    stopped = client.chat.completions.create(model=MODEL, messages=words, stop=" three")
    emulator.arm("moderated=run@1")
    filtered = client.chat.completions.create(model=MODEL, messages=words)
    choices = [each.choices[0] for each in (short, stopped, filtered)]
    assert [c.finish_reason for c in choices] == ["length", "stop", "content_filter"]
    assert [c.message.content for c in choices] == ["one two", "one two", "one two"]


def test_questions_have_faults_of_their_own(client: Any, emulator: Emulated) -> None:
    """A poll or a cancel may fail and be asked again; a response may be gone."""
    made = client.responses.create(input="hello", **BACKGROUND)
    emulator.arm("http-500=get@1", "throttle=1:cancel@1", "gone@2")
    with pytest.raises(openai.InternalServerError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.RateLimitError):
        client.responses.cancel(made.id)
    assert client.responses.cancel(made.id).id == made.id
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    assert client.responses.retrieve(made.id).id == made.id
