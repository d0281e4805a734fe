"""The client end of a socket: joins, rejoins, leaves and lost connections."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from safelight_protocol.happenings import (
    Closed,
    Connect,
    Crashed,
    Disconnected,
    Joined,
    NotJoined,
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
    up,
)


def test_a_new_client_waits_for_nothing() -> None:
    """Before the first connection nothing is due, and nothing is heard or lost."""
    to = client()
    assert to.deadline == inf
    assert to.tick(1e9) == []
    assert event(to, 1) == []
    assert to.disconnected(0.0, jitter=1.0) == [Disconnected(None, 0.1)]


def test_a_topic_is_joined_on_connect() -> None:
    """What is wanted before the connection opens is joined as it opens."""
    to = client()
    assert to.join(T, asks, 0.0) == []
    assert frames(to.connected(0.0)) == [["501", "1", T, "phx_join", {"after": None}]]


def test_a_topic_is_joined_at_once() -> None:
    """What is wanted while connected is joined at once, each with refs of its own."""
    to = client()
    assert to.connected(0.0) == []
    assert frames(to.join(T, asks, 1.0)) == [["501", "1", T, "phx_join", {"after": None}]]
    assert frames(to.join(ROOM, asks, 1.0)) == [["502", "2", ROOM, "phx_join", {"after": None}]]


def test_a_join_reply_is_told() -> None:
    """The ok reply of the join tells the response, and that it is the first."""
    (told,) = hear(up(), "501", "1", T, "phx_reply", {"status": "ok", "response": {"seq": 1}})
    assert isinstance(told, Joined)
    assert (told.topic, told.again, body(told)) == (T, False, {"seq": 1})


@pytest.mark.parametrize(("join_ref", "ref"), [("501", "9"), ("501", 1), ("501", None)])
def test_only_its_own_reply_settles_a_join(join_ref: Any, ref: Any) -> None:
    """A reply with another ref, or with a number for a string, is not the join's."""
    to = up()
    assert hear(to, join_ref, ref, T, "phx_reply", OK) == []
    assert len(hear(to, "501", "1", T, "phx_reply", OK)) == 1


def test_a_second_reply_is_ignored() -> None:
    """A join is settled once."""
    assert hear(joined(), "501", "1", T, "phx_reply", OK) == []


@pytest.mark.parametrize(
    ("response", "again"),
    [
        ({"reason": "Task not found", "code": "not_found"}, False),
        ({"reason": "invalid payload", "code": "invalid"}, False),
        ({"reason": "too many channels joined", "code": "too_many_channels"}, True),
        ({"reason": "join crashed", "code": "internal"}, True),
        ({"reason": "unauthorized"}, True),
        ({"reason": "x", "code": "not in the table"}, True),
        ([1], True),
    ],
)
def test_a_refused_join_is_retried_by_its_code(response: Any, again: bool) -> None:
    """The table of codes says whether the join is tried again; without a code it is."""
    to = up()
    reply = {"status": "error", "response": response}
    (told,) = hear(to, "501", "1", T, "phx_reply", reply, now=3.0)
    assert isinstance(told, NotJoined)
    assert (told.topic, told.retry_at) == (T, 4.0 if again else None)
    assert body(told) == response
    expected = [["502", "2", T, "phx_join", {"after": None}]] if again else []
    assert frames(to.tick(4.0)) == expected


def test_another_status_settles_no_join() -> None:
    """Only ok and error drive a join."""
    to = up()
    assert hear(to, "501", "1", T, "phx_reply", {"status": "accepted", "response": {}}) == []
    assert len(hear(to, "501", "1", T, "phx_reply", OK)) == 1


def test_joins_back_off() -> None:
    """A join that keeps failing is tried after 1, 2, 5 and 10 s; an ok begins anew."""
    to = up()
    now, ref = 0.0, 501
    for delay in (1, 2, 5, 10, 10):
        reply = {"status": "error", "response": {}}
        (told,) = hear(to, str(ref), str(ref - 500), T, "phx_reply", reply, now=now)
        assert told.retry_at == now + delay == to.deadline
        now, ref = now + delay, ref + 1
        to.disconnected(now, jitter=0.0)
        to.connected(now)
    hear(to, "506", "6", T, "phx_reply", OK, now=now)
    (told,) = hear(to, "506", "506", T, "phx_error", {}, now=now)
    assert told.retry_at == now + 1


def test_a_join_times_out() -> None:
    """After 10 s without an answer the join is left and tried again a second later."""
    to = up()
    assert to.deadline == 10.0
    assert to.tick(9.9) == []
    assert frames(to.tick(10.0)) == [["501", "2", T, "phx_leave", {}], Crashed(T, 11.0)]
    assert hear(to, "501", "1", T, "phx_reply", OK) == []
    assert frames(to.tick(11.0)) == [["502", "3", T, "phx_join", {"after": None}]]


def test_a_crashed_channel_is_joined_again() -> None:
    """phx_error of the current join means a rejoin after a second; of another, nothing."""
    to = joined()
    assert hear(to, "500", "500", T, "phx_error", {}) == []
    assert hear(to, "501", "501", T, "phx_error", {}, now=5.0) == [Crashed(T, 6.0)]
    assert event(to, 1) == []
    assert frames(to.tick(6.0)) == [["502", "2", T, "phx_join", {"after": None}]]
    (told,) = hear(to, "502", "2", T, "phx_reply", OK)
    assert told.again


def test_a_closed_channel_is_over() -> None:
    """phx_close of the current join ends the topic for good; of an earlier, nothing."""
    to = joined()
    assert hear(to, "500", "500", T, "phx_close", {}) == []
    assert hear(to, "501", "501", T, "phx_close", {}) == [Closed(T)]
    to.disconnected(2.0, jitter=0.0)
    assert to.connected(3.0) == []


def test_a_leave_wants_no_more() -> None:
    """A left topic is told of no more, and not joined again."""
    to = joined()
    assert frames(to.leave(T)) == [["501", "2", T, "phx_leave", {}]]
    assert to.leave(T) == []
    assert hear(to, "501", "2", T, "phx_reply", OK) == []
    assert hear(to, "501", "501", T, "phx_close", {}) == []
    assert event(to, 1) == []


def test_a_leave_while_waiting_is_silent() -> None:
    """Where no join is out, there is nothing to leave on the wire."""
    to = client()
    to.join(T, asks, 0.0)
    assert to.leave(T) == []
    assert to.connected(0.0) == []


def test_joining_again_replaces_the_join() -> None:
    """A second `join` of a topic joins anew, with its new payload, from the same cursor."""
    to = following()
    (join,) = frames(to.join(T, lambda cursor: b'{"again":"%s"}' % str(cursor).encode(), 2.0))
    assert join == ["502", "2", T, "phx_join", {"again": "L-2"}]
    assert hear(to, "501", None, T, "status", {}) == []
    (told,) = hear(to, "502", "2", T, "phx_reply", OK)
    assert told.again


def test_a_cursor_can_be_brought_along() -> None:
    """`after` says where to begin, also for a topic that is wanted already."""
    to = following()
    (join,) = frames(to.join(T, asks, 2.0, after="L-1"))
    assert join[4] == {"after": "L-1"}


def test_a_lost_connection_is_opened_again() -> None:
    """After the delay one `Connect` comes, and no second before an answer to it."""
    to = joined()
    assert to.disconnected(5.0, 1012, jitter=1.0) == [Disconnected(1012, 5.1)]
    assert to.deadline == 5.1
    assert to.tick(5.05) == []
    assert to.tick(5.1) == [Connect()]
    assert to.tick(6.0) == []
    assert to.deadline == inf


def test_connections_back_off_until_something_is_heard() -> None:
    """The delays grow while nothing is received, and begin anew once something was."""
    to = joined()
    delays = []
    for now in range(3):
        (lost,) = to.disconnected(float(now), jitter=1.0)
        assert isinstance(lost, Disconnected)
        delays.append(round(lost.retry_at - now, 3))
        to.connected(float(now))
    assert delays == [0.1, 0.25, 0.5]
    hear(to, None, None, T, "status", {})
    assert to.disconnected(9.0, jitter=0.0) == [Disconnected(None, 9.05)]


def test_wanted_topics_are_joined_after_a_loss() -> None:
    """On a new connection every topic is joined with fresh refs, each from its cursor."""
    to = following()
    event(to, 3)
    to.join(ROOM, asks, 1.0)
    to.disconnected(2.0, jitter=0.0)
    assert frames(to.connected(3.0)) == [
        ["503", "3", T, "phx_join", {"after": "L-3"}],
        ["504", "4", ROOM, "phx_join", {"after": None}],
    ]


def test_nothing_is_heard_while_disconnected() -> None:
    """What a replaced connection still delivers is ignored."""
    to = joined()
    to.disconnected(2.0, jitter=0.0)
    assert event(to, 1) == []
