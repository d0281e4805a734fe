"""The Gemini emulator, driven by Google's own SDK as it is published, over a real socket."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from PIL import Image

from tests.doubles.emulated import Emulated

pytestmark = pytest.mark.slow

EMULATOR = "gemini"
MODEL = "gemini-2.5-flash-lite"
THINKER = "gemini-2.5-pro"
PAINTER = "gemini-3.1-flash-image"


def client_of(emulator: Emulated, seconds: int = 20, **more: Any) -> genai.Client:
    """A client of the SDK; its timeout is in milliseconds."""
    options = types.HttpOptions(base_url=emulator.url, timeout=seconds * 1000, **more)
    return genai.Client(api_key=emulator.key, http_options=options)


@pytest.fixture
def client(emulator: Emulated) -> Iterator[genai.Client]:
    made = client_of(emulator)
    yield made
    made.close()


def picture(response: Any) -> Image.Image:
    """The one that is in a response."""
    (found,) = [part.inline_data for part in response.parts if part.inline_data]
    assert found.mime_type == "image/png"
    image = Image.open(io.BytesIO(found.data))
    image.load()
    return image


def test_models_are_listed(client: Any) -> None:
    """All of them, page by page; no Imagen is left among them."""
    names = [model.name for model in client.models.list(config={"page_size": 3})]
    assert f"models/{MODEL}" in names and f"models/{PAINTER}" in names
    assert len(names) == len(set(names)) and not any("imagen" in str(name) for name in names)
    assert client.models.get(model=THINKER).thinking
    with pytest.raises(errors.ClientError) as refused:
        client.models.get(model="imagen-4")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_content_is_made(emulator: Emulated, version: str) -> None:
    """One response has the text, why it ended and what it used, in both versions of the API."""
    with client_of(emulator, api_version=version) as client:
        made: Any = client.models.generate_content(model=MODEL, contents="Say exactly: a b c")
    assert made.text == "a b c" and made.candidates[0].finish_reason == "STOP"
    usage = made.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (6, 3)
    assert usage.total_token_count == 9 and usage.thoughts_token_count is None
    run = emulator.last_run()
    assert run["run"] == made.response_id and made.model_version == MODEL
    assert run["cost_micros"] == round(6 * 0.1 + 3 * 0.4)
    assert run["marks"]["path"].startswith(f"/{version}/models/{MODEL}:")


def test_content_is_streamed(client: Any) -> None:
    """Each chunk is a whole response with the usage so far; the last has the reason."""
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="in 40 words"))
    assert len("".join(chunk.text or "" for chunk in chunks).split()) == 40
    assert {chunk.response_id for chunk in chunks} == {chunks[0].response_id}
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["STOP"]
    counts = [chunk.usage_metadata.candidates_token_count for chunk in chunks]
    assert counts == sorted(counts) and counts[-1] >= 40


def test_thoughts_are_billed(client: Any, emulator: Emulated) -> None:
    """A model that thinks tells how much; that is no part of the candidates' count."""
    usage = client.models.generate_content(
        model=THINKER, contents="Say exactly: a b"
    ).usage_metadata
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (2, 24)
    assert usage.total_token_count == usage.prompt_token_count + 26
    cost = usage.prompt_token_count * 1.25 + 26 * 10
    assert emulator.last_run()["cost_micros"] == round(cost)


def test_a_picture_is_made(client: Any, emulator: Emulated) -> None:
    """It decodes, has the sides of its ratio, and its tokens are told apart from the text's."""
    config = types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"], image_config={"aspect_ratio": "16:9"}
    )
    made = client.models.generate_content(model=PAINTER, contents="a heron", config=config)
    assert picture(made).size == (1344, 768) and made.candidates[0].finish_reason == "STOP"
    usage = made.usage_metadata
    (details,) = usage.candidates_tokens_details
    assert (details.modality, details.token_count) == ("IMAGE", 1120)
    words = usage.candidates_token_count - 1120
    cost = usage.prompt_token_count * 0.5 + words * 3 + 1120 * 60
    assert emulator.last_run()["cost_micros"] == round(cost)


def test_a_picture_is_made_of_another(client: Any, emulator: Emulated) -> None:
    """A picture that comes in is counted; a stream has text, then the picture, then the end."""
    emulator.arm("huge=4")
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 9)).save(file, "PNG")
    contents: Any = [types.Part.from_bytes(data=file.getvalue(), mime_type="image/png"), "at night"]
    chunks = list(client.models.generate_content_stream(model=PAINTER, contents=contents))
    kinds = ["".join("t" if part.text else "p" for part in chunk.parts or []) for chunk in chunks]
    assert "".join(kinds).lstrip("t") == "p" and kinds[-1] == ""
    data = chunks[-2].parts[0].inline_data.data
    assert len(data) > 4_000_000 and picture(chunks[-2]).size == (1024, 1024)
    (words, seen) = chunks[-1].usage_metadata.prompt_tokens_details
    assert (words.token_count, seen.modality, seen.token_count) == (2, "IMAGE", 258)


def test_without_events_a_stream_is_a_list(emulator: Emulated) -> None:
    """Whoever does not ask for `alt=sse` gets all chunks as one JSON array."""
    asked = {"contents": [{"parts": [{"text": "hello"}]}]}
    answer = httpx2.post(
        f"{emulator.url}/v1beta/models/{MODEL}:streamGenerateContent",
        json=asked,
        params={"key": emulator.key},
    )
    assert answer.json()[-1]["candidates"][0]["finishReason"] == "STOP"


def test_it_may_end_early(client: Any, emulator: Emulated) -> None:
    """By its length, by a stop sequence, or because it may not go on."""

    def make(model: str = MODEL, **config: Any) -> Any:
        words = "Say exactly: one two three four"
        return client.models.generate_content(model=model, contents=words, config=config)

    short, stopped = make(max_output_tokens=2), make(stop_sequences=[" three"])
    emulator.arm("moderated=run@1")
    blocked = make()
    emulator.arm("moderated=run@1")
    unseen = make(PAINTER)
    made = (short, stopped, blocked, unseen)
    reasons = [each.candidates[0].finish_reason.value for each in made]
    assert reasons == ["MAX_TOKENS", "STOP", "SAFETY", "IMAGE_SAFETY"]
    assert [each.text for each in made] == ["one two"] * 4


def test_a_prompt_may_be_blocked(client: Any, emulator: Emulated) -> None:
    """The answer is 200 without a candidate; only what was read is billed."""
    emulator.arm("moderated@1")
    made = client.models.generate_content(model=MODEL, contents="word " * 30)
    assert made.candidates is None
    assert made.prompt_feedback.block_reason == "PROHIBITED_CONTENT"
    assert made.usage_metadata.candidates_token_count is None
    run = emulator.last_run()
    assert (run["outcome"], run["cost_micros"]) == ("failed", round(31 * 0.1))


def test_a_long_prompt_is_cheaper_the_second_time(client: Any) -> None:
    """Cached tokens are told once there are some, among those of the prompt."""
    told = [
        client.models.generate_content(model=MODEL, contents="word " * 1500).usage_metadata
        for _ in range(2)
    ]
    assert [usage.cached_content_token_count for usage in told] == [None, 1472]
    assert {usage.prompt_token_count for usage in told} == {1501}


def test_tokens_are_counted_for_nothing(client: Any, emulator: Emulated) -> None:
    """The count is that of the prompt, and no run."""
    before = len(emulator.runs())
    assert client.models.count_tokens(model=MODEL, contents="a b c").total_tokens == 3
    assert len(emulator.runs()) == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"parts": [{"text": "x"}]}], "n": 1}, 'Unknown name "n"'),
        (
            {"contents": [{"parts": [{"text": "x"}]}], "generation_config": {"size": 1}},
            "Unknown name \"size\" at 'generation_config'",
        ),
        ({"contents": [{"parts": [{"inline_data": {"data": "bm8="}}]}]}, "process input image"),
    ],
)
def test_wrong_fields_are_named(emulator: Emulated, body: dict[str, Any], message: str) -> None:
    """A request that is not right is refused with its field; nothing begins."""
    before = len(emulator.runs())
    answer = httpx2.post(
        f"{emulator.url}/v1beta/models/{MODEL}:generateContent",
        json=body,
        headers={"x-goog-api-key": emulator.key},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert message in error["message"] and error["details"][0]["fieldViolations"]
    assert len(emulator.runs()) == before


@pytest.mark.parametrize(
    ("fault", "error", "code", "status"),
    [
        ("http-500@1", errors.ServerError, 500, "INTERNAL"),
        ("http-503@1", errors.ServerError, 503, "UNAVAILABLE"),
        ("throttle=17@1", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("no-credit@1", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("unauthorized@1", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("unauthorized=403@1", errors.ClientError, 403, "PERMISSION_DENIED"),
    ],
)
def test_refusals_are_the_sdks_own_errors(
    client: Any,
    emulator: Emulated,
    fault: str,
    error: type[errors.APIError],
    code: int,
    status: str,
) -> None:
    """Each fault before the beginning is the exception that the SDK has for it; nothing begins,
    and the next request is answered."""
    before = len(emulator.runs())
    emulator.arm(fault)
    with pytest.raises(error) as refused:
        client.models.generate_content(model=MODEL, contents="x")
    assert (refused.value.code, refused.value.status) == (code, status)
    details = refused.value.details["error"].get("details", [])
    delays = [each["retryDelay"] for each in details if "retryDelay" in each]
    assert delays == (["17s"] if fault.startswith("throttle") else [])
    assert [each.get("reason") for each in details].count("API_KEY_INVALID") == (code == 400)
    assert len(emulator.runs()) == before
    assert client.models.generate_content(model=MODEL, contents="x").text


@pytest.mark.parametrize("fault", ["lost-answer@1", "http-504@1", "hang=stream@1", "cut@1"])
def test_a_lost_answer_is_billed(emulator: Emulated, fault: str) -> None:
    """The run that was begun goes to its end and costs what it costs, whoever listens."""
    emulator.arm(fault)
    with client_of(emulator, 1) as client:
        with pytest.raises((errors.ServerError, httpx2.TransportError)):
            client.models.generate_content(model=PAINTER, contents="Say exactly: a b")
    run = emulator.last_run()
    assert (run["outcome"], run["cost_micros"]) == ("succeeded", round(5 * 0.5 + 6 + 1120 * 60))


def test_a_request_may_be_lost(client: Any, emulator: Emulated) -> None:
    """The connection ends and nothing was begun."""
    before = len(emulator.runs())
    emulator.arm("lost-request@1")
    with pytest.raises(httpx2.TransportError):
        client.models.generate_content(model=MODEL, contents="x")
    assert len(emulator.runs()) == before


def test_a_stream_is_lost_in_the_middle(client: Any, emulator: Emulated) -> None:
    """What was told before stays; nothing says how to go on, and the run is billed whole."""
    emulator.arm("cut=2@1")
    heard = []
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        for chunk in client.models.generate_content_stream(model=MODEL, contents="in 60 words"):
            heard.append(chunk)
    assert len(heard) == 2 and heard[-1].candidates[0].finish_reason is None
    assert emulator.last_run()["cost_micros"] > 60 * 0.4


def test_a_run_that_fails_costs_nothing(client: Any, emulator: Emulated) -> None:
    """As one answer it is a 500, in the middle of a stream an error among the chunks."""
    emulator.arm("fail")
    with pytest.raises(errors.ServerError):
        client.models.generate_content(model=MODEL, contents="x")
    with pytest.raises(errors.ServerError) as failed:
        list(client.models.generate_content_stream(model=MODEL, contents="x"))
    assert failed.value.status == "INTERNAL"
    run = emulator.last_run()
    assert (run["outcome"], run["cost_micros"]) == ("failed", 0)


def test_a_key_is_asked_for(emulator: Emulated) -> None:
    """In the header or in the query; a wrong one is a 400 here, none is a 403."""
    url, key = emulator.url + "/v1beta/models", emulator.key
    for asked, status in (
        ({"headers": {"x-goog-api-key": key}}, 200),
        ({"params": {"key": key}}, 200),
        ({"headers": {"x-goog-api-key": "other"}}, 400),
        ({}, 403),
    ):
        assert httpx2.get(url, **asked).status_code == status


async def test_the_async_client_is_served_alike(emulator: Emulated) -> None:
    """The client that a server would use hears the same, and asks once."""
    client = client_of(emulator)
    chunks = await client.aio.models.generate_content_stream(
        model=MODEL, contents="Say exactly: a b"
    )
    assert "".join([chunk.text or "" async for chunk in chunks]) == "a b"
    before = len(emulator.settled())
    emulator.arm("http-504@1")
    with pytest.raises(errors.ServerError):
        await client.aio.models.generate_content(model=MODEL, contents="x")
    assert len(emulator.settled()) == before + 1
    await client.aio.aclose()
