"""What a step writes into its event and into the task, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from safelight_protocol import events as wire
from safelight_protocol import inputs as happened
from safelight_protocol.charges import FREE
from safelight_protocol.events import Charge, Eta, error_data
from safelight_protocol.inputs import Happening
from safelight_protocol.lifecycle import Step, born, step
from safelight_protocol.task import State, Task
from tests.doubles.lives import (
    ARTIFACT,
    CHARGED,
    ERROR,
    NOW,
    brought_to,
    changed,
    events,
    example,
    fresh,
    lived,
    resolved,
    result,
)

LATER = NOW + 1_500
CLAIMED = happened.Claimed(NOW + 60_000)
FAULTED = happened.Faulted(ERROR, retry_at=NOW + 2_000)
SAVED = happened.HandleSaved("p-1")
CANCEL = happened.CancelAsked("ann")
UNKNOWN = Charge(verdict="unknown")
BUG = error_data("internal", "its code broke", retryable=True)


def envelope(**fields: Any) -> dict[str, Any]:
    """What every event of a running first attempt carries."""
    plain = {
        "task_id": "id-u1",
        "seq": 3,
        "status": "processing",
        "progress": 0.0,
        "timestamp": "2023-11-14T22:13:21.500Z",
        "attempt": 1,
    }
    return plain | fields


def told(happening: Happening, task: Task | None = None) -> wire.TaskEvent | None:
    """The event of one input to a task that runs, with its first event told."""
    return step(task or brought_to(State.RUNNING), happening, LATER).event


EVENTS: list[tuple[State, Happening, wire.TaskEvent]] = [
    (
        State.QUEUED,
        happened.Waiting("busy", Eta(1.0, 2.0)),
        wire.Queued(**envelope(seq=2, status="queued"), reason="busy", eta=Eta(1.0, 2.0)),
    ),
    (
        State.QUEUED,
        CLAIMED,
        wire.Started(**envelope(seq=2), model="local/painter", provider="local", backend=None),
    ),
    (
        State.QUEUED,
        CANCEL,
        wire.Canceled(
            **envelope(seq=2, status="canceled"),
            confirmed=True,
            charge=Charge(verdict="free"),
            by="ann",
        ),
    ),
    (
        State.STARTING,
        happened.Progressed(0.25, 1, 4, "sky", Eta(0.5, 1.0)),
        wire.Progress(**envelope(progress=0.25), step=1, steps=4, message="sky", eta=Eta(0.5, 1.0)),
    ),
    (State.STARTING, happened.Wrote("Once"), wire.Text(**envelope(), delta="Once")),
    (
        State.STARTING,
        happened.Produced(ARTIFACT),
        wire.ArtifactMade(
            **envelope(),
            id="cap",
            url="/api/artifacts/cap",
            kind="image",
            media_type="image/png",
            width=64,
            height=32,
            bytes=123,
            sha256="ab" * 32,
        ),
    ),
    (
        State.STARTING,
        FAULTED,
        wire.Retrying(
            **envelope(status="queued"),
            error=ERROR,
            retry_at="2023-11-14T22:13:22.000Z",
            next_attempt=2,
        ),
    ),
    (State.STARTING, CANCEL, wire.Canceling(**envelope(canceling=True), by="ann")),
    (
        State.STARTING,
        happened.Finished(result(fresh(), NOW), CHARGED),
        wire.Completed(
            **envelope(status="completed", progress=1.0),
            result_data=result(fresh(), NOW),
            charge=CHARGED,
        ),
    ),
    (
        State.STARTING,
        happened.GaveUp(ERROR, CHARGED),
        wire.Failed(**envelope(status="failed"), error_data=ERROR, charge=CHARGED),
    ),
    (
        State.STARTING,
        happened.Stopped(CHARGED),
        wire.Canceled(**envelope(status="canceled"), confirmed=True, charge=CHARGED),
    ),
]


@pytest.mark.parametrize(
    ("state", "happening", "event"), EVENTS, ids=[type(e).__name__ for *_, e in EVENTS]
)
def test_an_event_says_all_of_it(state: State, happening: Happening, event: wire.TaskEvent) -> None:
    """Each type carries the envelope and exactly what its input brought."""
    assert told(happening, brought_to(state)) == event


def test_the_birth_tells_why_it_waits() -> None:
    """The first event has the reason, no estimate, and the time of creation."""
    plain = envelope(seq=1, status="queued", timestamp="2023-11-14T22:13:20.000Z")
    assert born(fresh(), "busy").event == wire.Queued(**plain, reason="busy", eta=None)


def test_a_stand_in_is_named_by_every_event() -> None:
    """From birth to end, each event says which model was asked for."""
    task = fresh(resolved=resolved(substituted_for="acme/flux"))
    steps = lived(
        task,
        [CLAIMED, SAVED, happened.Wrote("x"), FAULTED, CLAIMED, CANCEL, example(happened.Stopped)],
    )
    assert {event.substituted_for for event in events(steps)} == {"acme/flux"}
    assert events(lived(fresh(), []))[0].substituted_for is UNSET


@pytest.mark.parametrize(
    ("reported", "told_as"),
    [
        (0.5, 0.5),
        (0.987654, 0.9877),
        (0.2, 0.3),
        (-1.0, 0.3),
        (7.0, 1.0),
        (float("inf"), 1.0),
        (float("nan"), 0.3),
        (None, 0.3),
    ],
)
def test_progress_never_falls_and_stays_in_its_range(
    reported: float | None, told_as: float
) -> None:
    """Less than before, not a number, or nothing keeps what was told; the rest is cut to 0-1."""
    task = changed(brought_to(State.RUNNING), progress=0.3)
    done = step(task, happened.Progressed(reported), LATER)
    assert done.event is not None
    assert done.event.progress == done.task.progress == told_as


@pytest.mark.parametrize("kind", [happened.Wrote, happened.Produced, happened.CancelAsked])
def test_other_events_repeat_the_progress(kind: type[Happening]) -> None:
    """What is no progress carries the last one."""
    event = told(example(kind), changed(brought_to(State.RUNNING), progress=0.3))
    assert event is not None and event.progress == 0.3


@pytest.mark.parametrize(
    ("kind", "progress"),
    [(happened.Finished, 1.0), (happened.GaveUp, 0.3), (happened.Stopped, 0.3)],
)
def test_only_a_completed_task_ends_at_one(kind: type[Happening], progress: float) -> None:
    """`completed` is 1.0, the other ends keep the last."""
    event = told(example(kind), changed(brought_to(State.RUNNING), progress=0.3))
    assert event is not None and event.progress == progress


@pytest.mark.parametrize(("kind", "faults"), [(happened.Faulted, 1), (happened.Lost, 0)])
def test_a_retry_begins_the_next_attempt(kind: type[Happening], faults: int) -> None:
    """The event belongs to the attempt that ended; the task is at the next one, from zero."""
    running = changed(brought_to(State.RUNNING), progress=0.5)
    happening = example(kind)
    assert isinstance(happening, happened.Faulted | happened.Lost)
    done = step(running, happening, LATER)
    assert isinstance(done.event, wire.Retrying)
    assert (done.event.attempt, done.event.next_attempt, done.event.progress) == (1, 2, 0.5)
    assert (done.task.attempt, done.task.progress, done.task.faults) == (2, 0.0, faults)
    assert done.task.not_before == happening.retry_at
    assert (done.task.handle, done.task.handle_told, done.task.deadline) == (None, False, None)


def test_faults_and_losses_are_counted_apart() -> None:
    """Attempts count both, faults only what failed."""
    lost, fault = example(happened.Lost), example(happened.Faulted)
    task = lived(fresh(), [CLAIMED, lost, CLAIMED, fault, CLAIMED, fault])[-1].task
    assert (task.attempt, task.faults) == (4, 2)


def test_a_claim_starts_the_clock_and_moves_the_fence() -> None:
    """Each claim has a number of its own, its deadline, and ends the wait for the retry."""
    first = lived(fresh(), [CLAIMED])[-1].task
    assert (first.claim, first.claimed_at, first.deadline) == (1, NOW + 1, NOW + 60_000)
    waiting = step(first, FAULTED, LATER).task
    again = step(waiting, happened.Claimed(NOW + 90_000), NOW + 3_000).task
    assert (again.claim, again.claimed_at, again.deadline) == (2, NOW + 3_000, NOW + 90_000)
    assert (again.not_before, again.attempt) == (None, 2)


def test_only_a_claim_moves_the_fence() -> None:
    """Nothing else that happens changes the number of the claim."""
    for state in State:
        for kind in (happened.Progressed, happened.Wrote, happened.Faulted, happened.GaveUp):
            before = brought_to(state)
            if state in (State.STARTING, State.RUNNING):
                assert step(before, example(kind), LATER).task.claim == before.claim


@pytest.mark.parametrize("kind", [happened.Finished, happened.GaveUp, happened.Stopped])
def test_an_end_is_dated(kind: type[Happening]) -> None:
    """The moment of the end is kept, and there is no deadline any more."""
    done = step(brought_to(State.RUNNING), example(kind), LATER).task
    assert (done.ended_at, done.deadline, done.ended) == (LATER, None, True)
    running = step(brought_to(State.RUNNING), example(happened.Wrote), LATER).task
    assert (running.ended_at, running.deadline) == (None, NOW + 60_000)


def ids(steps: list[Step]) -> list[object]:
    """The prediction_id of each event, None where there is none."""
    return [e.prediction_id if e.prediction_id is not UNSET else None for e in events(steps)]


def test_the_handle_is_told_once() -> None:
    """Only the first event after the handle was saved carries it."""
    steps = lived(fresh(), [CLAIMED, SAVED, happened.Wrote("a"), happened.Wrote("b")])
    assert ids(steps) == [None, None, "p-1", None]
    assert [s.task.handle_told for s in steps] == [False, False, False, True, True]


def test_an_overtaken_handle_is_told_by_the_next_event() -> None:
    """A report that comes before the answer to the start does not lose the handle."""
    steps = lived(fresh(), [CLAIMED, happened.Wrote("a"), SAVED, happened.Wrote("b")])
    assert ids(steps) == [None, None, None, "p-1"]
    assert steps[3].task.state is State.RUNNING


def test_each_attempt_tells_its_own_handle() -> None:
    """After a retry the next handle is told, and the old one is forgotten."""
    again = happened.HandleSaved("p-2")
    steps = lived(fresh(), [CLAIMED, SAVED, FAULTED, CLAIMED, again, CANCEL])
    assert ids(steps) == [None, None, "p-1", None, "p-2"]


@pytest.mark.parametrize("state", [State.STARTING, State.RUNNING, State.CANCELING])
def test_a_silent_move_is_no_event(state: State) -> None:
    """Saving a handle and a doubt are on the row at once, without seq and without event."""
    before = brought_to(state)
    saved = step(before, SAVED, LATER)
    assert (saved.event, saved.task.handle, saved.task.seq) == (None, "p-1", before.seq)
    doubted = step(before, happened.InDoubt(), LATER)
    assert doubted.event is None
    assert doubted.task == changed(before, updated_at=LATER)


def test_a_cancel_is_carried_by_every_later_event() -> None:
    """Once asked for, each event to the end says so, also when the task completes."""
    asked = [CLAIMED, happened.Wrote("a"), CANCEL, happened.Wrote("b"), happened.Produced(ARTIFACT)]
    for kind in (happened.Stopped, happened.Finished, happened.Faulted):
        steps = lived(fresh(), [*asked, example(kind)])
        assert [e.canceling is True for e in events(steps)] == [False] * 3 + [True] * 4
        assert steps[-1].task.canceling


def test_a_cancel_in_the_queue_is_the_end_at_once() -> None:
    """What never ran needs no provider: confirmed, free, and without a canceling before it."""
    done = step(brought_to(State.QUEUED), CANCEL, LATER)
    assert isinstance(done.event, wire.Canceled)
    assert (done.event.canceling, done.task.canceling) == (UNSET, False)
    assert (done.task.ended_at, done.task.ended) == (LATER, True)


@pytest.mark.parametrize(
    ("happening", "confirmed", "charge"),
    [
        (happened.Stopped(CHARGED), True, CHARGED),
        (happened.Stopped(), True, FREE),
        (FAULTED, True, FREE),
        (example(happened.Lost), True, FREE),
        (happened.GaveUp(ERROR, CHARGED), True, CHARGED),
        (
            happened.GaveUp(error_data("outcome_unknown", "?", retryable=False), UNKNOWN),
            False,
            UNKNOWN,
        ),
        (happened.GaveUp(error_data("timeout", "late", retryable=True), UNKNOWN), False, UNKNOWN),
        (happened.GaveUp(BUG), False, FREE),
        (happened.Faulted(BUG, NOW), False, FREE),
    ],
)
def test_a_cancel_is_confirmed_by_a_certain_end(
    happening: Happening, confirmed: bool, charge: Charge
) -> None:
    """Only an outcome that nobody learnt leaves a cancel unconfirmed; the charge is its own."""
    event = told(happening, brought_to(State.CANCELING))
    assert isinstance(event, wire.Canceled)
    assert (event.confirmed, event.charge) == (confirmed, charge)


def test_a_finished_prediction_beats_a_cancel() -> None:
    """It is completed, with its result, and paid."""
    event = told(example(happened.Finished), brought_to(State.CANCELING))
    assert isinstance(event, wire.Completed)
    assert event.charge == CHARGED
