"""The pushes that the deployed app waits for after a `*_generate`: an acknowledgement
once the task is on disk, never its result. See facts in docs/wire.md, "The deployed app".
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol.bounds import bounded
from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind, timestamp
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from ..care import Answer
from .context import Context

GENERATE: dict[str, Kind] = {
    "image_generate": "image",
    "video_generate": "video",
    "llm_generate": "text",
}
"""The commands by which the app asks for a task, and what each makes."""

RESPONSES: dict[Kind, str] = {
    "image": "image_response",
    "video": "video_response",
    "text": "llm_response",
}

APP_CODES = ("missing_prompt", "enqueue_failed", "task_creation_failed", "generation_failed")


def generate_reply(made: Answer) -> bytes:
    """The reply to a `*_generate`."""
    told = {
        "task_id": made.task.id,
        "status": made.snapshot.status,
        "created": made.created,
        "attached": not made.created,
        "warnings": msgspec.to_builtins(list(made.warnings)),
    }
    return bounded(msgspec.json.encode(told), made.task.id)


def response_push(kind: Kind, outcome: Answer | Refused, payload: Any, context: Context) -> bytes:
    """The body of `image_response`, `video_response` or `llm_response`."""
    told = _envelope(payload, context)
    if isinstance(outcome, Refused):
        failed = told | {"success": False, "error": _error(outcome, kind)}
        return bounded(msgspec.json.encode(failed), None)
    task = outcome.task
    told |= {
        "success": True,
        "task_id": task.id,
        "message": "Task accepted" if outcome.created else "Attached to the task",
        "model": task.resolved.substituted_for or task.resolved.model,
        **_stand_in(task),
    }
    return msgspec.json.encode(told)


def text_push(snapshot: Snapshot | None, made: Answer, payload: Any, context: Context) -> bytes:
    """The body of `llm_response` once the text is there, or why it is not. Without a
    snapshot the task was deleted before it could be told.

    A text too large for a frame is cut, with `truncated` and the `url` of the whole.
    """
    told = _envelope(payload, context) | {"task_id": made.task.id}
    result = None if snapshot is None else snapshot.result_data
    if result is None:
        message = "Task deleted" if snapshot is None else f"Task {snapshot.status}"
        if snapshot is not None and snapshot.error_data is not None:
            message = snapshot.error_data.message
        failed = {"code": "generation_failed", "message": message, "details": {}}
        body = msgspec.json.encode(told | {"success": False, "error": failed})
        return bounded(body, made.task.id)
    told |= {
        "success": True,
        "content": result.content,
        "generation_id": result.generation_id,
        "model": made.task.resolved.substituted_for or result.model,
        "provider": result.provider,
        **_stand_in(made.task),
    }
    return bounded(msgspec.json.encode(told), made.task.id)


def _stand_in(task: Task) -> dict[str, str]:
    """Whoever gets another model than the one that was asked for is told."""
    asked = task.resolved.substituted_for
    return {} if asked is None else {"substituted_for": asked}


def _envelope(payload: Any, context: Context) -> dict[str, Any]:
    request_id = payload.get("request_id") if isinstance(payload, dict) else None
    return {
        "timestamp": timestamp(context.clock()),
        "request_id": request_id if isinstance(request_id, str) else None,
    }


def _error(refused: Refused, kind: Kind) -> dict[str, Any]:
    """The app knows few codes; ours is in the details."""
    name = refused.code.name
    if name not in APP_CODES:
        temporary = refused.code.retry == "later"
        other = "generation_failed" if kind == "text" else "task_creation_failed"
        name = "enqueue_failed" if temporary else other
    return {
        "code": name,
        "message": refused.message,
        "details": {"code": refused.code.name, "fields": refused.details},
    }
