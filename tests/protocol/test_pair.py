"""Both ends joined by lists: what a follower of a task is told, whatever is lost."""

from __future__ import annotations

import json

import msgspec

from safelight_protocol.effects import Hangup, Join
from safelight_protocol.happenings import Answered, Disconnected, Hole, Joined, Told
from tests.doubles.pair import Answer, Pair

T = "task:a"


def asks(cursor: str | None) -> bytes:
    """The payload of a join: the cursor as `after`."""
    return msgspec.json.encode({"after": cursor})


def told_seqs(pair: Pair) -> list[int]:
    """The seqs of the task events that the client told."""
    progress = [o for o in pair.told if isinstance(o, Told) and o.event == "progress"]
    return [msgspec.json.decode(o.payload)["seq"] for o in progress]


class Log:
    """The server's side of one task: events 1 to `end`, sent from wherever a join asks."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.end = 0
        self.sent = 0
        pair.on_join = self.on_join

    def on_join(self, join: Join) -> Answer:
        """The reply of a join; what comes after it is written by `follow`."""
        after = json.loads(bytes(memoryview(join.payload)))["after"]
        self.sent = self.end if after is None else int(after.rpartition("-")[2])
        reply = {"log": "L", "cursor": f"L-{self.sent}", "seq": self.end, "gap": False}
        return "ok", msgspec.json.encode(reply)

    def append(self, lost: bool = False) -> None:
        """One more event, which the follower may lose."""
        self.end += 1
        if lost:
            self.sent += 1

    def follow(self) -> None:
        """Broadcast what was not sent yet."""
        assert self.pair.session is not None
        while self.sent < self.end:
            self.sent += 1
            payload = msgspec.json.encode({"seq": self.sent, "type": "progress"})
            self.pair.say([f'[null,null,"{T}","progress",{payload.decode()}]'])


def attached() -> tuple[Pair, Log]:
    """A client that follows a task without events yet."""
    pair = Pair()
    log = Log(pair)
    pair.hear(pair.client.join(T, asks, pair.now))
    pair.connect()
    pair.settle()
    return pair, log


def test_a_join_and_a_push_go_round() -> None:
    """A join is accepted, a command answered, each by its own refs."""
    pair, _ = attached()
    ref, outputs = pair.client.push(T, "ping", b'{"x":1}', pair.now)
    pair.hear(outputs)
    (answered,) = pair.settle()
    assert isinstance(answered, Answered)
    assert (answered.ref, msgspec.json.decode(answered.response)) == (ref, {"x": 1})


def test_every_event_is_told_once_across_losses() -> None:
    """Events before, during and after a lost connection are told once, in order."""
    pair, log = attached()
    for code in (None, 1012, 1011):
        log.append()
        log.follow()
        pair.settle()
        log.append()
        log.follow()  # on its way when the connection is lost
        pair.cut(code)
        log.append()
        pair.wait(10.0)
        pair.settle()
        log.follow()
        pair.settle()
    assert told_seqs(pair) == list(range(1, log.end + 1))
    assert [o.code for o in pair.told if isinstance(o, Disconnected)] == [None, 1012, 1011]


def test_a_lost_event_is_fetched_by_a_rejoin() -> None:
    """A hole makes the client join again from its cursor, and nothing is missing then."""
    pair, log = attached()
    log.append(lost=True)
    log.append()
    log.follow()
    pair.settle()
    log.follow()
    pair.settle()
    assert [o for o in pair.told if isinstance(o, Hole)] == [Hole(T, "L-0")]
    assert told_seqs(pair) == [1, 2]


def test_heartbeats_keep_both_ends_up() -> None:
    """With a tick at each deadline of the client the connection stays up for an hour."""
    pair, _ = attached()
    while pair.now < 3600:
        pair.wait(pair.client.deadline - pair.now)
        pair.settle()
    assert not [o for o in pair.told if isinstance(o, Hangup | Disconnected)]


def test_a_deaf_server_is_given_up() -> None:
    """A server that answers no heartbeat is left after two intervals, and called again."""
    pair, _ = attached()
    pair.wait(30.0)
    pair.up.clear()
    pair.wait(30.0)
    assert isinstance(pair.told[-1], Disconnected)
    pair.wait(1.0)
    assert isinstance(pair.settle()[-1], Joined)


def test_a_deaf_client_is_hung_up() -> None:
    """A client that falls silent is closed with 1001 after 90 s, and comes back."""
    pair, _ = attached()
    assert pair.session is not None
    pair.now += 90.0
    pair.effects += pair.session.tick(pair.now)
    pair.work()
    assert pair.told[-1] == Disconnected(1001, pair.now + 0.1)
