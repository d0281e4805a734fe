"""Hosts: what has places, what is held, and what those who wait there are told."""

from __future__ import annotations

from safelight.dispatch import Dispatcher, backend_of, host_of, label_of
from tests.doubles.lives import NOW


def filled(*uids: str) -> Dispatcher:
    """With these tasks in the line of `local`, which has two places."""
    dispatcher = Dispatcher({"local": 2}, default=1)
    for uid in uids:
        dispatcher.enqueue(uid, "local")
    return dispatcher


def test_backends_of_one_provider_have_places_of_their_own() -> None:
    """Each backend is a host: a full one stands in no other's way, and is called by name."""
    here, there = host_of("comfyui", "here"), host_of("comfyui", "there")
    dispatcher = Dispatcher({here: 1, there: 1})
    for uid, host in (("a", here), ("b", here), ("c", there)):
        dispatcher.enqueue(uid, host)
    assert sorted(dispatcher.take(NOW)) == ["a", "c"]
    assert dispatcher.reason(here) == "here is busy (1 of 1 places), behind 1 of yours"
    assert (dispatcher.counts(here), dispatcher.counts(there)) == ((1, 1), (1, 0))
    assert (dispatcher.host("a"), dispatcher.host("c")) == (here, there)


def test_a_host_is_named_by_its_backend() -> None:
    """A provider without backends is its own host."""
    assert host_of("local", None) == "local"
    assert (backend_of("comfyui/gpu"), backend_of("local")) == ("gpu", None)
    assert (label_of("comfyui/gpu"), label_of("local")) == ("gpu", "local")


def test_a_host_that_is_held_takes_nobody_and_says_why() -> None:
    """Until it is released; the others go on, and nothing is due because of it."""
    dispatcher = filled("a", "b")
    dispatcher.enqueue("x", "acme")
    dispatcher.hold("local", "local is down")
    assert dispatcher.take(NOW) == ["x"]
    assert dispatcher.due() is None
    assert dispatcher.reason("local") == "local is down"
    dispatcher.hold("local", None)
    assert dispatcher.due() == 0
    assert dispatcher.take(NOW) == ["a", "b"]


def test_who_waits_is_told_why_in_its_place() -> None:
    """Those in the line by how many stand before them; of a host that is held also those
    that wait for a retry; nobody who has left."""
    dispatcher = filled("a", "b", "c", "d", "e")
    dispatcher.take(NOW)
    dispatcher.remove("d")
    dispatcher.enqueue("later", "local", NOW + 5)
    dispatcher.enqueue("elsewhere", "acme", NOW + 5)
    assert dispatcher.reasons("local") == [
        ("c", "local is busy (2 of 2 places)"),
        ("e", "local is busy (2 of 2 places), behind 1 of yours"),
    ]
    dispatcher.hold("local", "down")
    assert dispatcher.reasons("local") == [("c", "down"), ("e", "down"), ("later", "down")]
    assert dispatcher.reasons("nobody") == []


def test_who_waits_is_counted_once() -> None:
    """However often a task joins and leaves, in the line or before its retry."""
    dispatcher = filled("a", "b", "c")
    assert dispatcher.counts("local") == (0, 3)
    dispatcher.take(NOW)
    dispatcher.enqueue("a", "local", NOW + 50)
    dispatcher.enqueue("a", "local", NOW + 60)
    assert dispatcher.counts("local") == (1, 2)
    for uid in "abc":
        dispatcher.remove(uid)
    assert dispatcher.counts("local") == (0, 0)


def test_a_trial_goes_beside_what_is_stuck() -> None:
    """One task tries a model that is held no more, also where older ones have not come to an
    end; once it is over the next one may."""
    dispatcher = Dispatcher({"local": 9})
    for uid in ("a", "b"):
        dispatcher.enqueue(uid, "local", model="m")
    assert dispatcher.take(NOW) == ["a", "b"]
    dispatcher.hold_model("local", "m", "breaker")
    for uid in ("c", "d", "e"):
        dispatcher.enqueue(uid, "local", model="m")
    assert dispatcher.take(NOW) == []
    dispatcher.hold_model("local", "m", None, trial=True)
    assert dispatcher.take(NOW) == ["c"]
    dispatcher.hold_model("local", "m", None, trial=True)
    assert dispatcher.take(NOW) == []
    dispatcher.remove("a")
    assert dispatcher.take(NOW) == []
    dispatcher.remove("c")
    assert dispatcher.take(NOW) == ["d"]
    dispatcher.hold_model("local", "m", None)
    assert dispatcher.take(NOW) == ["e"]
