"""The client end of a socket: events, cursors, pushes, heartbeats, broken servers."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight_protocol import binary
from safelight_protocol.client import Client, NoChannel
from safelight_protocol.effects import Hangup
from safelight_protocol.happenings import (
    Answered,
    Crashed,
    Disconnected,
    Hole,
    Joined,
    Told,
    Unanswered,
)
from tests.doubles.raw_server import (
    OK,
    ROOM,
    T,
    asks,
    body,
    client,
    event,
    following,
    frames,
    hear,
    joined,
    seqs,
    up,
)


def test_all_that_is_due_is_done() -> None:
    """One tick does everything that fell due, however much that is."""
    to = joined()
    to.join(ROOM, asks, 20.0)
    to.join("task:b", asks, 20.0)
    ref, _ = to.push(T, "ping", b"{}", 20.0)
    assert frames(to.tick(30.0)) == [
        Unanswered(ref, "timeout"),
        [None, "5", "phoenix", "heartbeat", {}],
        ["502", "6", ROOM, "phx_leave", {}],
        Crashed(ROOM, 31.0),
        ["503", "7", "task:b", "phx_leave", {}],
        Crashed("task:b", 31.0),
    ]


def test_nothing_is_told_before_the_reply() -> None:
    """Events of a topic are ignored until its current join is answered."""
    to = up()
    assert event(to, 1) == []
    assert hear(to, "501", None, T, "status", {"k": 1}) == []


def test_events_are_told_with_their_payload() -> None:
    """Pushes of the current join and broadcasts are told; those of another are not."""
    to = joined()
    (told,) = hear(to, "501", None, T, "status", {"k": 1})
    assert (told.topic, told.event, body(told)) == (T, "status", {"k": 1})
    assert len(hear(to, None, None, T, "status", {})) == 1
    assert hear(to, "500", None, T, "status", {}) == []
    assert hear(to, None, None, "task:b", "status", {}) == []


def test_a_push_is_answered_by_its_ref() -> None:
    """The reply with the push's ref is told with its status and response."""
    to = joined()
    ref, outputs = to.push(T, "ping", b'{"x":1}', 2.0)
    assert frames(outputs) == [["501", ref, T, "ping", {"x": 1}]]
    (told,) = hear(to, "501", ref, T, "phx_reply", {"status": "accepted", "response": {"n": 1}})
    assert isinstance(told, Answered)
    assert (told.ref, told.status, body(told)) == (ref, "accepted", {"n": 1})
    assert hear(to, "501", ref, T, "phx_reply", OK) == []
    assert to.tick(12.0) == []


def test_a_reply_may_lack_its_response() -> None:
    """A reply without a response is one with an empty object."""
    to = joined()
    ref, _ = to.push(T, "ping", b"{}", 2.0)
    (told,) = hear(to, "501", ref, T, "phx_reply", {"status": "ok"})
    assert body(told) == {}


def test_a_push_waits_for_its_join() -> None:
    """A push before the join's reply is sent right after it, those of others are not."""
    to = up()
    other = to.join(ROOM, asks, 0.0)
    assert len(other) == 1
    first, sent = to.push(T, "ping", b"{}", 0.0)
    assert sent == []
    second, _ = to.push(ROOM, "ping", b"{}", 0.0)
    outputs = hear(to, "501", "1", T, "phx_reply", OK)
    assert outputs[1:] == [["501", first, T, "ping", {}]]
    assert hear(to, "502", "2", ROOM, "phx_reply", OK)[1:] == [["502", second, ROOM, "ping", {}]]


def test_a_push_times_out() -> None:
    """10 s without a reply end a push, sent or not; a late reply is ignored."""
    to = joined()
    ref, _ = to.push(T, "ping", b"{}", 2.0)
    assert to.deadline == 12.0
    assert to.tick(12.0) == [Unanswered(ref, "timeout")]
    assert hear(to, "501", ref, T, "phx_reply", OK) == []


def test_a_push_needs_a_wanted_topic() -> None:
    """A push on a topic that nobody joined is the caller's mistake."""
    with pytest.raises(NoChannel, match=T):
        client().push(T, "ping", b"{}", 0.0)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda to: to.disconnected(3.0, jitter=0.0), "disconnected"),
        (lambda to: hear(to, "501", "501", T, "phx_error", {}), "crashed"),
        (lambda to: hear(to, "501", "501", T, "phx_close", {}), "closed"),
        (lambda to: to.leave(T), "left"),
    ],
)
def test_a_push_in_flight_ends_with_its_join(
    end: Callable[[Client], list[Any]], reason: str
) -> None:
    """No reply can come once the join is over, so the push ends at once."""
    to = joined()
    ref, _ = to.push(T, "ping", b"{}", 2.0)
    assert end(to)[-1] == Unanswered(ref, reason)


def test_a_refused_join_ends_its_pushes() -> None:
    """Pushes that waited for a join which is refused for good end unanswered."""
    to = up()
    ref, _ = to.push(T, "ping", b"{}", 0.0)
    reply = {"status": "error", "response": {"code": "not_found"}}
    outputs = hear(to, "501", "1", T, "phx_reply", reply)
    assert outputs[1:] == [Unanswered(ref, "closed")]


@pytest.mark.parametrize("lost", ["connection", "channel"])
def test_a_push_that_was_not_sent_survives(lost: str) -> None:
    """A push that still waits for its join goes out after the next one."""
    to = up()
    ref, _ = to.push(T, "ping", b"{}", 0.0)
    if lost == "connection":
        assert to.disconnected(1.0, jitter=1.0) == [Disconnected(None, 1.1)]
        to.connected(1.1)
    else:
        assert hear(to, "501", "501", T, "phx_error", {}, now=0.5) == [Crashed(T, 1.5)]
        to.tick(1.5)
    outputs = hear(to, "502", "3", T, "phx_reply", OK, now=2.0)
    assert outputs[1:] == [["502", ref, T, "ping", {}]]


def test_heartbeats_go_every_30_seconds() -> None:
    """A heartbeat goes 30 s after the connection and 30 s after each, if it is answered."""
    to = client()
    to.connected(0.0)
    assert to.deadline == 30.0
    assert to.tick(29.9) == []
    for now, ref in ((30.0, "1"), (60.0, "2"), (90.0, "3")):
        assert frames(to.tick(now)) == [[None, ref, "phoenix", "heartbeat", {}]]
        assert hear(to, None, ref, "phoenix", "phx_reply", OK, now=now) == []


@pytest.mark.parametrize("ref", ["7", 1])
def test_an_unanswered_heartbeat_is_death(ref: Any) -> None:
    """If the last heartbeat has no answer of its own, the connection is given up, once."""
    to = client()
    to.connected(0.0)
    to.tick(30.0)
    hear(to, None, ref, "phoenix", "phx_reply", OK, now=31.0)
    assert to.tick(60.0) == [Hangup(1001, "a heartbeat went unanswered")]
    assert to.tick(61.0) == []
    assert to.deadline == inf


def test_a_given_up_connection_is_not_written_to() -> None:
    """From the hang-up to the next connection nothing is sent, whatever falls due."""
    to = up()
    to.tick(30.0)
    to.tick(59.0)
    ref, _ = to.push(T, "ping", b"{}", 59.0)
    assert to.tick(60.0) == [Hangup(1001, "a heartbeat went unanswered")]
    assert to.join(ROOM, asks, 60.5) == []
    assert event(to, 1) == []
    assert to.tick(80.0) == [Unanswered(ref, "timeout")]
    assert to.leave(ROOM) == []


def test_task_events_are_told_once() -> None:
    """Events at or below the cursor are not told again; the cursor follows what is told."""
    to = following(seq=2)
    told = [output for seq in (1, 2, 3, 3, 4) for output in event(to, seq)]
    assert seqs(told) == [3, 4]
    assert to.cursor(T) == "L-4"


def test_only_task_events_are_filtered() -> None:
    """Another push of a task's topic is told whatever seq it bears."""
    to = following(seq=12)
    status = hear(to, "501", None, T, "status", {"seq": 12, "status": "completed"})
    assert seqs(status) == [12]


def test_a_hole_is_told_and_mended() -> None:
    """A missing event is reported, and the topic joined again from before it."""
    to = following(seq=2)
    hole, join = event(to, 4)
    assert (hole, join) == (Hole(T, "L-2"), ["502", "2", T, "phx_join", {"after": "L-2"}])
    assert event(to, 3) == []
    hear(to, "502", "2", T, "phx_reply", {"status": "ok", "response": {"log": "L", "seq": 4}})
    assert seqs([*event(to, 3), *event(to, 4)]) == [3, 4]


def test_the_end_of_a_task_is_told_once() -> None:
    """The terminal event at the reply's cursor is told, and not again after a rejoin."""
    to = following(seq=12)
    assert seqs(event(to, 12, type="completed")) == [12]
    assert event(to, 12, type="completed") == []


def test_other_topics_have_no_cursor() -> None:
    """On the gallery and on conversations every event is told, whatever its seq."""
    for topic in (ROOM, "task:llm_a"):
        to = joined(topic, {"log": "L", "cursor": "L-5", "seq": 5})
        assert len(hear(to, None, None, topic, "progress", {"seq": 1})) == 1
        assert to.cursor(topic) is None
    assert client().cursor(T) is None
    assert up().cursor(T) is None


def test_binary_frames_are_told_as_bytes() -> None:
    """Previews come as bytes once joined, and a binary reply answers with bytes."""
    to = up()
    preview = binary.encode_broadcast(T, "preview", b"\x01\x02")
    assert to.receive(preview, 1.0) == []
    hear(to, "501", "1", T, "phx_reply", OK)
    assert to.receive(preview, 1.0) == [Told(T, "preview", b"\x01\x02")]
    odd = binary.encode_push("501", T, "progress", b"\x01")
    assert to.receive(odd, 1.0) == [Told(T, "progress", b"\x01")]
    ref, _ = to.push(T, "blob", b"{}", 1.0)
    reply = binary.encode_reply("501", ref, T, "ok", b"\x03")
    assert to.receive(reply, 1.0) == [Answered(ref, "ok", b"\x03")]


def test_a_binary_join_reply_is_enough() -> None:
    """A join answered in binary is joined, without a cursor."""
    to = up()
    assert to.receive(binary.encode_reply("501", "1", T, "ok", b"\x03"), 1.0) == [
        Joined(T, b"\x03", False)
    ]
    assert to.cursor(T) is None


@pytest.mark.parametrize(
    "data",
    [
        "{nope",
        "[1]",
        b"\x09",
        '[null,null,"task:a","progress",[1]]',
        '["501","1","task:a","phx_reply",{"response":{}}]',
        '["501","1","task:a","phx_reply",{"status":1}]',
    ],
)
def test_a_broken_server_is_left(data: str | bytes) -> None:
    """A message that is no frame ends the connection with 1002 and says why."""
    (hangup,) = up().receive(data, 1.0)
    assert isinstance(hangup, Hangup)
    assert hangup.code == 1002
    assert hangup.reason != "None"
    assert len(hangup.reason.encode()) <= 123


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_no_message_breaks_a_client(data: str | bytes) -> None:
    """Whatever arrives, the answer is a list of outputs."""
    assert isinstance(joined().receive(data, 1.0), list)
