"""Which task runs next: places, lines, and those that wait for their time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.dispatch import Dispatcher
from tests.doubles.lives import NOW


def two_places() -> Dispatcher:
    """A dispatcher with two places for `local`, one for everybody else."""
    return Dispatcher({"local": 2}, default=1)


def filled(*uids: str, provider: str = "local") -> Dispatcher:
    """With these tasks in the line."""
    dispatcher = two_places()
    for uid in uids:
        dispatcher.enqueue(uid, provider)
    return dispatcher


def test_first_come_first_served() -> None:
    """As many as there are places, in the order in which they came."""
    dispatcher = filled("a", "b", "c", "d")
    assert dispatcher.take(NOW) == ["a", "b"]
    assert dispatcher.take(NOW) == []
    dispatcher.remove("a")
    assert dispatcher.take(NOW) == ["c"]
    assert dispatcher.statistics() == {"waiting": 1, "running": 2}


def test_a_newcomer_is_news_if_somebody_has_to_act() -> None:
    """Where there is a free place, or where nobody is overdue before; not at the end of a
    line. It has its turn and its time limit either way."""
    dispatcher = two_places()
    assert dispatcher.join("a", "local", NOW + 9)
    assert dispatcher.join("b", "local", NOW + 10)
    assert dispatcher.take(NOW) == ["a", "b"]
    assert not dispatcher.join("c", "local", NOW + 10)
    assert dispatcher.join("d", "local", NOW + 8)
    dispatcher.hold("acme", "it is down")
    assert not dispatcher.join("x", "acme", NOW + 20)
    assert dispatcher.overdue(NOW + 9) == ["d", "a"]
    dispatcher.remove("a")
    assert dispatcher.take(NOW) == ["c"]


def test_providers_do_not_wait_for_each_other() -> None:
    """A full provider stands in nobody else's way; unknown ones have the default."""
    dispatcher = filled("a", "b", "c")
    dispatcher.enqueue("x", "acme")
    dispatcher.enqueue("y", "acme")
    assert sorted(dispatcher.take(NOW)) == ["a", "b", "x"]
    assert (dispatcher.places("local"), dispatcher.places("acme")) == (2, 1)


def test_a_task_that_leaves_is_passed_over() -> None:
    """Who is canceled in the line takes no place, and is not taken."""
    dispatcher = filled("a", "b", "c")
    dispatcher.remove("a")
    assert dispatcher.take(NOW) == ["b", "c"]
    dispatcher.remove("nobody")
    assert dispatcher.statistics() == {"waiting": 0, "running": 2}


def test_a_place_is_given_back_once() -> None:
    """However often a task is said to have ended."""
    dispatcher = filled("a", "b", "c", "d", "e")
    dispatcher.take(NOW)
    for _ in range(3):
        dispatcher.remove("a")
    assert dispatcher.take(NOW) == ["c"]


def test_a_running_task_is_counted_after_a_restart() -> None:
    """What was taken by an earlier process holds its place, once."""
    dispatcher = filled("c")
    dispatcher.occupy("a", "local")
    dispatcher.occupy("b", "local")
    dispatcher.occupy("b", "local")
    assert dispatcher.take(NOW) == []
    dispatcher.remove("b")
    assert dispatcher.take(NOW) == ["c"]


def test_a_retry_gives_back_its_place_and_waits() -> None:
    """Enqueued again after its attempt, a task is not running any more."""
    dispatcher = filled("a", "b", "c")
    dispatcher.take(NOW)
    dispatcher.enqueue("a", "local", NOW + 500)
    assert dispatcher.take(NOW) == ["c"]
    assert dispatcher.statistics() == {"waiting": 1, "running": 2}


def test_a_retry_takes_its_turn_when_its_time_has_come() -> None:
    """Not before, and at the very millisecond."""
    dispatcher = two_places()
    dispatcher.enqueue("a", "local", NOW + 500)
    assert (dispatcher.take(NOW + 499), dispatcher.due()) == ([], NOW + 500)
    assert (dispatcher.take(NOW + 500), dispatcher.due()) == (["a"], None)


def test_a_retry_is_not_kept_waiting_by_newcomers() -> None:
    """From its time on it stands in the line like everybody, also under a load that never ends."""
    dispatcher = Dispatcher({"local": 1})
    dispatcher.enqueue("busy", "local")
    dispatcher.take(NOW)
    dispatcher.enqueue("retry", "local", NOW + 5)
    taken = []
    for turn in range(10):
        dispatcher.enqueue(f"new{turn}", "local")
        dispatcher.remove(taken[-1] if taken else "busy")
        taken += dispatcher.take(NOW + turn)
    assert taken.index("retry") == 6


def test_retries_come_in_the_order_of_their_times() -> None:
    """Whoever may go first goes first, however late the look."""
    dispatcher = Dispatcher({"local": 9})
    for uid, wait in (("c", 30), ("a", 10), ("b", 20), ("d", 10)):
        dispatcher.enqueue(uid, "local", NOW + wait)
    assert dispatcher.take(NOW + 60) == ["a", "d", "b", "c"]


def test_a_later_wait_replaces_the_earlier() -> None:
    """A task that is added again has only its newest time."""
    dispatcher = two_places()
    dispatcher.enqueue("a", "local", NOW + 10)
    dispatcher.enqueue("a", "local", NOW + 90)
    assert dispatcher.take(NOW + 50) == []
    assert dispatcher.take(NOW + 90) == ["a"]
    dispatcher.remove("a")
    assert dispatcher.take(NOW + 99) == []


def test_due_is_when_to_look_again() -> None:
    """At once if one could be taken, at the next retry's time, or never by itself."""
    dispatcher = filled("a", "b", "c")
    assert dispatcher.due() == 0
    dispatcher.take(NOW)
    assert dispatcher.due() is None
    dispatcher.enqueue("r", "local", NOW + 70)
    dispatcher.enqueue("q", "acme", NOW + 80)
    assert dispatcher.due() == NOW + 70


@pytest.mark.parametrize(
    ("running", "waiting", "reason"),
    [
        (0, 0, "local has a free place"),
        (1, 0, "local has a free place"),
        (2, 0, "local is busy (2 of 2 places)"),
        (2, 3, "local is busy (2 of 2 places), behind 3 of yours"),
    ],
)
def test_a_reason_is_a_plain_sentence(running: int, waiting: int, reason: str) -> None:
    """It says how full the provider is and how many stand before a newcomer."""
    dispatcher = two_places()
    for n in range(running):
        dispatcher.occupy(f"r{n}", "local")
    for n in range(waiting):
        dispatcher.enqueue(f"w{n}", "local")
    assert dispatcher.reason("local") == reason


def test_who_waits_for_a_retry_is_in_nobodys_way() -> None:
    """A free place is free, whatever comes back later; those who stand in the line do count."""
    dispatcher = two_places()
    dispatcher.enqueue("r", "local", NOW + 60_000)
    assert dispatcher.reason("local") == "local has a free place"
    dispatcher.enqueue("a", "local")
    dispatcher.enqueue("b", "local")
    assert dispatcher.reason("local") == "local is busy (0 of 2 places), behind 2 of yours"
    dispatcher.remove("r")
    assert dispatcher.reason("local") == "local is busy (0 of 2 places), behind 2 of yours"


def test_a_position_is_counted_in_the_line() -> None:
    """How many of the same provider stand before it; none for one that does not wait."""
    dispatcher = filled("a", "b", "c", "d")
    dispatcher.enqueue("x", "acme")
    dispatcher.enqueue("later", "local", NOW + 20)
    dispatcher.enqueue("soon", "local", NOW + 10)
    dispatcher.take(NOW)
    dispatcher.remove("c")
    assert [dispatcher.position(uid) for uid in ("d", "soon", "later")] == [0, 1, 2]
    assert [dispatcher.position(uid) for uid in ("a", "c", "x", "nobody")] == [None] * 4


ACTS = st.tuples(
    st.sampled_from(["enqueue", "later", "remove", "take", "occupy"]),
    st.sampled_from("abcdef"),
    st.integers(min_value=0, max_value=9),
)


@settings(max_examples=60)
@given(st.lists(ACTS, max_size=40))
def test_places_are_never_overbooked(acts: list[tuple[str, str, int]]) -> None:
    """Whatever happens, taken tasks fit the places, each is taken once, and all can go."""
    dispatcher = Dispatcher({"local": 2})
    running: set[str] = set()
    waiting: set[str] = set()
    for now, (act, uid, wait) in enumerate(acts):
        match act:
            case "take":
                taken = dispatcher.take(now)
                assert set(taken) <= waiting and len(taken) == len(set(taken))
                assert not taken or len(running) + len(taken) <= 2
                running, waiting = running | set(taken), waiting - set(taken)
            case "remove":
                dispatcher.remove(uid)
                running, waiting = running - {uid}, waiting - {uid}
            case "occupy":
                dispatcher.occupy(uid, "local")
                running, waiting = running | {uid}, waiting - {uid}
            case _:
                dispatcher.enqueue(uid, "local", now + wait if act == "later" else 0)
                running, waiting = running - {uid}, waiting | {uid}
        assert dispatcher.statistics() == {"waiting": len(waiting), "running": len(running)}
    for uid in running:
        dispatcher.remove(uid)
    while taken := dispatcher.take(1_000):
        waiting -= set(taken)
        for uid in taken:
            dispatcher.remove(uid)
    assert waiting == set()
    assert dispatcher.reason("local") == "local has a free place"


def test_a_task_is_overdue_once_wherever_it_is() -> None:
    """In the line, in a place, or waiting for a retry: at its instant it is told, once."""
    dispatcher = filled("line", "place", "retry")
    assert dispatcher.take(NOW) == ["line", "place"]
    dispatcher.enqueue("line", "local", NOW + 900)
    for uid, limit in (("line", 3), ("place", 1), ("retry", 2)):
        dispatcher.watch(uid, NOW + limit)
    assert dispatcher.overdue(NOW) == []
    assert dispatcher.overdue(NOW + 2) == ["place", "retry"]
    assert dispatcher.overdue(NOW + 9) == ["line"]
    assert dispatcher.overdue(NOW + 99) == []


def test_who_has_left_is_never_overdue() -> None:
    """A task that ended in time is forgotten, however many came and went."""
    dispatcher = filled()
    for n in range(1000):
        dispatcher.watch(f"t{n}", NOW + n)
        dispatcher.remove(f"t{n}")
    assert dispatcher.due() is None
    assert dispatcher.overdue(NOW + 9_999) == []


def test_the_forgotten_take_no_room() -> None:
    """What is kept for tasks that ended is at most what is kept for those that live."""
    dispatcher = filled()
    for n in range(100):
        dispatcher.watch(f"t{n}", NOW + n)
    for n in range(99):
        dispatcher.remove(f"t{n}")
    assert dispatcher.entries() <= 4
    assert dispatcher.overdue(NOW + 99) == ["t99"]


def test_a_move_in_the_queue_keeps_the_time_of_its_end() -> None:
    """Being taken and queued again does not put it off."""
    dispatcher = filled("a")
    dispatcher.watch("a", NOW + 5)
    dispatcher.take(NOW)
    dispatcher.enqueue("a", "local", NOW + 3)
    assert dispatcher.due() == NOW + 3
    dispatcher.take(NOW + 3)
    assert dispatcher.due() == NOW + 5
    assert dispatcher.overdue(NOW + 5) == ["a"]


def test_who_is_overdue_is_not_taken() -> None:
    """A task whose time is up gets no place any more; it holds the one it has until it ends."""
    dispatcher = filled("a", "b", "c", "d")
    dispatcher.take(NOW)
    for uid in "ac":
        dispatcher.watch(uid, NOW + 1)
    assert dispatcher.overdue(NOW + 1) == ["a", "c"]
    assert dispatcher.take(NOW + 1) == []
    dispatcher.remove("a")
    assert dispatcher.take(NOW + 1) == ["d"]


def test_who_left_a_busy_line_is_forgotten() -> None:
    """However many are cancelled while their provider is busy, nothing of them is kept; who
    still waits keeps the order."""
    dispatcher = filled("a", "b", "first", "second")
    dispatcher.take(NOW)
    for n in range(1_000):
        dispatcher.enqueue(f"t{n}", "local")
        dispatcher.remove(f"t{n}")
    assert dispatcher.entries() < 200
    dispatcher.remove("a")
    dispatcher.remove("b")
    assert dispatcher.take(NOW) == ["first", "second"]


def test_who_left_while_waiting_for_a_retry_is_forgotten() -> None:
    """A retry that is cancelled long before its time leaves nothing either."""
    dispatcher = two_places()
    dispatcher.enqueue("kept", "local", NOW + 5)
    for n in range(1_000):
        dispatcher.enqueue(f"t{n}", "local", NOW + 10 + n)
        dispatcher.remove(f"t{n}")
    assert dispatcher.entries() < 200
    assert dispatcher.due() == NOW + 5
    assert dispatcher.take(NOW + 5) == ["kept"]
