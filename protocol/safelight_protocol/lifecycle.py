"""The life of a task as a table: `(state, input) -> state, event, effect`.

Two rules. Whatever decides a transition stands in this file; an `if` on a task's
state anywhere else is a defect. And the file knows no clock, no store and no
provider: `now` comes in, an effect goes out, the caller carries it out after the
commit.

Every pair of state and input has one of three verdicts. A *row* moves the task.
A *late* pair is a race that is lost fairly (a report after the end, a second
cancel): it is absorbed and counted. Everything else is *wrong*, can only come
from our own bug, and raises. Stale reports never get here, since the orchestrator
drops those of an earlier attempt first.

docs/lifecycle.md draws this table; it is generated from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from . import events as wire
from . import inputs as happened
from .charges import FREE, added, saved, settled, whole
from .events import Eta, TaskEvent
from .inputs import HAPPENINGS, Happening
from .task import ACTIVE_STATES, ENDED_STATES, STATUS, State, Task


class Effect(StrEnum):
    """What the orchestrator does once the step is committed."""

    NONE = "none"
    RUN = "run"
    STOP = "stop"
    ENQUEUE = "enqueue"
    RECONCILE = "reconcile"
    RELEASE = "release"


UNCERTAIN = frozenset(
    {
        "outcome_unknown",
        "timeout",
        "internal",
        "provider_not_configured",
        "backend_not_configured",
    }
)
"""The codes of ends after which something may still run at the provider."""

Emit = Callable[[Any, Task, int], TaskEvent]


class Row(msgspec.Struct, frozen=True):
    """Where a pair leads. Without `emit` the move is silent: no event, no seq."""

    to: State
    emit: Emit | None = None
    effect: Effect = Effect.NONE


class Step(msgspec.Struct, frozen=True):
    """What one input did. `late` steps leave the task as it was."""

    task: Task
    event: TaskEvent | None = None
    effect: Effect = Effect.NONE
    late: bool = False


class WrongInput(Exception):
    """A pair that only a defect of ours can produce."""


def step(task: Task, happening: Happening, now: int) -> Step:
    """Move the task by one input at `now` (milliseconds since 1970).

    Raises WrongInput for a pair that is neither a row nor late.
    """
    match verdict(task.state, type(happening)):
        case Row() as row:
            return _take(row, task, happening, now)
        case "late":
            return Step(task, late=True)
        case _:
            raise WrongInput(
                f"task {task.uid} is {task.state}; {type(happening).__name__} cannot happen to it"
            )


def verdict(state: State, kind: type[Happening]) -> Row | Literal["late", "wrong"]:
    """What the table says about a pair."""
    row = TABLE.get((state, kind))
    if row is not None:
        return row
    return "late" if (state, kind) in LATE else "wrong"


def born(task: Task, reason: str, eta: Eta | None = None) -> Step:
    """The first event of a new task, which is `queued`."""
    first = _advance(task, task.created_at)
    substituted = task.resolved.substituted_for
    event = wire.Queued(
        task_id=first.id,
        seq=first.seq,
        status=STATUS[first.state],
        progress=first.progress,
        timestamp=wire.timestamp(first.created_at),
        attempt=first.attempt,
        substituted_for=substituted if substituted is not None else UNSET,
        reason=reason,
        eta=eta,
    )
    return Step(first, event, Effect.ENQUEUE)


def _take(row: Row, task: Task, happening: Happening, now: int) -> Step:
    moved = _moved(row.to, task, happening, now)
    if row.emit is None:
        return Step(moved, effect=row.effect)
    told = _advance(moved, now)
    event = row.emit(happening, told, now)
    return Step(_after(told, happening), event, row.effect)


def _advance(task: Task, now: int) -> Task:
    return msgspec.structs.replace(task, seq=task.seq + 1, updated_at=now)


def _moved(to: State, task: Task, happening: Happening, now: int) -> Task:
    """The task in its new state, as the event about it should see it."""
    changes: dict[str, Any] = {"state": to, "updated_at": now}
    match happening:
        case happened.Claimed(deadline=deadline, place=place, via=via):
            changes |= {"claimed_at": now, "deadline": deadline, "claim": task.claim + 1}
            changes |= {"not_before": None, "place": place, "via": via or task.via}
        case happened.HandleSaved(handle=handle):
            changes |= {"handle": handle}
        case happened.Progressed(progress=progress) if progress is not None and progress >= 0:
            changes |= {"progress": max(task.progress, min(round(progress, 4), 1.0))}
        case happened.Finished():
            changes |= {"progress": 1.0}
        case happened.CancelAsked():
            changes |= {"canceling": to is State.CANCELING}
    if to in ENDED_STATES:
        changes |= {"ended_at": now, "deadline": None}
    return msgspec.structs.replace(task, **changes)


def _after(task: Task, happening: Happening) -> Task:
    """The task once the event is written: a retry begins the next attempt."""
    told = msgspec.structs.replace(task, handle_told=task.handle is not None)
    if task.state is not State.QUEUED or not isinstance(
        happening, happened.Faulted | happened.Lost
    ):
        return told
    fresh, via = None, None
    if isinstance(happening, happened.Faulted):
        fresh, via = happening.seed, happening.via
    return msgspec.structs.replace(
        told,
        seed=task.seed if fresh is None else str(fresh),
        spent=added(task.spent, settled(happening.charge, task), task.attempt),
        attempt=task.attempt + 1,
        faults=task.faults + isinstance(happening, happened.Faulted),
        not_before=happening.retry_at,
        progress=0.0,
        handle=None,
        handle_told=False,
        deadline=None,
        place=None,
        via=via or task.via,
    )


def _envelope(task: Task, now: int) -> dict[str, Any]:
    fresh_handle = task.handle is not None and not task.handle_told
    substituted = task.resolved.substituted_for
    return {
        "task_id": task.id,
        "seq": task.seq,
        "status": STATUS[task.state],
        "progress": task.progress,
        "timestamp": wire.timestamp(now),
        "attempt": task.attempt,
        "canceling": True if task.canceling else UNSET,
        "prediction_id": task.handle if fresh_handle else UNSET,
        "substituted_for": substituted if substituted is not None else UNSET,
    }


def _queued(happening: happened.Waiting, task: Task, now: int) -> TaskEvent:
    return wire.Queued(**_envelope(task, now), reason=happening.reason, eta=happening.eta)


def _started(_: happened.Claimed, task: Task, now: int) -> TaskEvent:
    ran = task.ran
    return wire.Started(
        **_envelope(task, now),
        model=ran.model,
        provider=ran.provider,
        backend=ran.backend,
        backend_url=UNSET if task.place is None else task.place,
        seed=UNSET if task.seed is None else wire.wire_seed(task.seed_used),
    )


def _progress(happening: happened.Progressed, task: Task, now: int) -> TaskEvent:
    return wire.Progress(
        **_envelope(task, now),
        step=happening.step,
        steps=happening.steps,
        message=happening.message,
        eta=happening.eta,
    )


def _text(happening: happened.Wrote, task: Task, now: int) -> TaskEvent:
    return wire.Text(**_envelope(task, now), delta=happening.delta)


def _artifact(happening: happened.Produced, task: Task, now: int) -> TaskEvent:
    body = msgspec.structs.asdict(happening.artifact)
    del body["attempt"]
    return wire.ArtifactMade(**_envelope(task, now), **body)


def _retrying(happening: happened.Faulted | happened.Lost, task: Task, now: int) -> TaskEvent:
    return wire.Retrying(
        **_envelope(task, now),
        error=happening.error,
        retry_at=wire.timestamp(happening.retry_at),
        next_attempt=task.attempt + 1,
    )


def _canceling(happening: happened.CancelAsked, task: Task, now: int) -> TaskEvent:
    return wire.Canceling(**_envelope(task, now), by=happening.by)


def _completed(happening: happened.Finished, task: Task, now: int) -> TaskEvent:
    charge = whole(task.spent, settled(happening.charge, task), task.attempt)
    return wire.Completed(**_envelope(task, now), result_data=happening.result, charge=charge)


def _failed(happening: happened.GaveUp, task: Task, now: int) -> TaskEvent:
    charge = whole(task.spent, settled(happening.charge, task), task.attempt)
    return wire.Failed(**_envelope(task, now), error_data=happening.error, charge=charge)


def _canceled(happening: Happening, task: Task, now: int) -> TaskEvent:
    """A cancel is confirmed by any end of the prediction that is known for certain."""
    charge, confirmed = FREE, True
    by: str | UnsetType = UNSET
    match happening:
        case happened.Stopped(charge=charge):
            pass
        case happened.Lost(charge=charge):
            pass
        case happened.Faulted(error=error, charge=charge):
            confirmed = error.code not in UNCERTAIN
        case happened.GaveUp(error=error, charge=charge):
            confirmed = error.code not in UNCERTAIN
        case happened.CancelAsked(by=by):
            pass
    charge = settled(charge, task)
    kept = saved(charge, task)
    charge = whole(task.spent, charge, task.attempt)
    return wire.Canceled(
        **_envelope(task, now), confirmed=confirmed, charge=charge, by=by, saved_micros=kept
    )


_Q, _S, _R, _C = State.QUEUED, State.STARTING, State.RUNNING, State.CANCELING
_DONE, _FAIL, _STOP = State.COMPLETED, State.FAILED, State.CANCELED
_release = Effect.RELEASE

TABLE: Mapping[tuple[State, type[Happening]], Row] = {
    (_Q, happened.Waiting): Row(_Q, _queued),
    (_Q, happened.Claimed): Row(_S, _started, Effect.RUN),
    (_Q, happened.GaveUp): Row(_FAIL, _failed, _release),
    (_Q, happened.CancelAsked): Row(_STOP, _canceled, _release),
    #
    (_S, happened.HandleSaved): Row(_R),
    (_S, happened.Progressed): Row(_R, _progress),  # providers talk before they answer
    (_S, happened.Wrote): Row(_R, _text),
    (_S, happened.Produced): Row(_R, _artifact),
    (_S, happened.Finished): Row(_DONE, _completed, _release),
    (_S, happened.Faulted): Row(_Q, _retrying, Effect.ENQUEUE),
    (_S, happened.Lost): Row(_Q, _retrying, Effect.ENQUEUE),
    (_S, happened.InDoubt): Row(_S, None, Effect.RECONCILE),
    (_S, happened.GaveUp): Row(_FAIL, _failed, _release),
    (_S, happened.Stopped): Row(_STOP, _canceled, _release),
    (_S, happened.CancelAsked): Row(_C, _canceling, Effect.STOP),
    #
    (_R, happened.HandleSaved): Row(_R),  # its report overtook the answer to the start
    (_R, happened.Progressed): Row(_R, _progress),
    (_R, happened.Wrote): Row(_R, _text),
    (_R, happened.Produced): Row(_R, _artifact),
    (_R, happened.Finished): Row(_DONE, _completed, _release),
    (_R, happened.Faulted): Row(_Q, _retrying, Effect.ENQUEUE),
    (_R, happened.Lost): Row(_Q, _retrying, Effect.ENQUEUE),
    (_R, happened.InDoubt): Row(_R, None, Effect.RECONCILE),
    (_R, happened.GaveUp): Row(_FAIL, _failed, _release),
    (_R, happened.Stopped): Row(_STOP, _canceled, _release),
    (_R, happened.CancelAsked): Row(_C, _canceling, Effect.STOP),
    #
    (_C, happened.HandleSaved): Row(_C, None, Effect.STOP),
    (_C, happened.Progressed): Row(_C, _progress),
    (_C, happened.Wrote): Row(_C, _text),
    (_C, happened.Produced): Row(_C, _artifact),
    (_C, happened.Finished): Row(_DONE, _completed, _release),  # it is paid, so it is given
    (_C, happened.Faulted): Row(_STOP, _canceled, _release),
    (_C, happened.Lost): Row(_STOP, _canceled, _release),
    (_C, happened.InDoubt): Row(_C, None, Effect.RECONCILE),
    (_C, happened.GaveUp): Row(_STOP, _canceled, _release),
    (_C, happened.Stopped): Row(_STOP, _canceled, _release),
}

LATE: frozenset[tuple[State, type[Happening]]] = frozenset(
    {(state, kind) for state in ENDED_STATES for kind in HAPPENINGS}
    | {(state, happened.Waiting) for state in ACTIVE_STATES - {State.QUEUED}}
    | {(State.CANCELING, happened.CancelAsked)}
)
"""Races that are lost fairly: anything after the end, a reason to wait for a task
that has just been claimed, a second cancel."""
