"""The server end of a socket: duplicate joins, null join_refs, ends in the wrong moment."""

from __future__ import annotations

from safelight_protocol.session import Command, Leave
from tests.doubles.raw_client import (
    OK,
    A,
    error_of,
    frames,
    give,
    join,
    joined,
    push,
    session,
)


def test_a_duplicate_join_replaces() -> None:
    """The old join is left first; then reply(new), phx_close(old), pushes of the new."""
    to = joined()
    left, asked = give(to, "22", "220", A, "phx_join")
    assert (left, asked.join_ref) == (Leave(A, "6", 1), "22")
    assert to.push(A, "early", b"{}") == []
    assert frames(to.accept(asked, b"{}")) == [
        ["22", "220", A, "phx_reply", OK],
        ["6", "6", A, "phx_close", {}],
    ]
    assert frames(to.push(A, "e", b"{}")) == [["22", None, A, "e", {}]]


def test_a_refused_duplicate_leaves_nothing() -> None:
    """If the new join is refused, the old one is gone all the same."""
    to = joined()
    asked = join(to, join_ref="22", ref="220")
    assert frames(to.refuse(asked, b"{}")) == [
        ["22", "220", A, "phx_reply", {"response": {}, "status": "error"}],
        ["6", "6", A, "phx_close", {}],
    ]
    assert to.statistics().channels == 0


def test_a_join_may_be_overtaken() -> None:
    """Of two pending joins only the last is answered; the other gets its phx_close."""
    to = joined()
    first = join(to, join_ref="22", ref="220")
    left, second = give(to, "23", "230", A, "phx_join")
    assert left == Leave(A, "22", first.generation)
    assert not to.is_current(first)
    assert to.accept(first, b"{}") == []
    assert frames(to.accept(second, b"{}")) == [
        ["23", "230", A, "phx_reply", OK],
        ["6", "6", A, "phx_close", {}],
        ["22", "22", A, "phx_close", {}],
    ]


def test_the_same_refs_make_another_join() -> None:
    """A join that repeats its refs is a new one: the first cannot be accepted for it."""
    to = session()
    first = join(to)
    second = join(to)
    assert to.accept(first, b"{}") == []
    assert len(to.accept(second, b"{}")) == 2


def test_replies_to_a_replaced_join_are_dropped() -> None:
    """A command of the old join is answered no more, not even by a null join_ref."""
    to = joined()
    for join_ref in ("6", None):
        command = push(to, join_ref)
        asked = join(to, join_ref="22", ref="220")
        to.accept(asked, b"{}")
        assert to.reply(command, "ok", b"{}") == []
        to.accept(join(to), b"{}")


def test_a_join_without_join_ref_is_known_by_its_ref() -> None:
    """Its reply echoes the null; whatever follows carries the ref in its place."""
    to = session()
    asked = join(to, join_ref=None, ref="29")
    assert frames(to.accept(asked, b"{}")) == [[None, "29", A, "phx_reply", OK]]
    assert frames(to.push(A, "e", b"{}")) == [["29", None, A, "e", {}]]
    assert isinstance(give(to, "29", "30", A, "ping")[0], Command)
    assert give(to, None, "33", A, "phx_leave") == [
        Leave(A, "29", 1),
        ["29", "33", A, "phx_reply", OK],
        ["29", "29", A, "phx_close", {}],
    ]


def test_a_null_join_ref_means_the_current_join() -> None:
    """A command without join_ref is taken, and answered with the channel's."""
    to = joined()
    command = push(to, None, "8")
    assert command.join_ref == "6"
    assert frames(to.reply(command, "ok", b"{}")) == [["6", "8", A, "phx_reply", OK]]


def test_numbers_and_strings_are_different_refs() -> None:
    """A join_ref is compared as received: 45 is not "45"."""
    to = joined(join_ref=45)
    assert give(to, "45", "46", A, "ping") == []
    assert isinstance(give(to, 45, 46, A, "ping")[0], Command)


def test_a_channel_is_closed_with_its_join() -> None:
    """phx_close carries the join_ref it ends in both refs; the topic is free then."""
    to = joined()
    command = push(to)
    assert frames(to.close(A)) == [["6", "6", A, "phx_close", {}]]
    assert to.close(A) == []
    assert to.reply(command, "ok", b"{}") == []
    assert error_of(give(to, "6", "35", A, "ping")[0])[3] == "unmatched topic"


def test_a_channel_crashes_with_its_join() -> None:
    """phx_error does likewise, with a reason."""
    to = joined()
    assert frames(to.crash(A)) == [["6", "6", A, "phx_error", {"reason": "channel_crash"}]]
    assert to.crash(A) == []


def test_an_end_of_a_pending_join_owes_nothing_more() -> None:
    """Closing a topic that is joining also closes what was replaced."""
    to = joined()
    asked = join(to, join_ref="22", ref="220")
    assert frames(to.close(A)) == [
        ["6", "6", A, "phx_close", {}],
        ["22", "22", A, "phx_close", {}],
    ]
    assert to.accept(asked, b"{}") == []


def test_a_push_needs_a_channel() -> None:
    """A push on a topic that is free or joining writes nothing, and is counted."""
    to = session()
    assert to.push(A, "e", b"{}") == []
    join(to)
    assert to.push(A, "e", b"{}") == []
    assert to.statistics().dropped == 2
