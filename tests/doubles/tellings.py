"""Snapshots and events of a task as JSON objects, for tests that play a server."""

from __future__ import annotations

from typing import Any

WHEN = "2026-11-20T12:00:00.000Z"


def snapshot(seq: int, **changes: Any) -> dict[str, Any]:
    """A running picture task `t` at `seq`."""
    return {
        "task_id": "t",
        "seq": seq,
        "status": "processing",
        "progress": 0.0,
        "attempt": 1,
        "kind": "image",
        "input_data": {"type": "image", "prompt": "a monk"},
        "model": "local/paint",
        "provider": "local",
        "backend": None,
        "seed": 7,
        "created_at": WHEN,
        "updated_at": WHEN,
    } | changes


def reply(seq: int, *, after: int | None = None, gap: bool = False, **changes: Any) -> Any:
    """What a join is answered: the snapshot at `seq`, events to follow from `after`."""
    start = seq if after is None else after
    task = snapshot(seq, **changes)
    return {"task": task, "log": "l", "cursor": f"l-{start}", "seq": start, "gap": gap}


def event(seq: int, type: str = "progress", **body: Any) -> dict[str, Any]:
    """An event of the task; a `progress` of `seq` hundredths unless told otherwise."""
    envelope = {
        "type": type,
        "task_id": "t",
        "seq": seq,
        "status": "processing",
        "progress": seq / 100,
        "timestamp": WHEN,
        "attempt": 1,
    }
    if type == "progress":
        envelope |= {"step": seq, "steps": None, "message": None, "eta": None}
    return envelope | body


def failed(seq: int) -> dict[str, Any]:
    """The end of a task that failed."""
    error = {"error": "no", "code": "provider_failed", "message": "no", "retryable": True}
    charge = {"verdict": "free"}
    return event(seq, "failed", status="failed", error_data=error, charge=charge)
