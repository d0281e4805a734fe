"""A task's last events in memory: what they lead to, and what each of them holds."""

from __future__ import annotations

import tracemalloc
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.tail import MAX_UNFOLDED, Entry, Tail, words_of
from safelight_protocol import inputs as happened
from safelight_protocol.events import TaskEvent, encode_event, error_data
from safelight_protocol.frames import V2
from safelight_protocol.snapshot import fold, opening
from tests.doubles.lives import NOW, events, fresh, lived

CLAIMED = happened.Claimed(NOW + 60_000)
SAVED = happened.HandleSaved("p")
FAULTED = happened.Faulted(error_data("provider_failed", "no", retryable=True), NOW)


def moved(step: int) -> happened.Happening:
    """Progress to a thousandth."""
    return happened.Progressed(step / 1000, step, 1000, None)


MOVED = st.builds(lambda step: [moved(step)], st.integers(1, 999))
TOLD = st.one_of(MOVED, MOVED, st.sampled_from([[happened.Wrote("a")], [FAULTED, CLAIMED, SAVED]]))


def told_of(happenings: list[happened.Happening]) -> list[TaskEvent]:
    """The events of a task that runs and to which that happens."""
    return events(lived(fresh(), [CLAIMED, SAVED, *happenings]))


def entry_of(event: TaskEvent) -> Entry:
    """As the log makes it."""
    return Entry(event.seq, 1, encode_event(event))


@settings(max_examples=100, deadline=None)
@given(told=st.lists(TOLD, max_size=90), asks=st.sets(st.integers(0, 90)), bound=st.integers(1, 3))
def test_a_snapshot_is_the_fold_of_all_events(
    told: list[list[happened.Happening]], asks: set[int], bound: int
) -> None:
    """Whenever it is asked for, whatever later progress made superfluous, and however few of
    the events are kept."""
    folded = opening(fresh())
    tail = Tail(folded, bound, folded.seq)
    for number, event in enumerate(told_of(list(chain(*told)))):
        tail.append(event, entry_of(event))
        folded = fold(folded, event)
        if number in asks:
            assert tail.snapshot == folded
    assert tail.snapshot == folded


def test_the_only_one_is_the_next_one() -> None:
    """Of none, of more, and of what is not kept there is no only one."""
    tail = Tail(opening(fresh()), 4, 0)
    assert tail.only(0) is None
    made = [entry_of(event) for event in told_of([moved(1), moved(2)])]
    for event, entry in zip(told_of([moved(1), moved(2)]), made, strict=True):
        tail.append(event, entry)
    last = made[-1].seq
    assert tail.only(last - 1) is made[-1]
    assert [tail.only(last - 2), tail.only(last), tail.only(last + 1)] == [None, None, None]


def test_what_waits_for_its_fold_has_a_bound() -> None:
    """A long text that nobody asks for is not kept twice, as entries and as events."""
    tail = Tail(opening(fresh()), 4, 0)
    told = told_of([happened.Wrote("a")] * (2 * MAX_UNFOLDED + 5))
    for event in told:
        tail.append(event, entry_of(event))
        assert len(tail._unfolded or ()) < MAX_UNFOLDED
    assert tail.snapshot.text == "a" * (2 * MAX_UNFOLDED + 5)


def test_what_an_event_holds() -> None:
    """Its frame and a hundred bytes: neither its JSON beside that, nor what it was made of."""
    count, words = 200, words_of(V2(), "task:t1")
    told = told_of([moved(step) for step in range(1, count + 50)])[-count:]
    tail = Tail(opening(fresh()), 1024, 0)
    length = len(entry_of(told[-1]).wire(words))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for event in told:
            tail.append(event, entry_of(event))
            only = tail.only(event.seq - 1)
            assert only is not None
            only.wire(words)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < length + 33 + 100
