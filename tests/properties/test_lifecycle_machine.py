"""Random lives of tasks: whatever happens, in whatever order, the log tells one story.

Inputs are drawn for the state the task is in, wrong ones left out, late ones kept. What
must hold is said by the invariants; the row and the fold of the log are held together.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import UNSET

from safelight_protocol import events as wire
from safelight_protocol import inputs as happened
from safelight_protocol.events import TERMINAL, TaskEvent, decode_event, encode_event
from safelight_protocol.inputs import HAPPENINGS, Happening
from safelight_protocol.lifecycle import born, step, verdict
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import STATUS, State, Task
from tests.doubles.lives import ARTIFACT, ERROR, EXAMPLES, NOW, fresh

PROGRESS = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1)
REPORTS: dict[type[Happening], st.SearchStrategy[Happening]] = {
    happened.Progressed: st.builds(happened.Progressed, PROGRESS, st.none() | st.integers(0, 9)),
    happened.Wrote: st.builds(happened.Wrote, st.text(max_size=5)),
    happened.Produced: st.just(happened.Produced(ARTIFACT)),
    happened.HandleSaved: st.builds(happened.HandleSaved, st.sampled_from(["p1", "p2"])),
    happened.Faulted: st.builds(
        happened.Faulted, st.just(ERROR), st.just(NOW), st.none() | st.integers(0, 2**53 - 1)
    ),
}
LAST = (happened.Finished, happened.GaveUp, happened.Stopped)


def check_row(task: Task, snapshot: Snapshot, last: TaskEvent) -> None:
    """The row is what the fold says; after `retrying` both are at the next attempt."""
    assert (task.seq, STATUS[task.state]) == (snapshot.seq, snapshot.status)
    assert task.canceling == snapshot.canceling
    assert (task.attempt, task.progress) == (snapshot.attempt, snapshot.progress)
    if isinstance(last, wire.Retrying):
        assert snapshot.attempt == last.next_attempt == last.attempt + 1
        assert (snapshot.text, snapshot.step, snapshot.prediction_id) == ("", None, None)
    if isinstance(last, wire.Started):
        assert snapshot.seed == wire.wire_seed(task.seed_used)


def check_log(log: list[TaskEvent]) -> None:
    """Dense, ended at most once and then for good, and never back within an attempt."""
    assert [event.seq for event in log] == list(range(1, len(log) + 1))
    ends = [event.seq for event in log if event.status in TERMINAL]
    assert ends in ([], [len(log)])
    assert [event.attempt for event in log] == sorted(event.attempt for event in log)
    canceling = [event.canceling is True for event in log]
    assert canceling == sorted(canceling)
    attempts: dict[int, list[TaskEvent]] = defaultdict(list)
    for event in log:
        attempts[event.attempt].append(event)
    for number, told in attempts.items():
        progress = [event.progress for event in told]
        assert progress == sorted(progress) and 0.0 <= progress[0] and progress[-1] <= 1.0
        assert number == 1 or progress[0] == 0.0
        assert len([e for e in told if e.prediction_id is not UNSET]) <= 1


class Life(RuleBasedStateMachine):
    """One task, from its birth to wherever chance leads it."""

    @initialize()
    def birth(self) -> None:
        first = born(fresh(), "busy")
        assert first.event is not None
        self.task, self.log, self.now = first.task, [first.event], NOW
        self.snapshot = fold(opening(fresh()), first.event)

    @rule(kind=st.sampled_from([kind for kind in HAPPENINGS if kind not in LAST]), data=st.data())
    def something_happens(self, kind: type[Happening], data: st.DataObject) -> None:
        examples = st.sampled_from([one for one in EXAMPLES if type(one) is kind])
        self.take(data.draw(REPORTS.get(kind, examples)))

    @rule(kind=st.sampled_from(LAST), really=st.integers(0, 5))
    def it_may_end(self, kind: type[Happening], really: int) -> None:
        if really == 0:
            self.take(next(one for one in EXAMPLES if type(one) is kind))

    def take(self, happening: Happening) -> None:
        said = verdict(self.task.state, type(happening))
        if said == "wrong":
            return
        self.now += 7
        done = step(self.task, happening, self.now)
        assert done.late == (said == "late")
        if done.late:
            assert done.task is self.task and done.event is None
        if done.event is not None:
            self.log.append(done.event)
            self.snapshot = fold(self.snapshot, decode_event(encode_event(done.event)))
        self.task = done.task

    @invariant()
    def the_log_and_the_row_agree(self) -> None:
        if hasattr(self, "log"):
            check_log(self.log)
            check_row(self.task, self.snapshot, self.log[-1])
            assert self.task.ended == (self.log[-1].status in TERMINAL)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=30)


@settings(max_examples=80)
@given(st.lists(st.sampled_from(EXAMPLES), max_size=30))
def test_every_life_can_still_end(happenings: list[Happening]) -> None:
    """However far a task has come, a cancel and an answer to it end it, once."""
    task = born(fresh(), "busy").task
    for happening in [*happenings, happened.CancelAsked(), happened.Stopped()]:
        if verdict(task.state, type(happening)) != "wrong":
            task = step(task, happening, NOW).task
    assert task.ended


@settings(max_examples=80)
@given(st.lists(st.sampled_from(EXAMPLES), max_size=40), st.data())
def test_the_order_of_reading_does_not_matter(happenings: list[Happening], data: Any) -> None:
    """Events that come again, or early ones after later ones, change no reader's end."""
    task, log = born(fresh(), "busy").task, [born(fresh(), "busy").event]
    for happening in happenings:
        if verdict(task.state, type(happening)) != "wrong":
            done = step(task, happening, NOW)
            task, log = done.task, [*log, done.event]
    told = [event for event in log if event is not None]
    plain = again = opening(fresh())
    for place, event in enumerate(told):
        plain = again = fold(plain, event)
        for repeat in data.draw(st.lists(st.sampled_from(told[: place + 1]), max_size=3)):
            again = fold(again, repeat)
        assert again == plain


def test_the_states_are_all_visited() -> None:
    """The examples alone lead to each of the seven states: the machine above can too."""
    seen, open_ = set(), [born(fresh(), "busy").task]
    while open_:
        task = open_.pop()
        if task.state in seen:
            continue
        seen.add(task.state)
        for one in EXAMPLES:
            if verdict(task.state, type(one)) not in ("wrong", "late"):
                open_.append(step(task, one, NOW).task)
    assert seen == set(State)
