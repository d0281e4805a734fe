"""Owners take turns, models have places of their own, and who waits is told what is before it."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

from safelight.dispatch import Dispatcher
from safelight.dispatch.words import coarse
from tests.doubles.lives import NOW


def one_place(**more: Any) -> Dispatcher:
    """A dispatcher with one place for `acme`."""
    return Dispatcher({"acme": 1}, **more)


def wait(dispatcher: Dispatcher, *uids: str, owner: str = "ann", model: str = "x") -> None:
    """These tasks of an owner come."""
    for uid in uids:
        dispatcher.enqueue(uid, "acme", owner=owner, model=model)


def order(dispatcher: Dispatcher, count: int = 10**6) -> list[str]:
    """In which they are taken, each ending before the next."""
    taken: list[str] = []
    while len(taken) < count and (some := dispatcher.take(NOW)):
        taken += some
        for uid in some:
            dispatcher.remove(uid)
    return taken


def test_owners_take_turns() -> None:
    """However much one of them has asked for before the other came."""
    dispatcher = one_place()
    wait(dispatcher, *(f"a{n}" for n in range(5)))
    wait(dispatcher, "b0", "b1", owner="bob")
    assert order(dispatcher) == ["a0", "b0", "a1", "b1", "a2", "a3", "a4"]


def test_one_owner_alone_is_first_come_first_served() -> None:
    """Whatever the models are, as long as each has a place."""
    dispatcher = one_place()
    for n in range(9):
        wait(dispatcher, f"a{n}", model="xyz"[n % 3])
    assert order(dispatcher) == [f"a{n}" for n in range(9)]


def test_a_weight_is_so_many_turns() -> None:
    """An owner of weight three has three for each one of another."""
    dispatcher = one_place(weights={"ann": 3.0})
    wait(dispatcher, *(f"a{n}" for n in range(30)))
    wait(dispatcher, *(f"b{n}" for n in range(30)), owner="bob")
    assert Counter(uid[0] for uid in order(dispatcher, 20)) == {"a": 15, "b": 5}


def test_time_without_a_request_is_no_credit() -> None:
    """Who comes after a thousand turns of another gets every second turn, not a thousand."""
    dispatcher = one_place()
    wait(dispatcher, *(f"a{n}" for n in range(1100)))
    order(dispatcher, 1000)
    wait(dispatcher, *(f"b{n}" for n in range(100)), owner="bob")
    assert Counter(uid[0] for uid in order(dispatcher, 20)) == {"a": 10, "b": 10}


def test_who_comes_again_begins_where_the_others_are() -> None:
    """What was not asked for meanwhile is not made up for."""
    dispatcher = one_place()
    wait(dispatcher, *(f"a{n}" for n in range(100)))
    wait(dispatcher, "b", owner="bob")
    assert order(dispatcher, 20).count("b") == 1
    wait(dispatcher, *(f"c{n}" for n in range(20)), owner="bob")
    assert Counter(uid[0] for uid in order(dispatcher, 20)) == {"a": 10, "c": 10}


def test_coming_one_by_one_gains_nothing() -> None:
    """An owner who always has one task there waits for the turns of the others all the same."""
    dispatcher = one_place()
    wait(dispatcher, *(f"a{n}" for n in range(50)))
    taken = []
    for n in range(20):
        wait(dispatcher, f"b{n}", owner="bob")
        taken += order(dispatcher, 2)
    assert abs(Counter(uid[0] for uid in taken)["a"] - 20) <= 1


def test_going_for_a_turn_is_no_way_to_be_forgotten() -> None:
    """Who has one turn for four of another has no more by coming when those others are at it."""
    dispatcher, taken, waits = one_place(weights={"bob": 0.25}), [""], False
    wait(dispatcher, *(f"a{n}" for n in range(400)))
    for n in range(300):
        if not waits and taken[-1].startswith("a"):
            wait(dispatcher, f"b{n}", owner="bob")
            waits = True
        taken += order(dispatcher, 1)
        waits = waits and taken[-1].startswith("a")
    assert abs(sum(uid.startswith("b") for uid in taken) - 60) <= 1


def test_a_model_has_places_of_its_own_at_each_host() -> None:
    """Past them its tasks wait, and stand in nobody's way, not even their own owner's."""
    dispatcher = Dispatcher({"acme": 4, "other": 4}, limits={"slow": 1})
    wait(dispatcher, "s0", "s1", "s2", model="slow")
    wait(dispatcher, "q0", "q1", model="quick")
    dispatcher.enqueue("t0", "other", owner="ann", model="slow")
    assert sorted(dispatcher.take(NOW)) == ["q0", "q1", "s0", "t0"]
    assert dispatcher.due() is None
    dispatcher.remove("s0")
    assert dispatcher.take(NOW) == ["s1"]


def test_a_host_is_not_overbooked_by_the_places_of_its_models() -> None:
    """Both limits hold."""
    dispatcher = Dispatcher({"acme": 2}, limits={"x": 2, "y": 2})
    wait(dispatcher, "x0", "x1", "x2", model="x")
    wait(dispatcher, "y0", "y1", model="y")
    assert dispatcher.take(NOW) == ["x0", "x1"]


def test_a_retry_waits_for_no_newcomer_of_its_owner() -> None:
    """When its time has come it joins its owner's line, and later ones stand behind it."""
    dispatcher = one_place()
    wait(dispatcher, "busy")
    dispatcher.take(NOW)
    dispatcher.enqueue("retry", "acme", NOW + 5, owner="ann", model="x")
    assert dispatcher.take(NOW + 5) == []
    wait(dispatcher, *(f"new{n}" for n in range(5)))
    wait(dispatcher, *(f"b{n}" for n in range(5)), owner="bob")
    dispatcher.remove("busy")
    assert "retry" in order(dispatcher, 2)


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "1"),
        (9, "9"),
        (10, "10 or more"),
        (19, "10 or more"),
        (20, "20 or more"),
        (49, "20 or more"),
        (50, "50 or more"),
        (100, "100 or more"),
        (99_999, "50000 or more"),
    ],
)
def test_large_numbers_are_coarse(count: int, told: str) -> None:
    """So that a long line does not tell everybody something new at every step."""
    assert coarse(count) == told


def test_a_reason_names_what_stands_before() -> None:
    """The host, the model, one's own and the others."""
    dispatcher = Dispatcher({"acme": 2}, limits={"slow": 1})
    assert dispatcher.reason("acme", "ann", "slow") == "acme has a free place"
    wait(dispatcher, "s0", "s1", "s2", model="slow")
    assert dispatcher.take(NOW) == ["s0"]
    assert dispatcher.reason("acme", "ann", "slow") == (
        "model slow is busy (1 of 1 places), behind 2 of yours"
    )
    wait(dispatcher, "q0", "q1", owner="bob", model="quick")
    assert dispatcher.take(NOW) == ["q0"]
    assert dispatcher.reason("acme", "bob", "quick") == (
        "acme is busy (2 of 2 places), behind 1 of yours, 1 owner before you"
    )
    wait(dispatcher, "c0", owner="cid", model="quick")
    wait(dispatcher, "d0", owner="dan", model="quick")
    assert dispatcher.reason("acme", "eve", "quick") == (
        "acme is busy (2 of 2 places), 2 owners before you"
    ), "ann and bob have just had their turn"


def test_a_position_counts_turns_not_arrivals() -> None:
    """Of another's long line only those stand before a task that have their turn first."""
    dispatcher = one_place()
    wait(dispatcher, "busy", owner="cid")
    dispatcher.take(NOW)
    wait(dispatcher, *(f"a{n}" for n in range(10)))
    wait(dispatcher, "b0", "b1", owner="bob")
    assert [dispatcher.position(uid) for uid in ("a0", "b0", "a1", "b1", "a2")] == [0, 1, 2, 3, 4]
    assert dispatcher.position("a9") == 11


def calls(work: Any) -> int:
    """Python functions that it calls."""
    count = 0

    def note(frame: Any, event: str, called: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("owners", [1, 10_000], ids=["one owner", "many owners"])
def test_a_turn_costs_the_same_however_many_wait(owners: int) -> None:
    """To come, to be taken, to leave and to be told why: as many steps with twenty thousand in
    the queue as with two hundred."""

    def cost(waiting: int) -> int:
        dispatcher = one_place(limits={"full": 1})
        for n in range(waiting):
            owner = f"owner{n % min(owners, waiting)}"
            dispatcher.enqueue(f"t{n}", "acme", owner=owner, model="x")
            if n % 2:
                dispatcher.enqueue(f"f{n}", "acme", owner=owner, model="full")
        dispatcher.occupy("busy", "other", "full")

        def work() -> None:
            for n in range(50):
                dispatcher.join(f"new{n}", "acme", NOW + 1, owner="owner0", model="x")
                for uid in dispatcher.take(NOW):
                    dispatcher.remove(uid)
                dispatcher.remove(f"t{waiting // 2 + n}")
                dispatcher.reason("acme", "owner1", "x")

        return calls(work)

    assert cost(20_000) < 1.2 * cost(200) + 200
