"""The Responses API of the OpenAI emulator: create, come back to, cancel, delete.

A response that was created with `background` goes on by itself; with `stream` as well, its
events can be had again from any number on. All others are synchronous: they are billed to
their end though nobody listens, and cannot be cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..telling import Later, Stream, as_json, event
from . import said
from .desk import Desk
from .errors import invalid, missing, not_found, prompt_blocked, unknown, wrong_type
from .response_run import ResponseRun

KNOWN = frozenset(
    "model input instructions stream stream_options background store metadata max_output_tokens"
    " max_tool_calls tools tool_choice parallel_tool_calls temperature top_p truncation text"
    " reasoning include previous_response_id conversation safety_identifier user service_tier"
    " prompt prompt_cache_key prompt_cache_retention prompt_cache_options top_logprobs"
    " moderation".split()
)

KEPT_SECONDS = 30 * 24 * 3600
"""How long a stored response can be had after its creation."""

MOST_KEPT = 2000
MOST_METADATA = 16


class Responses:
    """The routes, and what is stored."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stored: dict[str, ResponseRun] = {}

    async def create(self, request: Request) -> Response:
        """POST /v1/responses."""
        desk = self._desk
        asked = await desk.body(request)
        _check(asked)
        model = said.text_model(asked)
        self._check_previous(asked)
        words = said.read(asked["input"], "input", asked.get("instructions"))
        instead = desk.fault_of_create(prompt_blocked())
        run = ResponseRun(desk, model, words, asked)
        desk.begun(run.id, model, request, asked, words.prompt)
        self._store(run)
        desk.bench.background(run.go())
        if instead is not None:
            return instead
        if asked.get("stream"):
            return self._stream(run, 0)
        if run.is_background:
            return as_json(run.told())
        return Later(run.answer, desk.fault_of_stream())

    async def retrieve(self, request: Request) -> Response:
        """GET /v1/responses/{id}, with `stream=true` from behind `starting_after` on."""
        self._desk.check(request)
        instead = self._desk.fault_of_other("get")
        if instead is not None:
            return instead
        run = self._found(request)
        if request.query_params.get("stream") != "true":
            return as_json(run.told())
        if not (run.is_background and run.streams):
            message = "This response cannot be streamed because it was not created with"
            raise invalid(f"{message} background=true and stream=true.", "stream", None)
        after = request.query_params.get("starting_after", "-1")
        if not after.removeprefix("-").isdecimal():
            raise wrong_type("starting_after", "an integer", after)
        return self._stream(run, int(after) + 1)

    async def cancel(self, request: Request) -> Response:
        """POST /v1/responses/{id}/cancel; safe to repeat, and after the end."""
        self._desk.check(request)
        instead = self._desk.fault_of_other("cancel")
        if instead is not None:
            return instead
        run = self._found(request)
        if not run.is_background:
            raise invalid("Cannot cancel a synchronous response.", None, None)
        await run.cancel()
        return as_json(run.told())

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/responses/{id}: it is forgotten; a run that goes on does so."""
        self._desk.check(request)
        run = self._found(request)
        del self._stored[run.id]
        return as_json({"id": run.id, "object": "response", "deleted": True})

    def _stream(self, run: ResponseRun, start: int) -> Stream:
        middle = max(1, (run.expected - start) // 2)
        return Stream(_lines(run, start), fault=self._desk.fault_of_stream(), middle=middle)

    def _store(self, run: ResponseRun) -> None:
        if run.is_stored:
            self._stored[run.id] = run
        while len(self._stored) > MOST_KEPT:
            del self._stored[next(iter(self._stored))]

    def _found(self, request: Request) -> ResponseRun:
        id = request.path_params["id"]
        run = self._stored.get(id)
        if run is None or self._desk.now() - run.created_at > KEPT_SECONDS:
            raise not_found(f"Response with id '{id}' not found.")
        return run

    def _check_previous(self, asked: Mapping[str, Any]) -> None:
        previous = asked.get("previous_response_id")
        if previous is not None and previous not in self._stored:
            message = f"Previous response with id '{previous}' not found."
            code = "previous_response_not_found"
            raise invalid(message, "previous_response_id", code)


async def _lines(run: ResponseRun, start: int) -> AsyncIterator[bytes]:
    async for told in run.tape.read(start):
        yield event(told, told["type"])


def _check(asked: Mapping[str, Any]) -> None:
    for name in asked:
        if name not in KNOWN:
            raise unknown(name)
    if asked.get("input") is None:
        raise missing("input")
    for name in ("stream", "background", "store"):
        if asked.get(name) is not None and not isinstance(asked[name], bool):
            raise wrong_type(name, "a boolean", asked[name])
    if asked.get("background") and asked.get("store") is False:
        raise invalid("Background mode requires store to be true.", "store", None)
    said.most_tokens(asked, "max_output_tokens")
    _check_metadata(asked.get("metadata"))


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    if len(metadata) > MOST_METADATA:
        raise invalid("Invalid 'metadata': too many properties.", "metadata")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{key}", "a string", value)
        if len(key) > 64 or len(value) > 512:
            raise invalid(f"Invalid 'metadata.{key}': string too long.", "metadata")
