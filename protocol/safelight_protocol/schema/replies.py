"""The answers and pushes that the doors put together, as types for the published schemas.

The doors join snapshots, cursors and warnings as plain objects; their shapes are
written here once. Nothing of this is encoded or decoded by a server: that each door
still sends exactly this is held by tests/e2e/test_frames.py. See docs/wire.md.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ..codes import Retry
from ..effects import Detail
from ..events import ErrorData, Status, TaskEvent
from ..identity import Difference
from ..snapshot import Snapshot

Warned = str | Difference
"""A warning: a sentence, or a field in which the task differs from the request."""


class SnapshotPlace(msgspec.Struct):
    """A snapshot and the cursor that it stands at. A look at one task that waits says how
    many have their turn before it, too."""

    cursor: str
    log: str
    ahead: int | UnsetType = UNSET


class Creation(msgspec.Struct):
    """What became of a create. `warnings` tell what was ignored or differs."""

    created: bool
    attached: bool
    warnings: list[Warned]
    events_url: str


class BatchResult(msgspec.Struct):
    """What became of one request of a batch: `status` is what it would have got alone,
    `data` comes with 200 and 202, `problem` with every other."""

    index: int
    status: int
    data: dict[str, Any] | UnsetType = UNSET
    problem: dict[str, Any] | UnsetType = UNSET


class BatchData(msgspec.Struct):
    """The answer to a batch: its results in the order of its requests, and their count."""

    results: list[BatchResult]
    created: int
    attached: int
    refused: int


class TextData(msgspec.Struct):
    """The answer of POST /api/llm/generate; `content` is null while the task runs."""

    task_id: str
    status: Status
    progress: float
    content: str | None
    generation_id: str | None
    model: str
    provider: str
    substituted_for: str | None
    created: bool
    attached: bool
    warnings: list[Warned]
    events_url: str


class TaskListData(msgspec.Struct):
    """A page of tasks, newest first. `next` is the `before` of the next page."""

    tasks: list[Snapshot]
    next: str | None
    position: int
    log: str


class EventsData(msgspec.Struct):
    """One answer of a long-poll. `task` comes with a gap, in the place of events."""

    events: list[TaskEvent]
    cursor: str
    log: str
    gap: bool
    ended: bool
    task: Snapshot | UnsetType = UNSET


class GapData(msgspec.Struct):
    """The data of an SSE event `gap`: what was missed is no longer to be had."""

    task: Snapshot
    cursor: str
    gap: Literal[True]


class DeletedData(msgspec.Struct):
    """The task that is gone."""

    task_id: str


class HealthData(msgspec.Struct):
    """What the process counts. The counters are for people and may change."""

    version: str
    statistics: dict[str, Any]


class ReadyData(msgspec.Struct):
    """The server takes tasks."""

    version: str


class ErrorBody(msgspec.Struct):
    """The error as native clients read it; `code` is a row of the codes table."""

    code: str
    message: str
    details: list[Detail]


class AppErrorBody(msgspec.Struct):
    """The error as the deployed app reads it: its own codes, messages by field."""

    code: str
    message: str
    details: dict[str, list[str]]


class Problem(msgspec.Struct):
    """A problem document (RFC 9457). Some codes add a member, `task_id`, `reference`
    or `backend`; in an answer to a batch `index` is the place of the request."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry: Retry
    success: Literal[False]
    error: ErrorBody
    task_id: str | UnsetType = UNSET
    reference: str | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    index: int | UnsetType = UNSET


class AppProblem(msgspec.Struct):
    """A problem document in answer to the deployed app's form of body. `error_data` is
    there where the request was accepted and its task failed."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retry: Retry
    success: Literal[False]
    error: AppErrorBody
    task_id: str | UnsetType = UNSET
    reference: str | UnsetType = UNSET
    backend: str | UnsetType = UNSET
    index: int | UnsetType = UNSET
    error_data: ErrorData | UnsetType | None = UNSET


class SocketError(msgspec.Struct):
    """The response of a reply with status `error`. `reason` is in Phoenix's words."""

    reason: str
    code: str
    message: str
    details: list[Detail]
    task_id: str | UnsetType = UNSET
    reference: str | UnsetType = UNSET
    backend: str | UnsetType = UNSET


class JoinTaskReply(msgspec.Struct):
    """The response to a join of `task:<id>`; events after `cursor` follow it.

    `url` is there when the snapshot was too large for one frame: it has all of it.
    """

    task: Snapshot
    log: str
    cursor: str
    seq: int
    gap: bool
    created: bool
    attached: bool
    warnings: list[Warned]
    url: str | UnsetType = UNSET


class Preferences(msgspec.Struct):
    """What the owner has chosen, for all devices; `backend` is null where nothing was.
    `warnings` say what of it is ignored."""

    backend: str | None
    warnings: list[str]


class JoinGalleryReply(msgspec.Struct):
    """The response to a join of `tasks:mine`; changes after `position` follow it."""

    tasks: list[Snapshot]
    position: int
    next: str | None
    log: str
    gap: bool
    warnings: list[str]
    preferences: Preferences


class ListReply(msgspec.Struct):
    """The response to `list`: an older page of the gallery."""

    tasks: list[Snapshot]
    next: str | None


class GenerateReply(msgspec.Struct):
    """The response to `image_generate`, `video_generate` or `llm_generate`."""

    task_id: str
    status: Status
    created: bool
    attached: bool
    warnings: list[Warned]


class GalleryTask(msgspec.Struct):
    """The push `task`: one task at its latest change."""

    task: Snapshot
    position: int


class GalleryDeletion(msgspec.Struct):
    """The push `task_deleted`."""

    task_id: str
    position: int


class PreviewUrl(msgspec.Struct):
    """Where the preview of that step is to be had."""

    url: str


class RefusalDetails(msgspec.Struct):
    """Our own code behind the app's, and the fields that it is about."""

    code: str | UnsetType = UNSET
    fields: list[Detail] | UnsetType = UNSET


class RefusalBody(msgspec.Struct):
    """Why a `*_generate` was refused, in the app's codes."""

    code: Literal["missing_prompt", "enqueue_failed", "task_creation_failed", "generation_failed"]
    message: str
    details: RefusalDetails


class Accepted(msgspec.Struct):
    """`image_response` or `video_response`: an acknowledgement, never the result."""

    success: Literal[True]
    task_id: str
    message: str
    model: str
    timestamp: str
    request_id: str | None
    substituted_for: str | UnsetType = UNSET


class TextResponse(msgspec.Struct):
    """`llm_response`: the text, once it is whole."""

    success: Literal[True]
    task_id: str
    content: str
    generation_id: str
    model: str
    provider: str
    timestamp: str
    request_id: str | None
    substituted_for: str | UnsetType = UNSET


class Refusal(msgspec.Struct):
    """`image_response`, `video_response` or `llm_response` without success."""

    success: Literal[False]
    error: RefusalBody
    timestamp: str
    request_id: str | None
    task_id: str | UnsetType = UNSET
