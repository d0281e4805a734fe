"""A follower and a server over a wire that delays, cuts, mangles and loses.

The server's `Session` with the driver's rules, tasks with real logs, and the protocol's
client end with the fold that every client has. Logs grow, servers restart and come back
with older copies, frames of a slow reader are folded. What the follower holds is always
the fold of a prefix of the log, no event is applied twice, and once the wire is well it
has everything. Both wire versions.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from safelight.tail import runs
from safelight_protocol import lifecycle
from safelight_protocol.client import Output
from safelight_protocol.cursor import read_cursor
from safelight_protocol.effects import Join, Leave
from safelight_protocol.events import TERMINAL, decode_event
from safelight_protocol.frames import V1, V2
from safelight_protocol.happenings import Closed, Joined, Told
from safelight_protocol.inputs import Claimed, Progressed
from safelight_protocol.lifecycle import verdict
from safelight_protocol.session import Session
from safelight_protocol.snapshot import Snapshot, fold
from tests.doubles.histories import History
from tests.doubles.lives import EXAMPLES, NOW
from tests.doubles.pair import Answer, Pair
from tests.doubles.wire import PHASES, Wire

NAMES = ("a", "b")
RARELY = st.integers(0, 3).map(lambda drawn: drawn == 0)
"""What would otherwise end every story before it has begun."""

TOPICS = st.sampled_from([f"task:{name}" for name in NAMES])
REFUSED = b'{"reason":"busy","code":"unavailable"}'


class View:
    """What the follower holds of one task."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.told = 0


class Follower(Wire):
    """Two tasks, one server after another, one client."""

    @initialize(vsn=st.sampled_from([V1, V2]))
    def connect(self, vsn: type[V1] | type[V2]) -> None:
        self.serializer = vsn()
        self.pair = Pair(first_join_ref=100_001, serializer=self.serializer)
        self.pair.on_join, self.pair.on_leave = self.on_join, self.on_leave
        self.pair.on_outputs = self.on_outputs
        self.run, self.refusals, self.strays = 1, 0, 0
        self.runs_of_logs = {"l1": 1}
        self.histories = {f"task:{name}": History(name) for name in NAMES}
        self.views = {topic: View() for topic in self.histories}
        self.channels: dict[str, tuple[Join, int]] = {}
        self.channels_of: Session | None = None
        self.lost: set[tuple[str, int, int]] = set()
        for topic in self.histories:
            self.want(topic, None)
        self.pair.connect()

    # The server's driver.

    @property
    def joined(self) -> dict[str, tuple[Join, int]]:
        """The joined topics of this connection, each with its place in the log."""
        if self.channels_of is not self.pair.session:
            self.channels, self.channels_of = {}, self.pair.session
        return self.channels

    def on_join(self, join: Join) -> Answer:
        """Snapshot and cursor, as the socket's door answers."""
        assert join.topic not in self.joined, "what had the topic is left before"
        if self.refusals:
            self.refusals -= 1
            return "error", REFUSED
        history = self.histories[join.topic]
        after = json.loads(bytes(memoryview(join.payload))).get("after")
        cursor = None if after is None else read_cursor(after)
        covered = cursor is not None and self.covers(history, cursor.log, cursor.seq)
        start = cursor.seq if cursor is not None and covered else history.end.seq
        self.joined[join.topic] = (join, start)
        reply = {"task": history.end, "log": f"l{self.run}", "cursor": f"l{self.run}-{start}"}
        gap = cursor is not None and not covered
        return "ok", msgspec.json.encode(reply | {"seq": start, "gap": gap})

    def covers(self, history: History, log: str | None, seq: int) -> bool:
        """Whether the cursor names an event of this very history, as `Log` decides it."""
        if seq == 0:
            return True
        run = self.runs_of_logs.get(log or "")
        return (
            run is not None and seq <= len(history.entries) and history.entries[seq - 1].run <= run
        )

    def on_leave(self, leave: Leave) -> None:
        """Nothing more is written for that join."""
        self.joined.pop(leave.topic, None)

    @precondition(lambda self: self.pair.session is not None)
    @rule(topic=TOPICS, count=st.integers(1, 5), folded=st.booleans(), lose=st.booleans())
    def pump(self, topic: str, count: int, folded: bool, lose: bool) -> None:
        """What comes next goes out; a lossy bus may lose an event once. Not the last: that
        one is missed only when the next comes."""
        join, cursor = self.joined.get(topic, (None, 0))
        if join is None or not self.pair.session.is_current(join):
            return
        entries = self.histories[topic].entries[cursor : cursor + count]
        if not entries:
            return
        self.joined[topic] = (join, entries[-1].seq)
        place = (topic, entries[0].seq, entries[0].run)
        if lose and len(entries) > 1 and place not in self.lost:
            self.lost.add(place)
            entries = entries[1:]
        told = runs(entries) if folded else [(entry.seq, entry) for entry in entries]
        frames = [one.frame(self.serializer, topic, first).message for first, one in told]
        self.pair.say(frames * 2 if lose else frames)  # and what it has sent, it may send again

    @rule(topic=TOPICS, times=st.integers(1, 4), data=st.data())
    def something_happens(self, topic: str, times: int, data: st.DataObject) -> None:
        for _ in range(times):
            self.happen(self.histories[topic], data)

    def happen(self, history: History, data: st.DataObject) -> None:
        """One input of the lifecycle, reports more often than ends."""
        kinds = [
            one
            for one in EXAMPLES
            if verdict(history.task.state, type(one)) not in ("late", "wrong")
        ]
        if kinds:
            lasting = [one for one in kinds if isinstance(one, Progressed | Claimed)] * 6
            happening = data.draw(st.sampled_from([*kinds, *lasting]))
            history.take(
                lifecycle.step(history.task, happening, NOW + len(history.entries)), self.run
            )

    @precondition(lambda self: self.pair.session is not None)
    @rule(topic=TOPICS, crash=RARELY)
    def status_or_crash(self, topic: str, crash: bool) -> None:
        join, _ = self.joined.get(topic, (None, 0))
        if not crash:
            self.pair.say(self.pair.session.push(topic, "status", b"{}"))
        elif join is not None and self.pair.session.is_current(join):
            self.joined.pop(topic)
            self.pair.say(self.pair.session.crash(topic))

    @rule(really=RARELY)
    def refuse(self, really: bool) -> None:
        self.refusals += really

    @rule(cut_back=st.none() | st.integers(0, 6), topic=TOPICS, really=RARELY)
    def restart(self, cut_back: int | None, topic: str, really: bool) -> None:
        """Another server over the same database, or over an older copy of it."""
        if not really:
            return
        if self.pair.session is not None:
            self.pair.cut()
        self.run += 1
        if cut_back is not None:
            history = self.histories[topic]
            history.restore(max(1, len(history.entries) - cut_back))
        self.runs_of_logs[f"l{self.run}"] = self.run

    # The wire.

    @rule(times=st.integers(1, 4), folded=st.booleans(), lose=RARELY, data=st.data())
    def flow(self, times: int, folded: bool, lose: bool, data: st.DataObject) -> None:
        """For a while everything goes well, or nearly; what was sent last is on its way."""
        self.wait(1.0)
        for _ in range(times):
            self.pair.settle()
            for topic in self.histories:
                self.something_happens(topic=topic, times=times, data=data)
                if self.pair.session is not None:
                    self.pump(topic=topic, count=times + 1, folded=folded, lose=lose)

    @precondition(lambda self: self.pair.session is not None)
    @rule(read=st.integers(0, 3), really=RARELY)
    def lose_connection(self, read: int, really: bool) -> None:
        """The server may have read, and done, some of what was on its way."""
        if not really:
            return
        for _ in range(min(read, len(self.pair.up))):
            if self.pair.session is not None:
                self.pair.carry_up()
        for _ in range(read):
            if self.pair.effects and self.pair.session is not None:
                self.pair.work()
        if self.pair.session is not None:
            self.pair.cut()

    @precondition(lambda self: self.pair.up and self.pair.session is not None)
    @rule(share=st.floats(0, 0.99), really=RARELY)
    def mangle_up(self, share: float, really: bool) -> None:
        """A message that ends too early: the session hangs up, it never raises."""
        if not really:
            return
        data = self.pair.up[0]
        self.pair.up[0] = data[: int(len(data) * share)]
        self.pair.carry_up()

    @precondition(lambda self: self.pair.down and self.serializer.vsn == V2.vsn)
    @rule(share=st.floats(0, 0.99), really=RARELY)
    def mangle_down(self, share: float, really: bool) -> None:
        """The same at the client: it leaves, and comes back with its cursor."""
        if not really:
            return
        data = self.pair.down[0]
        self.pair.down[0] = data[: int(len(data) * share)]
        self.carry_down()

    @precondition(lambda self: self.pair.session is not None)
    @rule(topic=TOPICS, event=st.sampled_from(["phx_leave", "cancel", "phx_close"]))
    def stale_frame(self, topic: str, event: str) -> None:
        """A straggler of an earlier join; V1 could not tell it from a current one."""
        if self.serializer.vsn == V2.vsn:
            self.strays += 1
            self.pair.up.append(json.dumps(["7", f"s{self.strays}", topic, event, {}]))

    @rule(seconds=st.sampled_from([0.1, 1.0, 1.0, 5.0, 11.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.pair.wait(seconds)

    # The follower.

    def want(self, topic: str, after: str | None) -> None:
        self.pair.hear(self.pair.client.join(topic, asks, self.pair.now, after=after))

    @rule(topic=TOPICS)
    def join_again(self, topic: str) -> None:
        self.want(topic, None)

    @rule(topic=TOPICS)
    def leave_and_return(self, topic: str) -> None:
        """An app goes to another page and back; it has kept cursor and snapshot."""
        cursor = self.pair.client.cursor(topic)
        self.pair.hear(self.pair.client.leave(topic))
        if cursor is None:
            self.views[topic] = View()
        self.want(topic, cursor)

    def on_outputs(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Joined(topic=topic, response=response):
                    self.hear_joined(topic, json.loads(bytes(memoryview(response))))
                case Told(topic=topic, event="progress", payload=payload):
                    self.hear_event(topic, bytes(memoryview(payload)))
                case Closed():
                    raise AssertionError("the server closed nothing")

    def hear_joined(self, topic: str, reply: dict[str, Any]) -> None:
        view, history = self.views[topic], self.histories[topic]
        if view.snapshot is None or reply["gap"]:
            view.snapshot = msgspec.convert(reply["task"], Snapshot)
        assert view.snapshot == history.prefixes[view.snapshot.seq]
        cursor = read_cursor(self.pair.client.cursor(topic))
        assert cursor is not None
        view.told = cursor.seq

    def hear_event(self, topic: str, body: bytes) -> None:
        view, history = self.views[topic], self.histories[topic]
        event = decode_event(body)
        assert view.snapshot is not None, "events follow the reply of their join"
        first = json.loads(body).get("from_seq", event.seq)
        owed = event.status in TERMINAL and event.seq == view.told
        assert first == view.told + 1 or owed, "each event once, in order, none left out"
        view.told = event.seq
        view.snapshot = fold(view.snapshot, event)
        assert view.snapshot == history.prefixes[view.snapshot.seq]

    @invariant()
    def the_view_is_a_prefix(self) -> None:
        for topic, view in getattr(self, "views", {}).items():
            if view.snapshot is not None:
                assert msgspec.json.encode(view.snapshot) in self.histories[topic].ever

    def teardown(self) -> None:
        """Once the wire is well, the follower has everything within a minute."""
        if not hasattr(self, "pair"):
            return
        self.refusals = 0
        for _ in range(12):
            self.wait(6.0)
            self.settle()
        for topic, history in self.histories.items():
            assert self.views[topic].snapshot == history.end

    def settle(self) -> None:
        """Carry everything, and send all there is."""
        for _ in range(4):
            self.pair.settle()
            for topic, history in self.histories.items():
                if self.pair.session is not None:
                    self.pump(topic=topic, count=len(history.entries), folded=True, lose=False)


def asks(cursor: str | None) -> bytes:
    """The payload of a join."""
    return msgspec.json.encode({} if cursor is None else {"after": cursor})


class TestFollower(Follower.TestCase):
    """A follower is never wrong, and never behind for long."""

    settings = settings(max_examples=150, stateful_step_count=60, deadline=None, phases=PHASES)
