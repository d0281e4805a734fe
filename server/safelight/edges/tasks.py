"""The REST door: create, look at, list, cancel and delete tasks.

Bytes to typed command, typed answer to bytes. What a request means is decided by the
orchestrator; this module never touches the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol import native
from safelight_protocol.commands import Create, is_app_form, read_create, read_key_header
from safelight_protocol.events import TERMINAL
from safelight_protocol.identity import Difference
from safelight_protocol.snapshot import Snapshot

from ..care import Answer
from .bodies import (
    Headers,
    answer,
    answer_of,
    header,
    header_in,
    joined,
    parse_json,
    plain,
    query_number,
    read_body,
)
from .context import Context, context_of
from .follow import wait_for_end
from .problems import mark_app_form, refusal
from .short import Say

MAX_WAIT_SECONDS = 60
Asked = Mapping[str, Any]
"""What of an ASGI scope says who asks."""


async def create(request: Request) -> Response:
    """POST /api/tasks: 202 for a new task, 200 for one that was there already."""
    context = context_of(request)
    owner = context.owner(request)
    body = await read_body(request, context)
    made = await context.orchestrator.create(owner, command_of(request, body))
    return await answered(request, context, made)


async def answered(request: Request, context: Context, made: Answer) -> Response:
    """What a create is answered with, its end waited for if the caller prefers that."""
    seconds = preferred_wait(request)
    if not seconds:
        return _made(context, made, made.snapshot)
    snapshot = await wait_for_end(context, made.task, made.snapshot, seconds)
    waited = {"Preference-Applied": f"wait={seconds}"}
    return _made(context, made, snapshot, waited, ended=snapshot.status in TERMINAL)


def _made(
    context: Context,
    made: Answer,
    snapshot: Snapshot,
    waited: dict[str, str] | None = None,
    *,
    ended: bool = False,
) -> Response:
    status = 202 if made.created and not ended else 200
    headers = {} if waited is None else waited
    headers["Location"] = f"/api/tasks/{snapshot.task_id}"
    data, message = created_data(context, made, snapshot), message_of(made, snapshot)
    return answer_of(data, message, status, headers)


def create_soon(context: Context, asked: Asked, body: bytes, say: Say) -> bool:
    """A create without waiting, for a body that has nothing wrong with it; False if it is no
    such create. Raises what the other way raises, and then nothing was begun."""
    owner = context.auth.admit(asked).owner
    command = _native(asked["headers"], body)
    if command is None or len(body) > context.settings.max_body_bytes:
        return False

    def tell(came_to: Answer | BaseException) -> None:
        if isinstance(came_to, Answer):
            try:
                return say(_made(context, came_to, came_to.snapshot))
            except Exception as defect:
                came_to = defect
        say(refusal(came_to))

    return context.orchestrator.create_soon(owner, command, tell)


def command_of(request: Request, body: bytes) -> Create:
    """What a body asks for: decoded in one go if nothing is wrong with it, and otherwise
    field by field, so that all that is wrong can be told."""
    command = _native(request.scope["headers"], body)
    if command is not None:
        return command
    value = parse_json(body)
    if is_app_form(value):
        mark_app_form(request)
    return read_create(value, key=read_key_header(header(request, b"idempotency-key")))


def _native(headers: Headers, body: bytes) -> Create | None:
    command = native.read(body)
    sent = None if command is None else header_in(headers, b"idempotency-key")
    if command is None or sent is None:
        return command
    key = read_key_header(sent)
    return command if key is None else msgspec.structs.replace(command, key=key)


async def show(request: Request) -> Response:
    """GET /api/tasks/{id}. Refusals speak the app's words too: it is a door of both."""
    context = context_of(request)
    mark_app_form(request)
    task = await context.orchestrator.find(context.owner(request), request.path_params["id"])
    log = context.log
    return _shown(context, task.uid, log.live_snapshot(task.uid) or await log.snapshot(task))


def show_now(context: Context, asked: Asked, id: str) -> Response | None:
    """The same of a task that is in memory. Raises what the other way raises."""
    task = context.orchestrator.named(context.auth.admit(asked).owner, id)
    snapshot = None if task is None else context.log.live_snapshot(task.uid)
    return None if task is None or snapshot is None else _shown(context, task.uid, snapshot)


def _shown(context: Context, uid: str, snapshot: Snapshot) -> Response:
    ahead = context.orchestrator.ahead(uid)
    data = task_data(context, snapshot, UNSET if ahead is None else ahead)
    return answer_of(data, f"Task {snapshot.status}")


async def index(request: Request) -> Response:
    """GET /api/tasks: newest first, in pages."""
    context = context_of(request)
    limit = query_number(request, "limit", 50, low=1, high=200) or 50
    before = query_number(request, "before", None, low=0, high=2**53)
    start = None if before is None else str(before)
    page = await context.gallery.page(context.owner(request), start, limit)
    data = plain(page) | {"log": context.gallery.log}
    return answer(data, f"{len(page.tasks)} tasks")


async def cancel(request: Request) -> Response:
    """POST /api/tasks/{id}/cancel: 202 once it is asked for, 200 for an ended task."""
    context = context_of(request)
    owner = context.owner(request)
    snapshot = await context.orchestrator.cancel(owner, request.path_params["id"])
    ended = snapshot.status in TERMINAL
    message = (
        f"Task {snapshot.status}"
        if ended
        else "Cancel asked; the end will say whether it came in time"
    )
    return answer_of(task_data(context, snapshot), message, 200 if ended else 202)


async def delete(request: Request) -> Response:
    """DELETE /api/tasks/{id}: the task, its log and its files; the id stays taken."""
    context = context_of(request)
    id = request.path_params["id"]
    await context.orchestrator.delete(context.owner(request), id)
    return answer({"task_id": id}, "Task deleted")


class Place(msgspec.Struct):
    """Where a snapshot stands in its log, beside its own fields."""

    cursor: str
    log: str


class Queued(Place):
    """The same of a look at one task: how many have their turn before it, if it waits."""

    ahead: int | UnsetType = UNSET


class Made(Place):
    """The same of a create: whether the request made its task, and what its caller should
    know."""

    created: bool
    attached: bool
    warnings: list[str | Difference]
    events_url: str


def task_data(context: Context, snapshot: Snapshot, ahead: int | UnsetType = UNSET) -> bytes:
    """A snapshot with its cursor, as REST shows it."""
    log = context.log
    return joined(snapshot, Queued(log.cursor(snapshot.seq), log.id, ahead))


def created_data(context: Context, made: Answer, snapshot: Snapshot) -> bytes:
    """What a create is answered with, its task being at `snapshot` by now."""
    log = context.log
    return joined(snapshot, Made(log.cursor(snapshot.seq), log.id, *_creation(made)))


def _creation(made: Answer) -> tuple[bool, bool, list[str | Difference], str]:
    events = f"/api/tasks/{made.task.id}/events"
    return made.created, not made.created, list(made.warnings), events


def creation(made: Answer) -> dict[str, Any]:
    """Whether the request made its task, and what the caller should know."""
    created, attached, warnings, events = _creation(made)
    told = msgspec.to_builtins(warnings)
    return {"created": created, "attached": attached, "warnings": told, "events_url": events}


def message_of(made: Answer, snapshot: Snapshot) -> str:
    """The sentence beside a create's answer; of a failure it says how to try again."""
    if made.created:
        return "Task accepted"
    if snapshot.status == "failed":
        return "Existing task returned; it failed. Send a fresh key or none to try again"
    return "Existing task returned"


def preferred_wait(request: Request) -> int | None:
    """`Prefer: wait=N` (RFC 7240, section 4.3), at most a minute; None if it is not sent."""
    sent = header(request, b"prefer")
    if sent is None:
        return None
    for preference in sent.replace(";", ",").split(","):
        name, _, value = preference.strip().partition("=")
        digits = value.strip()
        if name.strip().lower() == "wait" and digits.isascii() and digits.isdigit():
            return min(int(digits[:9]), MAX_WAIT_SECONDS)
    return None
