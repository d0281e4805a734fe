"""The fold of a task's log: what anyone who has read it up to `seq` knows.

The server's view and a client's view are this one function. It must not look at
anything but the snapshot and the event, so that every reader ends at the same
answer (tests/protocol/vectors/folds.json is read by the browser's tests too).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from . import events as wire
from .events import Artifact, Charge, ErrorData, Eta, ResultData, Status, TaskEvent, timestamp
from .task import Task


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task at `seq`. Times are ISO 8601, UTC.

    `text` and `step` are those of the current attempt; `artifacts` are all that
    were made, each with its attempt: nothing finished is thrown away. `error` is
    that of the last attempt that failed, until the end says more. From `retrying` on the
    attempt is the next one, which has nothing yet. A cancel tells three facts: who asked
    (`canceled_by`), whether the provider stopped for certain (`confirmed`, null until
    that is settled) and `charge`, with `saved_micros` where it is priced. Where a charge that
    was told is learnt better later, `settled_charge` has it beside the told one.
    `truncated` (and true) says that texts were cut: the whole is at `/api/tasks/<id>`.
    """

    task_id: str
    seq: int
    status: Status
    progress: float
    attempt: int
    kind: wire.Kind
    input_data: dict[str, Any]
    model: str
    provider: str
    backend: str | None
    backend_url: str | None = None
    substituted_for: str | None = None
    prediction_id: str | None = None
    seed: int | str
    reason: str | None = None
    message: str | None = None
    step: int | None = None
    steps: int | None = None
    eta: Eta | None = None
    text: str = ""
    artifacts: tuple[Artifact, ...] = ()
    canceling: bool = False
    canceled_by: str | None = None
    retry_at: str | None = None
    error: ErrorData | None = None
    result_data: ResultData | None = None
    error_data: ErrorData | None = None
    charge: Charge | None = None
    confirmed: bool | None = None
    saved_micros: int | UnsetType = UNSET
    settled_charge: Charge | UnsetType = UNSET
    truncated: bool | UnsetType = UNSET
    created_at: str
    updated_at: str


VOID: dict[str, Any] = {
    "backend_url": None,
    "prediction_id": None,
    "reason": None,
    "message": None,
    "step": None,
    "steps": None,
    "eta": None,
    "text": "",
}
"""What a new attempt has of the one before: none of this."""


def opening(task: Task) -> Snapshot:
    """The snapshot before the first event, at seq 0."""
    created = timestamp(task.created_at)
    return _made(task, 0, "queued", 0.0, 1, None, None, created, created)


def begun(task: Task, event: wire.Queued) -> Snapshot:
    """The snapshot after a new task's first event, at once: what `fold` makes of its opening."""
    created, at = timestamp(task.created_at), event.timestamp
    what = (event.status, event.progress, event.attempt, event.reason, event.eta)
    return _made(task, event.seq, *what, created, at)


def _made(
    task: Task,
    seq: int,
    status: Status,
    progress: float,
    attempt: int,
    reason: str | None,
    eta: Eta | None,
    created: str,
    updated: str,
) -> Snapshot:
    ran, asked = task.resolved, task.asked
    data = {**ran.params, "type": asked.kind, "prompt": asked.prompt}
    if asked.inputs:
        # As they were named: without them a task that began with files could not be made
        # again from what is told of it.
        data["inputs"] = [dict([given.named]) for given in asked.inputs]
    return Snapshot(
        task_id=task.id,
        seq=seq,
        status=status,
        progress=progress,
        attempt=attempt,
        kind=asked.kind,
        input_data=data,
        model=ran.model,
        provider=ran.provider,
        backend=ran.backend,
        substituted_for=ran.substituted_for,
        seed=wire.wire_seed(ran.seed),
        reason=reason,
        eta=eta,
        created_at=created,
        updated_at=updated,
    )


def fold(snapshot: Snapshot, event: TaskEvent) -> Snapshot:
    """The snapshot after one more event. An event at or below its seq changes nothing."""
    if event.seq <= snapshot.seq:
        return snapshot
    changes: dict[str, Any] = {
        "seq": event.seq,
        "status": event.status,
        "progress": event.progress,
        "attempt": event.attempt,
        "canceling": event.canceling is True,
        "updated_at": event.timestamp,
    }
    if event.prediction_id is not UNSET:
        changes["prediction_id"] = event.prediction_id
    return msgspec.structs.replace(snapshot, **changes | _body(snapshot, event))


def _body(snapshot: Snapshot, event: TaskEvent) -> dict[str, Any]:
    match event:
        case wire.Queued(reason=reason, eta=eta):
            return {"reason": reason, "eta": eta}
        case wire.Started():
            return _fresh_attempt(event)
        case wire.Progress():
            return {
                "step": event.step,
                "steps": event.steps,
                "message": event.message,
                "eta": event.eta,
            }
        case wire.Text(delta=delta):
            return {"text": snapshot.text + delta}
        case wire.ArtifactMade():
            return {"artifacts": (*snapshot.artifacts, _artifact(event))}
        case wire.Retrying(error=error, retry_at=retry_at, next_attempt=attempt):
            told = {"error": error, "retry_at": retry_at, "attempt": attempt, "progress": 0.0}
            return told | VOID
        case wire.Canceling(by=by):
            return {"canceled_by": by}
        case wire.Completed(result_data=result, charge=charge):
            return {"result_data": result, "charge": charge, "error": None, "eta": None}
        case wire.Failed(error_data=error, charge=charge):
            return {"error_data": error, "charge": charge, "eta": None}
        case wire.Canceled(confirmed=confirmed, charge=charge, by=by):
            told = {"confirmed": confirmed, "charge": charge, "eta": None}
            asked = {} if by is UNSET else {"canceled_by": by}
            return told | {"saved_micros": event.saved_micros, **asked}


def brief(snapshot: Snapshot, length: int) -> Snapshot:
    """The snapshot with prompt, text and content cut to `length` characters each, and without
    its parameters if one of them is an object: a whole graph may be as long as a book."""
    data, result = snapshot.input_data, snapshot.result_data
    content = result.content if result is not None else UNSET
    texts = (data.get("prompt"), snapshot.text, content)
    is_short = all(not isinstance(text, str) or len(text) <= length for text in texts)
    if is_short and not any(isinstance(value, dict) for value in data.values()):
        return snapshot
    if result is not None and isinstance(content, str):
        result = msgspec.structs.replace(result, content=content[:length])
    kept = {"type": data.get("type"), "prompt": str(data.get("prompt"))[:length]}
    return msgspec.structs.replace(
        snapshot,
        input_data=kept,
        text=snapshot.text[:length],
        result_data=result,
        truncated=True,
    )


def _fresh_attempt(event: wire.Started) -> dict[str, Any]:
    """A new attempt begins with nothing; with another seed, if it says so."""
    ran = {"model": event.model, "provider": event.provider, "backend": event.backend}
    place = {} if event.backend_url is UNSET else {"backend_url": event.backend_url}
    seed = {} if event.seed is UNSET else {"seed": event.seed}
    return {**VOID, **ran, **place, **seed, "retry_at": None}


def _artifact(event: wire.ArtifactMade) -> Artifact:
    return Artifact(
        id=event.id,
        url=event.url,
        kind=event.kind,
        media_type=event.media_type,
        width=event.width,
        height=event.height,
        bytes=event.bytes,
        sha256=event.sha256,
        attempt=event.attempt,
        thumbnail_url=event.thumbnail_url,
    )


def result_of(snapshot: Snapshot, task: Task, now: int) -> ResultData:
    """The result of an attempt that has just finished, from what its log tells."""
    made = tuple(a for a in snapshot.artifacts if a.attempt == task.attempt)
    image = next((a.url for a in made if a.kind == "image"), UNSET)
    video = next((a.url for a in made if a.kind == "video"), UNSET)
    is_text = task.asked.kind == "text"
    claimed_at = task.claimed_at if task.claimed_at is not None else now
    return ResultData(
        image_url=image,
        video_url=video,
        content=snapshot.text if is_text else UNSET,
        model=task.ran.model,
        provider=task.ran.provider,
        backend=task.ran.backend,
        backend_url=UNSET if task.place is None else task.place,
        prediction_id=task.handle,
        generation_id=task.uid if is_text else UNSET,
        seed=wire.wire_seed(task.seed_used),
        artifacts=made,
        created_at=timestamp(task.created_at),
        completed_at=timestamp(now),
        timings=_timings(task.created_at, claimed_at, now),
    )


def _timings(created_at: int, claimed_at: int, now: int) -> wire.Timings:
    """Never below zero: the clock may have been set back in between."""
    return wire.Timings(
        queued_ms=max(0, claimed_at - created_at), running_ms=max(0, now - claimed_at)
    )
