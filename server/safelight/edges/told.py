"""The bodies of what a join is told first: its reply, and the `status` push after it.

Each is made to fit into a frame (safelight_protocol/bounds.py): a snapshot is cut
where its texts are long, and the address of the whole stands beside it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol.bounds import MAX_PAYLOAD, bounded
from safelight_protocol.events import ErrorData, ResultData
from safelight_protocol.snapshot import Snapshot, brief

CUT_CHARACTERS = 20_000
"""Texts of a snapshot that would not fit into a frame are cut to this length."""


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `status` push that follows a join."""

    task_id: str
    status: str
    progress: float
    message: str
    timestamp: str
    seq: int
    result_data: ResultData | None = None
    error_data: ErrorData | None = None


def status_push(snapshot: Snapshot) -> bytes:
    """Where a task stands, in the words that the deployed app reads."""
    status = Status(
        task_id=snapshot.task_id,
        status=snapshot.status,
        progress=snapshot.progress,
        message=snapshot.message or f"Task {snapshot.status}",
        timestamp=snapshot.updated_at,
        seq=snapshot.seq,
        result_data=snapshot.result_data,
        error_data=snapshot.error_data,
    )
    return bounded(msgspec.json.encode(status), snapshot.task_id)


def join_reply(reply: dict[str, Any], snapshot: Snapshot) -> bytes:
    """The reply to a join with the snapshot as its `task`."""
    body = msgspec.json.encode({"task": snapshot} | reply)
    if len(body) <= MAX_PAYLOAD:
        return body
    url = {"url": f"/api/tasks/{snapshot.task_id}"}
    cut = msgspec.json.encode({"task": brief(snapshot, CUT_CHARACTERS)} | reply | url)
    return bounded(cut, snapshot.task_id)


def snapshot_reply(snapshot: Snapshot) -> bytes:
    """The snapshot as the reply to a command."""
    body = msgspec.json.encode(snapshot)
    if len(body) <= MAX_PAYLOAD:
        return body
    return bounded(msgspec.json.encode(brief(snapshot, CUT_CHARACTERS)), snapshot.task_id)
