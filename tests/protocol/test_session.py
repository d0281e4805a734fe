"""The server end of a socket: what each frame asks for, by the standing of its topic."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from safelight_protocol.session import Join, Leave
from tests.doubles.raw_client import (
    OK,
    A,
    B,
    error_of,
    frames,
    give,
    join,
    joined,
    push,
    read,
    session,
)


@pytest.mark.parametrize("join_ref", [None, "9"])
@pytest.mark.parametrize("payload", [{}, "", None])
def test_heartbeats_are_answered_at_once(join_ref: str | None, payload: Any) -> None:
    """A heartbeat is answered before any join, with a null join_ref, whatever it carries."""
    text = json.dumps([join_ref, "1", "phoenix", "heartbeat", payload])
    assert read(session().receive(text, 101.0)) == [[None, "1", "phoenix", "phx_reply", OK]]


@pytest.mark.parametrize("ref", ["1", 1, "01", None, "é", 10**30])
def test_refs_are_echoed_exactly(ref: Any) -> None:
    """A ref comes back as it was received: a string as a string, a number as a number."""
    (reply,) = give(session(), None, ref, "phoenix", "heartbeat")
    assert (reply[1], type(reply[1])) == (ref, type(ref))


@pytest.mark.parametrize(
    ("event", "answer"), [("phx_join", "unmatched topic"), ("ping", "unmatched topic")]
)
def test_nothing_else_happens_on_phoenix(event: str, answer: str) -> None:
    """The topic of heartbeats can neither be joined nor pushed to."""
    (reply,) = give(session(), "1", "2", "phoenix", event)
    assert error_of(reply) == (None, "2", "phoenix", answer, "unmatched_topic")


def test_a_join_asks_and_waits() -> None:
    """A join becomes an effect with its refs as received; nothing is written before."""
    (effect,) = give(session(), "6", "60", A, "phx_join", {"after": "L-3"})
    assert (effect.topic, effect.join_ref, effect.ref) == (A, "6", "60")
    assert msgspec.json.decode(effect.payload) == {"after": "L-3"}


def test_an_accepted_join_replies_then_pushes() -> None:
    """The ok reply carries both refs; pushes after it carry the join_ref and no ref."""
    to = session()
    asked = join(to)
    assert to.is_current(asked)
    assert frames(to.accept(asked, b'{"seq":1}')) == [
        ["6", "60", A, "phx_reply", {"response": {"seq": 1}, "status": "ok"}]
    ]
    assert frames(to.push(A, "status", b'{"k":1}')) == [["6", None, A, "status", {"k": 1}]]


def test_a_refused_join_frees_the_topic() -> None:
    """The error reply carries the app's response; the topic is unmatched again."""
    to = session()
    asked = join(to)
    assert frames(to.refuse(asked, b'{"reason":"unauthorized"}')) == [
        ["6", "60", A, "phx_reply", {"response": {"reason": "unauthorized"}, "status": "error"}]
    ]
    assert not to.is_current(asked)
    (reply,) = give(to, "6", "61", A, "ping")
    assert error_of(reply) == (None, "61", A, "unmatched topic", "unmatched_topic")


@pytest.mark.parametrize("verb", ["accept", "refuse"])
def test_a_join_is_answered_once(verb: str) -> None:
    """The second answer to a join writes nothing, and is counted."""
    to = session()
    asked = join(to)
    to.accept(asked, b"{}")
    assert getattr(to, verb)(asked, b"{}") == []
    assert to.statistics().dropped == 1
    assert to.is_current(asked)


def test_a_topic_of_no_form_is_unmatched() -> None:
    """A join without a route is refused with a null join_ref, and says what would do."""
    (reply,) = give(session(), "6", "60", "task:a b", "phx_join")
    assert error_of(reply) == (None, "60", "task:a b", "unmatched topic", "unmatched_topic")
    (detail,) = reply[4]["response"]["details"]
    assert (detail["field"], detail["found"]) == ("topic", "task:a b")
    assert "task:<id>" in detail["expected"]


def test_a_long_topic_is_cut_in_the_words() -> None:
    """The error names at most 80 characters of a topic, though the frame echoes it all."""
    topic = "x" * 300
    (reply,) = give(session(), "6", "60", topic, "phx_join")
    assert reply[2] == topic
    assert reply[4]["response"]["details"][0]["found"] == topic[:80]


def test_a_full_socket_takes_no_more() -> None:
    """One join past the limit is refused with its own join_ref; the others stay."""
    to = joined(max_channels=1)
    (reply,) = give(to, "8", "80", B, "phx_join")
    assert error_of(reply) == ("8", "80", B, "too many channels joined", "too_many_channels")
    assert "1 topics" in reply[4]["response"]["message"]
    assert to.push(A, "e", b"{}") != []


def test_a_socket_takes_a_hundred() -> None:
    """Unless told otherwise a socket may have 100 channels, as Phoenix has it."""
    to = session()
    for number in range(100):
        join(to, f"task:{number}")
    assert error_of(give(to, "8", "80", A, "phx_join")[0])[3] == "too many channels joined"


def test_a_full_socket_rejoins() -> None:
    """A duplicate join needs no further room, and a leave makes room."""
    to = joined(max_channels=1)
    assert isinstance(give(to, "8", "80", A, "phx_join")[-1], Join)
    give(to, "8", "81", A, "phx_leave")
    assert isinstance(give(to, "9", "90", B, "phx_join")[-1], Join)


def test_a_pending_join_takes_room() -> None:
    """A topic counts from its join on, not from the answer."""
    to = session(max_channels=1)
    join(to)
    (reply,) = give(to, "8", "80", B, "phx_join")
    assert error_of(reply)[3] == "too many channels joined"


def test_routes_are_an_argument() -> None:
    """Whoever owns the topics says which exist; None means that nobody can join."""
    to = session(has_route=lambda topic: topic if topic == "room:a" else None)
    assert isinstance(give(to, "6", "60", "room:a", "phx_join")[0], Join)
    assert error_of(give(to, "7", "70", A, "phx_join")[0])[3] == "unmatched topic"


@pytest.mark.parametrize("join_ref", ["6", None])
def test_a_leave_stops_replies_and_closes(join_ref: str | None) -> None:
    """The channel is stopped first; then the ok reply, then phx_close."""
    to = joined()
    assert give(to, join_ref, "43", A, "phx_leave") == [
        Leave(A, "6", 1),
        ["6", "43", A, "phx_reply", OK],
        ["6", "6", A, "phx_close", {}],
    ]
    assert to.push(A, "late", b"{}") == []


@pytest.mark.parametrize("topic", [A, "nope", "phoenix"])
def test_a_leave_of_nothing_is_fine(topic: str) -> None:
    """A leave of what is not joined is answered ok, its join_ref echoed, without a close."""
    assert give(session(), "3", "5", topic, "phx_leave") == [["3", "5", topic, "phx_reply", OK]]


def test_a_leave_overtakes_a_pending_join() -> None:
    """A join that is left while it waits gets no reply; what it replaced is closed too."""
    to = joined()
    asked = join(to, join_ref="22", ref="220")
    assert give(to, "22", "221", A, "phx_leave") == [
        Leave(A, "22", 2),
        ["22", "221", A, "phx_reply", OK],
        ["6", "6", A, "phx_close", {}],
        ["22", "22", A, "phx_close", {}],
    ]
    assert to.accept(asked, b"{}") == []
    assert to.refuse(asked, b"{}") == []


@pytest.mark.parametrize("event", ["phx_leave", "ping", "phx_close"])
def test_an_earlier_join_is_ignored(event: str) -> None:
    """Frames with another join_ref than the current are met with silence, and counted."""
    to = joined()
    assert give(to, "5", "9", A, event) == []
    assert to.statistics().stale == 1
    assert to.push(A, "e", b"{}") != []


def test_a_command_is_handed_on() -> None:
    """An event on a joined topic becomes a command; its reply carries both refs."""
    to = joined()
    command = push(to)
    assert (command.topic, command.join_ref, command.ref, command.event) == (A, "6", "7", "ping")
    assert command.payload == msgspec.Raw(b'{"x": 1}')
    assert frames(to.reply(command, "accepted", b'{"n":1}')) == [
        ["6", "7", A, "phx_reply", {"response": {"n": 1}, "status": "accepted"}]
    ]


def test_a_command_without_ref_gets_a_null_ref() -> None:
    """Who sent no ref may still be answered, with none."""
    to = joined()
    assert frames(to.reply(push(to, ref=None), "ok", b"{}")) == [["6", None, A, "phx_reply", OK]]


def test_a_command_waits_for_its_join() -> None:
    """A command on a pending topic is emitted, but current only once it is accepted."""
    to = session()
    asked = join(to)
    command = push(to)
    assert not to.is_current(command)
    assert to.reply(command, "ok", b"{}") == []
    to.accept(asked, b"{}")
    assert to.is_current(command)


def test_a_command_of_a_refused_join_is_not_current() -> None:
    """What was pushed behind a join that is refused must not be carried out."""
    to = session()
    asked = join(to)
    command = push(to)
    to.refuse(asked, b"{}")
    assert not to.is_current(command)


def test_a_command_on_a_free_topic_is_unmatched() -> None:
    """An event on a topic that is not joined gets an error reply with a null join_ref."""
    (reply,) = give(session(), "3", "4", A, "ping")
    assert error_of(reply) == (None, "4", A, "unmatched topic", "unmatched_topic")
    assert reply[4]["response"]["details"] == []


@pytest.mark.parametrize("event", ["phx_close", "phx_error", "phx_reply"])
def test_a_client_does_not_speak_as_server(event: str) -> None:
    """A server's event from a client crashes its channel; on a free topic it is unmatched."""
    to = joined()
    crash = ["6", "6", A, "phx_error", {"reason": "channel_crash"}]
    assert give(to, "6", "52", A, event) == [Leave(A, "6", 1), crash]
    assert error_of(give(to, "6", "53", A, event)[0])[:2] == (None, "53")
