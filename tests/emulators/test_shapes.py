"""What three emulators put on the wire, held strictly against the types of the official SDKs.

The SDKs themselves read leniently: a field that is missing becomes None without a word.
Here every body is validated against their declarations, with all that is required, and
against the bodies that are known from the providers' references.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from anthropic.types import ErrorResponse, Message, ModelInfo, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types import ImageGenStreamEvent, ImagesResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.doubles.emulated import Emulated, emulated

pytestmark = pytest.mark.slow

Servers = dict[str, Emulated]
SAID = [{"role": "user", "content": "Say exactly: a b"}]
TOOLS = [{"type": "image_generation", "partial_images": 1, "quality": "low"}]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("shapes")
    with ExitStack() as stack:
        names = ("openai", "anthropic", "gemini")
        yield {name: stack.enter_context(emulated(folder, name)) for name in names}


def post(server: Emulated, path: str, asked: dict[str, Any]) -> httpx2.Response:
    headers = {"x-goog-api-key": server.key, "anthropic-version": "2026-10-21"}
    return httpx2.post(server.url + path, json=asked, headers=headers | server.headers)


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The JSON of each event; its name is its type where it has both."""
    found = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if lines["data"] != "[DONE]":
            found.append(json.loads(lines["data"]))
            assert lines.get("event", found[-1].get("type")) == found[-1].get("type")
    return found


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"background": True},
        {"tools": TOOLS},
        {"max_output_tokens": 1},
        {"instructions": "Be brief.", "metadata": {"a": "b"}},
    ],
)
def test_events_of_responses(servers: Servers, asked: dict[str, Any]) -> None:
    """Every event of a response is one that the SDK declares, whole."""
    body = {"model": "gpt-5.4-mini", "input": SAID, "stream": True} | asked
    told = events(post(servers["openai"], "/v1/responses", body))
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    types = [adapter.validate_python(each).type for each in told]
    assert types == [each["type"] for each in told] and len(told) > 7


def test_a_failed_response(servers: Servers) -> None:
    """It is told with an error that the SDK declares."""
    servers["openai"].arm("fail@1")
    made = post(servers["openai"], "/v1/responses", {"model": "gpt-5.4", "input": "x"})
    response = Response.model_validate(made.json())
    assert response.error is not None and response.error.code == "server_error"


def test_pictures(servers: Servers) -> None:
    """Streamed and whole, with exactly the fields of the reference."""
    asked = {"model": "gpt-image-2", "prompt": "x", "size": "256x256", "quality": "low"}
    whole = post(servers["openai"], "/v1/images/generations", asked)
    ImagesResponse.model_validate(whole.json())
    streamed = asked | {"stream": True, "partial_images": 1}
    told = events(post(servers["openai"], "/v1/images/generations", streamed))
    adapter: TypeAdapter[Any] = TypeAdapter(ImageGenStreamEvent)
    for each in told:
        adapter.validate_python(each)
    common = {"type", "b64_json", "created_at", "size", "quality", "background", "output_format"}
    assert set(told[0]) == common | {"partial_image_index"}
    assert set(told[1]) == common | {"usage"}
    assert set(told[1]["usage"]) >= {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
    }


def test_chats(servers: Servers) -> None:
    """Chunks and whole completions."""
    asked = {"model": "gpt-4.1-mini", "messages": SAID}
    ChatCompletion.model_validate(post(servers["openai"], "/v1/chat/completions", asked).json())
    streamed = asked | {"stream": True, "stream_options": {"include_usage": True}}
    for each in events(post(servers["openai"], "/v1/chat/completions", streamed)):
        ChatCompletionChunk.model_validate(each)


def test_models(servers: Servers) -> None:
    """Of both lists."""
    listed = httpx2.get(servers["openai"].url + "/v1/models", headers=servers["openai"].headers)
    assert [Model.model_validate(each) for each in listed.json()["data"]]
    server = servers["anthropic"]
    headers = server.headers | {"anthropic-version": "2026-10-21"}
    listed = httpx2.get(server.url + "/v1/models", headers=headers)
    assert [ModelInfo.model_validate(each) for each in listed.json()["data"]]


@pytest.mark.parametrize("more", [{}, {"thinking": {"type": "adaptive"}}, {"max_tokens": 1}])
def test_messages(servers: Servers, more: dict[str, Any]) -> None:
    """Whole, and as events in the order of the reference, pings aside."""
    server = servers["anthropic"]
    asked = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": SAID} | more
    Message.model_validate(post(server, "/v1/messages", asked).json())
    told = events(post(server, "/v1/messages", asked | {"stream": True}))
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    types = [adapter.validate_python(e).type for e in told if e["type"] != "ping"]
    assert types[0] == "message_start" and types[-2:] == ["message_delta", "message_stop"]
    opened = [each["index"] for each in told if each["type"] == "content_block_start"]
    closed = [each["index"] for each in told if each["type"] == "content_block_stop"]
    assert opened == closed == list(range(len(opened)))


def test_errors(servers: Servers) -> None:
    """The bodies of the references, field by field."""
    server = servers["anthropic"]
    server.arm("http-529@1")
    asked = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": SAID}
    refused = ErrorResponse.model_validate(post(server, "/v1/messages", asked).json())
    assert refused.error.type == "overloaded_error" and refused.request_id is not None
    servers["openai"].arm("no-credit@1")
    answer = post(servers["openai"], "/v1/responses", {"model": "gpt-5.4", "input": "x"})
    assert answer.status_code == 429 and answer.headers["x-request-id"].startswith("req_")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert error["code"] == "insufficient_quota"
    servers["gemini"].arm("throttle=17@1")
    path = "/v1beta/models/gemini-2.5-pro:generateContent"
    error = post(servers["gemini"], path, {"contents": [{"parts": [{"text": "x"}]}]}).json()
    details = error["error"].pop("details")
    assert error["error"].keys() == {"code", "status", "message"}
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"} in details


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-pro-image"])
def test_contents(servers: Servers, model: str) -> None:
    """Each chunk is a whole response, with no field that the SDK does not declare."""
    path = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
    asked = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    told = events(post(servers["gemini"], path, asked))
    for each in told:
        GenerateContentResponse.model_validate(each)
        assert each.keys() == {"candidates", "usageMetadata", "modelVersion", "responseId"}
    assert told[-1]["candidates"][0]["finishReason"] == "STOP"
