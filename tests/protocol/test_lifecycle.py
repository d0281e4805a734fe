"""Every cell of the table of a task's life: 91 pairs of state and input.

The rows are written down here a second time, by hand, so that neither the code nor
this list can change alone. What the events carry is tested in test_lifecycle_events.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

import pytest

from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.events import TERMINAL
from safelight_protocol.inputs import HAPPENINGS, Happening
from safelight_protocol.lifecycle import Effect, Row, Step, WrongInput, step, verdict
from safelight_protocol.task import ACTIVE_STATES, ENDED_STATES, STATUS, State, Task
from tests.doubles.lives import EXAMPLES, NOW, born, brought_to, example, fresh
from tests.protocol.make_vectors import lifecycle_vectors

# state, input, state after, type of the event or -, effect or -
ROWS = [
    line.split()
    for line in """
    queued     Waiting      queued     queued      -
    queued     Claimed      starting   started     run
    queued     GaveUp       failed     failed      release
    queued     CancelAsked  canceled   canceled    release

    starting   HandleSaved  running    -           -
    starting   Progressed   running    progress    -
    starting   Wrote        running    text        -
    starting   Produced     running    artifact    -
    starting   Finished     completed  completed   release
    starting   Faulted      queued     retrying    enqueue
    starting   Lost         queued     retrying    enqueue
    starting   InDoubt      starting   -           reconcile
    starting   GaveUp       failed     failed      release
    starting   Stopped      canceled   canceled    release
    starting   CancelAsked  canceling  canceling   stop

    running    HandleSaved  running    -           -
    running    Progressed   running    progress    -
    running    Wrote        running    text        -
    running    Produced     running    artifact    -
    running    Finished     completed  completed   release
    running    Faulted      queued     retrying    enqueue
    running    Lost         queued     retrying    enqueue
    running    InDoubt      running    -           reconcile
    running    GaveUp       failed     failed      release
    running    Stopped      canceled   canceled    release
    running    CancelAsked  canceling  canceling   stop

    canceling  HandleSaved  canceling  -           stop
    canceling  Progressed   canceling  progress    -
    canceling  Wrote        canceling  text        -
    canceling  Produced     canceling  artifact    -
    canceling  Finished     completed  completed   release
    canceling  Faulted      canceled   canceled    release
    canceling  Lost         canceled   canceled    release
    canceling  InDoubt      canceling  -           reconcile
    canceling  GaveUp       canceled   canceled    release
    canceling  Stopped      canceled   canceled    release
    """.splitlines()
    if line.strip()
]
LATE = {
    ("starting", "Waiting"),
    ("running", "Waiting"),
    ("canceling", "Waiting"),
    ("canceling", "CancelAsked"),
    *product(("completed", "failed", "canceled"), [kind.__name__ for kind in HAPPENINGS]),
}
WRONG = (
    set(product(State, [kind.__name__ for kind in HAPPENINGS]))
    - LATE
    - {(state, kind) for state, kind, *_ in ROWS}
)
KINDS = {kind.__name__: kind for kind in HAPPENINGS}


def taken(state: str, kind: str) -> Step:
    """The example of an input, happening to a task in that state."""
    return step(brought_to(State(state)), example(KINDS[kind]), NOW + 5)


def test_there_are_91_cells() -> None:
    """Seven states meet thirteen inputs: 36 rows, 43 late cells and 12 wrong ones."""
    assert (len(ROWS), len(LATE), len(WRONG)) == (36, 43, 12)
    assert len(EXAMPLES) == len(HAPPENINGS) == 13


@pytest.mark.parametrize(("state", "kind", "to", "event", "effect"), ROWS)
def test_a_row_moves_the_task(state: str, kind: str, to: str, event: str, effect: str) -> None:
    """A row leads to its state, tells its event or none, and asks for its effect."""
    done = taken(state, kind)
    assert done.task.state == to
    assert done.effect == (Effect.NONE if effect == "-" else effect)
    assert not done.late
    if event == "-":
        assert done.event is None
    else:
        assert done.event is not None
        assert type(done.event).__struct_config__.tag == event
        assert done.event.status == STATUS[State(to)]


@pytest.mark.parametrize(("state", "kind"), [row[:2] for row in ROWS])
def test_seq_counts_the_events_that_are_told(state: str, kind: str) -> None:
    """An event has the next seq, which is the task's from then on; a silent move has none."""
    before = brought_to(State(state))
    done = step(before, example(KINDS[kind]), NOW + 5)
    assert done.task.seq == before.seq + (done.event is not None)
    assert done.event is None or done.event.seq == done.task.seq
    assert done.task.updated_at == NOW + 5


@pytest.mark.parametrize(("state", "kind"), sorted(LATE))
def test_a_late_cell_is_absorbed(state: str, kind: str) -> None:
    """What comes too late says so, and leaves the very task it met."""
    before = brought_to(State(state))
    assert step(before, example(KINDS[kind]), NOW + 5) == Step(before, late=True)


@pytest.mark.parametrize(("state", "kind"), sorted(WRONG))
def test_a_wrong_cell_raises(state: str, kind: str) -> None:
    """What only a bug of ours can bring about is refused, naming task, state and input."""
    with pytest.raises(WrongInput, match=f"^task u1 is {state}; {kind} cannot happen to it$"):
        taken(state, kind)


@pytest.mark.parametrize(("state", "kind"), list(product(State, HAPPENINGS)))
def test_a_cell_has_one_verdict(state: State, kind: type[Happening]) -> None:
    """A cell is a row, late or wrong, and the verdict can be asked without a task."""
    found = verdict(state, kind)
    expected = "late" if (state, kind.__name__) in LATE else "wrong"
    if isinstance(found, Row):
        assert [state, kind.__name__, found.to] in [row[:3] for row in ROWS]
    else:
        assert found == expected


def closure(start: Iterable[State], next_states: Callable[[State], set[State]]) -> set[State]:
    """Everything that can be reached from there."""
    seen = set(start)
    while found := {state for one in seen for state in next_states(one)} - seen:
        seen |= found
    return seen


def after(state: State) -> set[State]:
    return {row.to for (come_from, _), row in lifecycle.TABLE.items() if come_from is state}


def test_every_state_is_reached() -> None:
    """A new task can come into each of the seven states."""
    assert closure([State.QUEUED], after) == set(State)


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES))
def test_every_state_can_end(state: State) -> None:
    """From each state that is no end, an end can be reached; from an end, nothing else."""
    assert closure([state], after) & ENDED_STATES
    assert all(after(end) == set() for end in ENDED_STATES)


@pytest.mark.parametrize("state", sorted(ACTIVE_STATES - {State.QUEUED}))
@pytest.mark.parametrize("kind", [happened.Finished, happened.GaveUp, happened.Stopped])
def test_an_outcome_always_ends_an_attempt_that_runs(state: State, kind: type[Happening]) -> None:
    """Whatever a claimed task is doing, the end of its prediction ends it."""
    row = verdict(state, kind)
    assert isinstance(row, Row) and row.to in ENDED_STATES


def test_only_ends_tell_a_terminal_event() -> None:
    """An event ends the task if and only if the row leads to an end."""
    for state, kind, to, event, _ in ROWS:
        assert (event in TERMINAL) == (State(to) in ENDED_STATES), (state, kind)


def test_a_task_is_born_queued() -> None:
    """The first event is `queued` with seq 1, at the time of creation, and asks for a place."""
    done = lifecycle.born(fresh(), "local is busy")
    assert done.event is not None
    assert (done.event.seq, done.event.timestamp) == (1, "2023-11-14T22:13:20.000Z")
    assert (done.task.state, done.task.seq, done.task.attempt) == (State.QUEUED, 1, 1)
    assert done.effect is Effect.ENQUEUE
    assert born(fresh()).updated_at == NOW


def test_stepping_changes_nothing_but_its_answer() -> None:
    """The task that is given in stays as it was: a commit that fails can be tried again."""
    for state, kind, *_ in ROWS:
        before = brought_to(State(state))
        again: Task = brought_to(State(state))
        step(before, example(KINDS[kind]), NOW + 5)
        assert before == again


def test_the_vectors_are_those_of_the_table() -> None:
    """vectors/lifecycle.json says what the code says; `make_vectors` writes it anew."""
    stored = json.loads((Path(__file__).parent / "vectors/lifecycle.json").read_text())
    assert stored == lifecycle_vectors()
    assert len(stored["cells"]) == 91
