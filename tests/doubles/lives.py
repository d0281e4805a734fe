"""Tasks and what happens to them, without a server: one plain example of everything.

Stands for an orchestrator that steps a task through the lifecycle table and tells its
events. Knows the protocol package only. Times are milliseconds; `NOW` is a fixed one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import (
    Artifact,
    Charge,
    ErrorData,
    Eta,
    ResultData,
    TaskEvent,
    Timings,
    error_data,
)
from safelight_protocol.inputs import Happening
from safelight_protocol.lifecycle import Step
from safelight_protocol.task import Asked, Resolved, State, Task

NOW = 1_700_000_000_000
"""2023-11-14T22:13:20.000Z."""

ERROR: ErrorData = error_data("provider_failed", "it broke", retryable=True)
CHARGED = Charge(verdict="charged", amount_micros=40_000, reason="one image")
ARTIFACT = Artifact(
    id="cap",
    url="/api/artifacts/cap",
    kind="image",
    media_type="image/png",
    width=64,
    height=32,
    bytes=123,
    sha256="ab" * 32,
    attempt=1,
)


def asked(**fields: Any) -> Asked:
    """A request for an image."""
    return Asked(**{"kind": "image", "prompt": "a medieval monk"} | fields)


def resolved(**fields: Any) -> Resolved:
    """What such a request is taken to mean."""
    plain: dict[str, Any] = {
        "requested": "local/painter",
        "model": "local/painter",
        "provider": "local",
        "backend": None,
        "params": {"width": 64, "height": 32},
        "seed": 7,
        "n": 1,
    }
    return Resolved(**plain | fields)


def fresh(uid: str = "u1", **fields: Any) -> Task:
    """A task without any event yet: queued, at seq 0."""
    plain: dict[str, Any] = {
        "uid": uid,
        "owner": "ann",
        "id": f"id-{uid}",
        "asked": asked(),
        "resolved": resolved(),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Task(**plain | fields)


def result(task: Task, now: int) -> ResultData:
    """The least result a task can end with."""
    return ResultData(
        model=task.resolved.model,
        provider=task.resolved.provider,
        backend=None,
        prediction_id=task.handle,
        seed=7,
        artifacts=(),
        created_at="2023-11-14T22:13:20.000Z",
        completed_at="2023-11-14T22:13:21.000Z",
        timings=Timings(queued_ms=0, running_ms=now - NOW),
    )


EXAMPLES: tuple[Happening, ...] = (
    happened.Waiting("local is busy", Eta(1.0, 2.5)),
    happened.Claimed(deadline=NOW + 60_000),
    happened.HandleSaved("prediction-1"),
    happened.Progressed(0.25, step=1, steps=4, message="sky", eta=Eta(0.5, 1.0)),
    happened.Wrote("Once "),
    happened.Produced(ARTIFACT),
    happened.Finished(result(fresh(), NOW), CHARGED),
    happened.Faulted(ERROR, retry_at=NOW + 2_000),
    happened.Lost(error_data("lost", "it is gone", retryable=True), retry_at=NOW + 3_000),
    happened.InDoubt(),
    happened.GaveUp(ERROR, CHARGED),
    happened.Stopped(CHARGED),
    happened.CancelAsked("ann"),
)
"""One of each kind of input, in the order of a task's life."""


def example(kind: type[Happening]) -> Happening:
    """The example of one kind."""
    return next(one for one in EXAMPLES if type(one) is kind)


def born(task: Task) -> Task:
    """The task after its first event."""
    return lifecycle.born(task, "local has a free place").task


def lived(task: Task, happenings: Iterable[Happening], start: int = NOW) -> list[Step]:
    """The steps of a whole life from its first event on, a millisecond apart."""
    steps = [lifecycle.born(task, "local has a free place")]
    for place, happening in enumerate(happenings, start=1):
        steps.append(lifecycle.step(steps[-1].task, happening, start + place))
    return steps


def events(steps: Iterable[Step]) -> list[TaskEvent]:
    """The events that the steps tell."""
    return [step.event for step in steps if step.event is not None]


def brought_to(state: State, task: Task | None = None) -> Task:
    """A task in that state, on the shortest way."""
    claimed, canceled = example(happened.Claimed), happened.CancelAsked("ann")
    ways: dict[State, tuple[Happening, ...]] = {
        State.QUEUED: (),
        State.STARTING: (claimed,),
        State.RUNNING: (claimed, example(happened.HandleSaved)),
        State.CANCELING: (claimed, canceled),
        State.COMPLETED: (claimed, example(happened.Finished)),
        State.FAILED: (claimed, example(happened.GaveUp)),
        State.CANCELED: (canceled,),
    }
    return lived(task or fresh(), ways[state])[-1].task


def changed(task: Task, **fields: Any) -> Task:
    """The task with some fields set, however unlikely."""
    return msgspec.structs.replace(task, **fields)
