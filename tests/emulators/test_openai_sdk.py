"""The OpenAI emulator, driven by OpenAI's own SDK as it is published, over a real socket."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image

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


def test_models_are_listed_with_their_end(client: Any) -> None:
    """A model tells when it ends; one that has ended is not there."""
    models = {model.id: model for model in client.models.list()}
    assert models["gpt-image-1-mini"].shutdown_date == "2026-12-01"
    assert models[MODEL].shutdown_date is None
    assert "gpt-image-1" not in models
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("dall-e-3")
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_pictures_are_made_as_ordered(client: Any, emulator: Emulated, form: Any) -> None:
    """Each picture decodes, in the size and format asked for, and is counted in the usage."""
    made = client.images.generate(
        model=PAINTER, prompt="a fox", n=2, size="512x768", quality="low", output_format=form
    )
    assert made.data is not None and len(made.data) == 2
    images = [picture(each.b64_json) for each in made.data]
    assert [image.size for image in images] == [(512, 768)] * 2
    assert {image.format for image in images} == {form.upper()}
    assert made.data[0].b64_json != made.data[1].b64_json
    assert made.usage is not None and made.usage.output_tokens == 2 * 102
    assert made.usage.input_tokens_details.text_tokens == 2
    assert emulator.last_run()["cost_micros"] == (2 * 5 + 204 * 30)


def test_a_picture_is_streamed_with_partial_ones(client: Any, emulator: Emulated) -> None:
    """Partial pictures come in their order, then the picture with what it used."""
    stream = client.images.generate(
        model=PAINTER, prompt="a heron", stream=True, partial_images=2, quality="low"
    )
    events = list(stream)
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [events[0].partial_image_index, events[1].partial_image_index] == [0, 1]
    assert all(picture(event.b64_json).size == (1024, 1024) for event in events)
    assert events[2].usage.output_tokens == 272 + 2 * 100
    assert emulator.last_run()["cost_micros"] == 2 * 5 + 472 * 30


def test_pictures_are_edited(client: Any, emulator: Emulated) -> None:
    """An edit takes files in a form, streamed or not, and counts them as input."""
    file = io.BytesIO()
    Image.new("RGB", (64, 96), (200, 40, 40)).save(file, "PNG")
    first = ("still.png", file.getvalue(), "image/png")
    made = client.images.edit(model=PAINTER, image=first, prompt="at night", quality="low")
    assert made.data is not None and picture(made.data[0].b64_json).size == (1024, 1024)
    assert made.usage is not None and made.usage.input_tokens_details.image_tokens == 6
    stream = client.images.edit(
        model=PAINTER, image=[first, first], prompt="twice", stream=True, partial_images=1
    )
    assert [event.type for event in stream] == ["image_edit.partial_image", "image_edit.completed"]
    assert emulator.last_run()["marks"]["path"] == "/v1/images/edits"


def test_an_edit_is_taken_as_json(emulator: Emulated) -> None:
    """An edit that names its pictures by data URLs makes one."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    asked = {"model": PAINTER, "prompt": "x", "images": [{"image_url": url}], "quality": "low"}
    answer = httpx2.post(
        emulator.url + "/v1/images/edits", json=asked, headers=emulator.headers, timeout=20
    )
    assert answer.status_code == 200
    assert picture(answer.json()["data"][0]["b64_json"]).size == (1024, 1024)


def test_a_huge_picture_passes_the_sdk(client: Any, emulator: Emulated) -> None:
    """A picture of megabytes in one event is more than httpx2's own reader takes."""
    emulator.arm("huge=4")
    stream = client.images.generate(model=PAINTER, prompt="huge", stream=True)
    (event,) = stream
    assert len(event.b64_json) > 4_000_000 * 4 // 3
    assert picture(event.b64_json).size == (1024, 1024)
    asked = {"model": PAINTER, "prompt": "huge", "stream": True}
    with httpx2.Client(base_url=emulator.url, headers=emulator.headers) as plain:
        answer = plain.stream("POST", "/v1/images/generations", json=asked)
        with pytest.raises(httpx2.SSEError, match="1048576"), answer as lines:
            list(httpx2.EventSource(lines))


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"size": "1000x1000"}, "size", "invalid_value"),
        ({"size": "256x1024"}, "size", "invalid_value"),
        ({"model": "gpt-image-1-mini", "size": "512x512"}, "size", "invalid_value"),
        ({"quality": "hd"}, "quality", "invalid_value"),
        ({"response_format": "url"}, "response_format", "unknown_parameter"),
        ({"output_format": "jpeg", "background": "transparent"}, "background", "invalid_value"),
        ({"prompt": ""}, "prompt", "missing_required_parameter"),
    ],
)
def test_wrong_parameters_are_named(
    client: Any, emulator: Emulated, asked: dict[str, Any], param: str, code: str
) -> None:
    """A request that is not right is refused with its parameter; nothing begins."""
    before = len(emulator.runs())
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(**{"model": PAINTER, "prompt": "x"} | asked)
    assert (refused.value.param, refused.value.code) == (param, code)
    assert refused.value.request_id is not None and refused.value.request_id.startswith("req_")
    assert len(emulator.runs()) == before


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("http-500@1", openai.InternalServerError, "server_error"),
        ("http-503@1", openai.InternalServerError, "server_error"),
        ("throttle=7@1", openai.RateLimitError, "rate_limit_exceeded"),
        ("no-credit@1", openai.RateLimitError, "insufficient_quota"),
        ("unauthorized@1", openai.AuthenticationError, "invalid_api_key"),
        ("moderated@1", openai.BadRequestError, "moderation_blocked"),
        ("lost-request@1", openai.APIConnectionError, None),
    ],
)
def test_refusals_are_the_sdks_own_errors(
    client: Any, emulator: Emulated, fault: str, error: type[openai.APIError], code: str | None
) -> None:
    """Each fault before the beginning is the exception that the SDK has for it; nothing begins,
    and the next request is answered."""
    before = len(emulator.runs())
    emulator.arm(fault)
    with pytest.raises(error) as refused:
        client.images.generate(model=PAINTER, prompt="x")
    assert refused.value.code == code
    if isinstance(refused.value, openai.RateLimitError) and code == "rate_limit_exceeded":
        assert refused.value.response.headers["retry-after"] == "7"
    assert len(emulator.runs()) == before
    assert client.responses.create(model=MODEL, input="x").status == "completed"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("lost-answer@1", openai.APIConnectionError),
        ("http-504@1", openai.InternalServerError),
        ("hang=stream@1", openai.APITimeoutError),
        ("cut@1", openai.APIConnectionError),
    ],
)
def test_a_lost_answer_is_billed(
    client: Any, emulator: Emulated, fault: str, error: type[openai.APIError]
) -> None:
    """The run that was begun goes to its end and costs what it costs, whoever listens."""
    emulator.arm(fault)
    with pytest.raises(error):
        client.with_options(timeout=3).images.generate(model=PAINTER, prompt="x", size="512x512")
    run = emulator.settled()[-1]
    assert (run["outcome"], run["cost_micros"]) == ("succeeded", 5 + 264 * 30)


def test_a_stream_that_fails_raises(client: Any, emulator: Emulated) -> None:
    """An error in the middle of a stream is raised by the SDK with its code."""
    emulator.arm("fail")
    with pytest.raises(openai.APIError) as failed:
        list(client.images.generate(model=PAINTER, prompt="x", stream=True, partial_images=1))
    assert failed.value.code == "server_error"
    asked: Any = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.APIError, match="error while processing"):
        list(client.chat.completions.create(model=MODEL, messages=asked, stream=True))
    emulator.disarm()
    emulator.arm("moderated=run@1")
    with pytest.raises(openai.APIError) as blocked:
        list(client.images.generate(model=PAINTER, prompt="x", stream=True))
    assert blocked.value.code == "moderation_blocked"
    assert emulator.last_run()["cost_micros"] == 0


def test_a_key_is_asked_for(emulator: Emulated) -> None:
    """Without a key, or with another, nothing is answered, and the key is not told back."""
    url = emulator.url + "/v1"
    with OpenAI(api_key="sk-wrong-secret-key", base_url=url, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            stranger.models.list()
    assert refused.value.code == "invalid_api_key" and "secret" not in str(refused.value)
    assert httpx2.get(url + "/models").status_code == 401


def test_the_sdk_asks_again_by_itself(emulator: Emulated) -> None:
    """Left to its defaults the SDK repeats a create whose answer was lost: two runs are billed.
    That is why an adapter must not let it."""
    before = len(emulator.runs())
    emulator.arm("lost-answer@1")
    with OpenAI(api_key=emulator.key, base_url=emulator.url + "/v1") as eager:
        assert eager.responses.create(model=MODEL, input="once").status == "completed"
    assert len(emulator.runs()) == before + 2


async def test_the_async_client_is_served_alike(emulator: Emulated) -> None:
    """The client that a server would use hears the same."""
    async with AsyncOpenAI(api_key=emulator.key, base_url=emulator.url + "/v1") as client:
        stream = await client.responses.create(input="hello", stream=True, **BACKGROUND)
        events = [event async for event in stream]
        assert events[-1].type == "response.completed"
        made = await client.images.generate(model=PAINTER, prompt="x", stream=True)
        assert [event.type async for event in made] == ["image_generation.completed"]
