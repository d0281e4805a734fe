"""The deployed app's text door: POST /api/llm/generate, GET /api/llm/models.

A text asked for here is a task like any other, made or found by the one path; the only
difference is that the answer waits for its end. Whoever hangs up cancels nothing: the
task goes on, and its id, its key or the same request finds it. Speaks the app's words.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_generate, read_key_header
from safelight_protocol.events import TERMINAL
from safelight_protocol.snapshot import Snapshot

from ..care import Answer
from .bodies import answer, plain, read_json
from .context import Context, context_of
from .follow import wait_for_end
from .problems import mark_app_form
from .tasks import creation, preferred_wait


async def generate(request: Request) -> Response:
    """POST /api/llm/generate: 200 with the text, 202 with the task if it takes longer."""
    context = context_of(request)
    mark_app_form(request)
    owner = context.owner(request)
    body = await read_json(request, context)
    key = read_key_header(request.headers.get("idempotency-key"))
    made = await context.orchestrator.create(
        owner, read_generate("text", body, topic_id=None, key=key)
    )
    snapshot = await _waited(request, context, made)
    headers = {"Location": f"/api/tasks/{snapshot.task_id}"}
    if snapshot.status not in TERMINAL:
        told = "The text is not there yet; follow its task, or send the same request again"
        return answer(_text(made, snapshot), told, 202, headers)
    if snapshot.result_data is None:
        raise _failed(snapshot)
    return answer(_text(made, snapshot), "Text generated", 200, headers)


async def models(request: Request) -> Response:
    """GET /api/llm/models: what may be named as `model`, for people to choose from."""
    context = context_of(request)
    context.owner(request)
    found = context.registry.offers("text")
    return answer({"models": [plain(offer) for offer in found]}, f"{len(found)} models")


async def _waited(request: Request, context: Context, made: Answer) -> Snapshot:
    wished = preferred_wait(request)
    seconds = context.settings.generate_wait_seconds if wished is None else wished
    return await wait_for_end(context, made.task, made.snapshot, seconds)


def _text(made: Answer, snapshot: Snapshot) -> dict[str, Any]:
    result = snapshot.result_data
    content, generation = (None, None) if result is None else (result.content, made.task.uid)
    return {
        "task_id": snapshot.task_id,
        "status": snapshot.status,
        "progress": snapshot.progress,
        "content": content,
        "generation_id": generation,
        "model": snapshot.model,
        "provider": snapshot.provider,
        "substituted_for": snapshot.substituted_for,
        **creation(made),
    }


def _failed(snapshot: Snapshot) -> Refused:
    message = f"Task {snapshot.status}"
    if snapshot.error_data is not None:
        message = snapshot.error_data.message
    told = {"task_id": snapshot.task_id, "error_data": msgspec.to_builtins(snapshot.error_data)}
    return Refused("generation_failed", message, **told)
