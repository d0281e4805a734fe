"""Routes about prompts: submit, queue, history, interrupt, free.

Answers are those of facts recorded from real servers, down to empty bodies; whatever the
real one lets raise ends as its 500.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from . import problems
from .answers import as_json, empty, number_or_none, server_error
from .faults import NODE_FAULTS, Fault, read_faults
from .lineup import Item
from .options import is_canonical
from .studio import Studio
from .validation import validate

Handler = Callable[[Request], Awaitable[Response]]
SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")
FAULT_HEADER = "x-kernie-fault"


def raising(handler: Handler) -> Handler:
    """Answer 500 when a handler raises, in the words of the real one."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as trouble:  # the top of a request: bodies of any shape come here
            request.scope["kernie.note"]["trouble"] = repr(trouble)
            return server_error()

    return answer


class Prompts:
    """The handlers; one per route."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._line = studio.line

    async def count(self, request: Request) -> Response:
        """GET /prompt."""
        return as_json(self._studio.status()["status"])

    async def submit(self, request: Request) -> Response:
        """POST /prompt."""
        body = await request.json()
        number = self._number(body)
        if "prompt" not in body:
            return as_json({"error": problems.no_prompt(), "node_errors": {}}, 400)
        prompt_id = self._prompt_id(body)
        if prompt_id is None:
            return as_json({"error": problems.bad_prompt_id(), "node_errors": {}}, 400)
        request.scope["kernie.note"] |= {"prompt_id": prompt_id, "number": number}
        studio = self._studio
        graph, targets = body["prompt"], body.get("partial_execution_targets")
        verdict = validate(graph, studio.catalog, targets, studio.options.modern)
        if verdict.error is not None:
            refusal = {"error": verdict.error, "node_errors": verdict.node_errors}
            return as_json(refusal, 400)
        extra = self._extra(body)
        item = Item(number, prompt_id, graph, extra, verdict.outputs, self._faults(request))
        self._line.put(item)
        told = {"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors}
        return as_json(told)

    def _number(self, body: Any) -> int | float:
        if "number" in body:
            return float(body["number"])
        number = self._line.draw_number()
        if "front" in body:  # a list is no refusal yet, so nothing may be asked by `get`
            return -number if body["front"] else number
        return number

    def _prompt_id(self, body: dict[str, Any]) -> str | None:
        """The id of this prompt; None for one that is refused."""
        if not self._studio.options.modern:
            return str(body.get("prompt_id", uuid.uuid4()))
        given = body.get("prompt_id")
        if given is None:
            return str(uuid.uuid4())
        return given if is_canonical(given) else None

    def _extra(self, body: dict[str, Any]) -> dict[str, Any]:
        extra = dict(body.get("extra_data", {}))
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        if self._studio.options.modern:
            extra["create_time"] = int(time.time() * 1000)
        return {key: value for key, value in extra.items() if key not in SECRETS}

    def _faults(self, request: Request) -> list[Fault]:
        asked = read_faults(request.headers.get(FAULT_HEADER))
        here = [fault for fault in asked if fault.name in NODE_FAULTS]
        return here + self._studio.armed.for_prompt()

    async def queue(self, request: Request) -> Response:
        """GET /queue."""
        running, pending = self._line.current()
        told = {"queue_running": running, "queue_pending": pending}
        return as_json({name: [item.told() for item in items] for name, items in told.items()})

    async def change_queue(self, request: Request) -> Response:
        """POST /queue."""
        body = await request.json()
        if body.get("clear"):
            self._line.clear()
        for prompt_id in body.get("delete", ()):
            self._line.delete(prompt_id)
        return empty()

    async def history(self, request: Request) -> Response:
        """GET /history."""
        most = number_or_none(request.query_params, "max_items")
        offset = number_or_none(request.query_params, "offset")
        return as_json(self._line.history(most, -1 if offset is None else offset))

    async def past(self, request: Request) -> Response:
        """GET /history/{prompt_id}."""
        prompt_id = request.path_params["prompt_id"]
        entry = self._line.past(prompt_id)
        return as_json({} if entry is None else {prompt_id: entry})

    async def change_history(self, request: Request) -> Response:
        """POST /history."""
        body = await request.json()
        if body.get("clear"):
            self._line.forget(None)
        for prompt_id in body.get("delete", ()):
            self._line.forget(prompt_id)
        return empty()

    async def interrupt(self, request: Request) -> Response:
        """POST /interrupt, with or without a prompt id."""
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = {}
        self._studio.worker.interrupt(body.get("prompt_id") or None)
        return empty()

    async def free(self, request: Request) -> Response:
        """POST /free."""
        body = await request.json()
        if body.get("free_memory") or body.get("unload_models"):
            self._studio.worker.free()
        return empty()
