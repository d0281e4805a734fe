"""The Anthropic emulator, driven by Anthropic's own SDK as it is published, over a socket."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from PIL import Image

from tests.doubles.emulated import Emulated

pytestmark = pytest.mark.slow

EMULATOR = "anthropic"
MODEL = "claude-sonnet-5-5"


@pytest.fixture
def client(emulator: Emulated) -> Iterator[Anthropic]:
    with Anthropic(api_key=emulator.key, base_url=emulator.url, max_retries=0, timeout=20) as made:
        yield made


def asking(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "max_tokens": 1000, "messages": messages} | more


def test_models_are_listed_with_their_lives(client: Any) -> None:
    """Each tells where it stands; one that is not there is 404."""
    models = {model.id: model for model in client.models.list()}
    assert models[MODEL].lifecycle == "active" and models[MODEL].line == "sonnet"
    old = models["claude-sonnet-4-5"]
    assert old.lifecycle == "deprecated" and old.retires_at is not None
    assert client.models.retrieve(MODEL).display_name == "Claude Sonnet 5.5"
    with pytest.raises(anthropic.NotFoundError, match="model: claude-2"):
        client.models.retrieve("claude-2")


def test_a_message_is_answered(client: Any, emulator: Emulated) -> None:
    """One answer has the text, why it ended, and what it used; it is billed for that."""
    made = client.messages.create(**asking("Say exactly: a b c", metadata={"user_id": "t1.1"}))
    assert made.content[0].text == "a b c" and made.stop_reason == "end_turn"
    assert (made.usage.input_tokens, made.usage.output_tokens) == (6 + 4, 3)
    assert made.usage.cache_read_input_tokens == made.usage.cache_creation_input_tokens == 0
    assert made._request_id is not None and made._request_id.startswith("req_")
    run = emulator.last_run()
    assert (run["run"], run["cost_micros"]) == (made.id, 10 * 3 + 3 * 15)
    assert run["marks"]["metadata"] == {"user_id": "t1.1"}


def test_a_message_is_streamed(client: Any) -> None:
    """Events come in their order, with a ping that the SDK passes over; the usage comes last."""
    events = list(client.messages.create(**asking("Say exactly: a b"), stream=True))
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.usage.input_tokens == 9
    assert events[5].delta.stop_reason == "end_turn" and events[5].usage.output_tokens == 2
    with client.messages.stream(**asking("in 90 words")) as stream:
        text = "".join(stream.text_stream)
        assert len(text.split()) == 90
        assert stream.get_final_message().content[0].text == text


def test_pings_are_on_the_wire(emulator: Emulated) -> None:
    """One with the first block, more in a long text; each event is named as its type."""
    headers = emulator.headers | {"anthropic-version": "2026-10-21"}
    asked = asking("in 60 words", stream=True)
    answer = httpx2.post(emulator.url + "/v1/messages", json=asked, headers=headers)
    lines = answer.text.split("\n")
    assert lines.count("event: ping") >= 2
    assert lines[lines.index("event: ping") + 1] == 'data: {"type": "ping"}'


def test_it_may_think_first(client: Any, emulator: Emulated) -> None:
    """Thoughts are a block of their own before the text, and are billed as text is."""
    asked = asking("Say exactly: a", thinking={"type": "enabled", "budget_tokens": 1024})
    with client.messages.stream(**asked) as stream:
        made = stream.get_final_message()
    assert [block.type for block in made.content] == ["thinking", "text"]
    assert made.content[0].signature
    assert made.usage.output_tokens > 1
    cost = made.usage.input_tokens * 3 + made.usage.output_tokens * 15
    assert emulator.last_run()["cost_micros"] == cost
    whole = client.messages.create(**asked)
    assert whole.content[0] == made.content[0] and whole.content[1].text == "a"


def test_it_may_stop_early(client: Any, emulator: Emulated) -> None:
    """By its length, by a stop sequence, or because it does not want to go on."""
    words = "Say exactly: one two three four"
    short = client.messages.create(**asking(words, max_tokens=2))
    stopped = client.messages.create(**asking(words, stop_sequences=[" three"]))
    emulator.arm("moderated=run@1")
    refused = client.messages.create(**asking(words))
    reasons = [each.stop_reason for each in (short, stopped, refused)]
    assert reasons == ["max_tokens", "stop_sequence", "refusal"]
    assert stopped.stop_sequence == " three"
    assert {each.content[0].text for each in (short, stopped, refused)} == {"one two"}


def test_tokens_are_counted_for_nothing(client: Any, emulator: Emulated) -> None:
    """The count is that of the message itself, and no run."""
    before = len(emulator.runs())
    words = asking("how many are these?", system="Be brief.")
    counted = client.messages.count_tokens(**{k: words[k] for k in words if k != "max_tokens"})
    assert len(emulator.runs()) == before
    assert counted.input_tokens == client.messages.create(**words).usage.input_tokens


def test_a_marked_prompt_is_found_in_the_cache(client: Any, emulator: Emulated) -> None:
    """It is written once, which costs more, and found after, which costs less."""
    block = {"type": "text", "text": "word " * 1200, "cache_control": {"type": "ephemeral"}}
    first = client.messages.create(**asking("Say exactly: a", system=[block])).usage
    written = emulator.last_run()["cost_micros"]
    second = client.messages.create(**asking("Say exactly: a", system=[block])).usage
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens == 1201
    assert first.cache_read_input_tokens == second.cache_creation_input_tokens == 0
    rest = first.input_tokens * 3 + 15
    assert written == round(1201 * 3.75 + rest)
    assert emulator.last_run()["cost_micros"] == round(1201 * 0.3 + rest)


def test_a_picture_is_read(client: Any) -> None:
    """One that decodes is counted; one that does not is refused with its place."""
    file = io.BytesIO()
    Image.new("RGB", (300, 300)).save(file, "PNG")

    def ask(data: bytes) -> Any:
        text = base64.b64encode(data).decode()
        source = {"type": "base64", "media_type": "image/png", "data": text}
        parts = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
        messages = [{"role": "user", "content": parts}]
        return client.messages.create(model=MODEL, max_tokens=9, messages=messages)

    assert ask(file.getvalue()).usage.input_tokens > 120
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content\.0"):
        ask(b"no picture")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_tokens": 0}, "max_tokens: must be greater"),
        ({"max_tokens": 65_000}, "max_tokens: 65000 > 64000"),
        ({"messages": []}, "messages: at least one"),
        ({"extra_body": {"seed": 1}}, "seed: Extra inputs are not permitted"),
    ],
)
def test_wrong_fields_are_named(
    client: Any, emulator: Emulated, asked: dict[str, Any], message: str
) -> None:
    """A request that is not right is refused with its field; nothing begins."""
    before = len(emulator.runs())
    with pytest.raises(anthropic.BadRequestError, match=message):
        client.messages.create(**asking("x") | asked)
    assert len(emulator.runs()) == before


@pytest.mark.parametrize(
    ("fault", "error", "type"),
    [
        ("http-500@1", anthropic.InternalServerError, "api_error"),
        ("http-503@1", anthropic.InternalServerError, "api_error"),
        ("http-529@1", anthropic.InternalServerError, "overloaded_error"),
        ("throttle=7@1", anthropic.RateLimitError, "rate_limit_error"),
        ("unauthorized@1", anthropic.AuthenticationError, "authentication_error"),
        ("no-credit@1", anthropic.APIStatusError, "billing_error"),
        ("no-credit=400@1", anthropic.BadRequestError, "invalid_request_error"),
        ("moderated@1", anthropic.BadRequestError, "invalid_request_error"),
        ("lost-request@1", anthropic.APIConnectionError, None),
    ],
)
def test_refusals_are_the_sdks_own_errors(
    client: Any,
    emulator: Emulated,
    fault: str,
    error: type[anthropic.APIError],
    type: str | None,
) -> None:
    """Each fault before the beginning is the exception that the SDK has for it, with the id of
    the request; nothing begins, and the next is answered."""
    before = len(emulator.runs())
    emulator.arm(fault)
    with pytest.raises(error) as refused:
        client.messages.create(**asking("x"))
    if isinstance(refused.value, anthropic.APIStatusError):
        body: Any = refused.value.body
        assert body["error"]["type"] == type
        assert body["request_id"] == refused.value.request_id
        if type == "rate_limit_error":
            assert refused.value.response.headers["retry-after"] == "7"
    assert len(emulator.runs()) == before
    assert client.messages.create(**asking("x")).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("lost-answer@1", anthropic.APIConnectionError),
        ("http-504@1", anthropic.InternalServerError),
        ("hang=stream@1", anthropic.APITimeoutError),
        ("cut@1", anthropic.APIConnectionError),
    ],
)
def test_a_lost_answer_is_billed(
    client: Any, emulator: Emulated, fault: str, error: type[anthropic.APIError]
) -> None:
    """The run that was begun goes to its end and costs what it costs, whoever listens."""
    emulator.arm(fault)
    with pytest.raises(error):
        client.with_options(timeout=3).messages.create(**asking("Say exactly: a b c"))
    run = emulator.last_run()
    assert (run["outcome"], run["cost_micros"]) == ("succeeded", 10 * 3 + 3 * 15)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut=8@1", (httpx2.RemoteProtocolError, httpx2.ReadError)),
        ("hang=8:stream@1", httpx2.ReadTimeout),
    ],
)
def test_a_stream_is_lost_in_the_middle(
    client: Any, emulator: Emulated, fault: str, error: Any
) -> None:
    """What was told before stays; nothing says how to go on, and the run is billed whole."""
    emulator.arm(fault)
    heard = []
    with pytest.raises(error):
        stream = client.with_options(timeout=3).messages.create(
            **asking("in 30 words"), stream=True
        )
        for event in stream:
            heard.append(event)
    assert [event.type for event in heard][:3] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
    ]
    assert len(heard) == 7 and emulator.last_run()["cost_micros"] > 30 * 15


@pytest.mark.parametrize(
    ("fault", "type", "status"),
    [("fail", "api_error", 500), ("http-529=run", "overloaded_error", 529)],
)
def test_a_stream_that_fails_raises(
    client: Any, emulator: Emulated, fault: str, type: str, status: int
) -> None:
    """An error in the middle comes though the status was 200; a failed run costs nothing."""
    emulator.arm(fault)
    with pytest.raises(anthropic.APIStatusError) as failed:
        list(client.messages.create(**asking("hi"), stream=True))
    body: Any = failed.value.body
    assert failed.value.status_code == 200 and body["error"]["type"] == type
    with pytest.raises(anthropic.APIStatusError) as refused:
        client.messages.create(**asking("hi"))
    assert refused.value.status_code == status
    assert emulator.last_run()["cost_micros"] == 0


def test_the_key_and_the_version_are_asked_for(emulator: Emulated) -> None:
    """The key is taken in either header; another one, or none, is refused, and so is a request
    without a version."""
    url, version = emulator.url + "/v1/models", {"anthropic-version": "2026-10-21"}
    for headers, status in (
        ({"x-api-key": emulator.key} | version, 200),
        (emulator.headers | version, 200),
        (emulator.headers, 400),
        ({"x-api-key": "other"} | version, 401),
        (version, 401),
    ):
        assert httpx2.get(url, headers=headers).status_code == status


def test_the_sdk_asks_again_by_itself(emulator: Emulated) -> None:
    """Left to its defaults the SDK repeats a create whose answer was lost: two runs are billed.
    That is why an adapter must not let it."""
    before = len(emulator.runs())
    emulator.arm("lost-answer@1")
    with Anthropic(api_key=emulator.key, base_url=emulator.url) as eager:
        eager.messages.create(**asking("once"))
    assert len(emulator.settled()) == before + 2


async def test_the_async_client_is_served_alike(emulator: Emulated) -> None:
    """The client that a server would use hears the same."""
    async with AsyncAnthropic(api_key=emulator.key, base_url=emulator.url) as client:
        async with client.messages.stream(**asking("Say exactly: a b")) as stream:
            assert [text async for text in stream.text_stream] == ["a", " b"]
