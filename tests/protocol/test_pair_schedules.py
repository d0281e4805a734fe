"""Both ends joined by lists, under any schedule: what holds for everything on the wire."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from safelight_protocol.client import NoChannel
from safelight_protocol.effects import Join
from safelight_protocol.happenings import Answered, Unanswered
from safelight_protocol.session import Session
from tests.doubles.pair import Answer, Pair
from tests.doubles.wire import PHASES, Wire

TOPICS = st.sampled_from(["task:a", "tasks:mine"])
FIRST_JOIN_REF = 100_001


def asks(cursor: str | None) -> bytes:
    """The payload of a join: the cursor as `after`."""
    return msgspec.json.encode({"after": cursor})


class Ledger:
    """What the server read and wrote on one connection, held against the rules."""

    def __init__(self) -> None:
        self.asked: dict[tuple[str, Any], tuple[Any, str]] = {}
        self.latest: dict[str, Any] = {}
        self.open: dict[str, Any] = {}
        self.over: dict[str, set[Any]] = defaultdict(set)
        self.ended: dict[str, set[Any]] = defaultdict(set)
        self.gone: dict[str, set[Any]] = defaultdict(set)
        self.leaving: dict[tuple[str, Any], Any] = {}

    def read(self, frame: list[Any]) -> None:
        """A frame of the client."""
        join_ref, ref, topic, event, _ = frame
        self.asked[topic, ref] = (join_ref, event)
        if event == "phx_join":
            self.latest[topic] = join_ref
        current = self.latest.get(topic)
        if event not in ("phx_leave", "phx_close") or join_ref not in (None, current):
            return
        if current not in self.gone[topic] and event == "phx_leave":
            self.leaving[topic, ref] = current
        self.gone[topic].add(current)

    def wrote(self, frame: list[Any]) -> None:
        """A frame of the server."""
        join_ref, ref, topic, event, payload = frame
        if event == "phx_reply":
            self.replied(topic, join_ref, ref, payload["status"])
        elif event in ("phx_close", "phx_error"):
            self.end(topic, join_ref, ref)
        else:
            assert join_ref == self.open.get(topic), "a push follows the reply of its own join"
            assert join_ref not in self.over[topic], "nothing is pushed for a join that is over"

    def replied(self, topic: str, join_ref: Any, ref: Any, status: str) -> None:
        """A reply."""
        named, event = self.asked.pop((topic, ref))  # KeyError: never asked, or twice answered
        assert named is None or join_ref in (named, None), "a reply is for the join it names"
        if event == "phx_leave":
            self.leaving.pop((topic, ref), None)
            return
        assert join_ref is None or join_ref not in self.over[topic], "no reply for a stale join"
        if event == "phx_join" and status == "ok":
            assert join_ref == self.latest[topic], "no reply for a join that was replaced"
            self.over[topic].add(self.open.get(topic))
            self.open[topic] = join_ref

    def end(self, topic: str, join_ref: Any, ref: Any) -> None:
        """A phx_close or phx_error."""
        assert ref == join_ref, "an end carries its join_ref twice"
        assert join_ref not in self.ended[topic], "a join ends once"
        left = [id for (where, _), id in self.leaving.items() if where == topic]
        assert join_ref not in left, "a leave is answered before its close"
        self.ended[topic].add(join_ref)
        self.gone[topic].add(join_ref)
        self.over[topic].add(join_ref)


class Schedules(Wire):
    """Joins, leaves, pushes, stray frames, ends and losses, delivered one by one."""

    refs: Bundle[str] = Bundle("refs")

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(first_ref=1, first_join_ref=FIRST_JOIN_REF)
        self.joins = 0
        self.strays = 0

    @property
    def session(self) -> Session:
        assert self.pair.session is not None
        return self.pair.session

    @initialize()
    def connect(self) -> None:
        self.pair.on_join = self.answer_join
        self.pair.connect()

    def answer_join(self, _join: Join) -> Answer:
        """Every fourth join is refused for a while."""
        self.joins += 1
        if self.joins % 4 == 0:
            return "error", b'{"reason":"busy","code":"too_many"}'
        return "ok", b"{}"

    @rule(topic=TOPICS, times=st.integers(1, 2))
    def join(self, topic: str, times: int) -> None:
        for _ in range(times):
            self.pair.hear(self.pair.client.join(topic, asks, self.pair.now))

    @rule(topic=TOPICS)
    def leave(self, topic: str) -> None:
        self.pair.hear(self.pair.client.leave(topic))

    @rule(topic=TOPICS, target=refs)
    def push(self, topic: str) -> str | MultipleResults[str]:
        try:
            ref, outputs = self.pair.client.push(topic, "ping", b"{}", self.pair.now)
        except NoChannel:
            return multiple()
        self.pair.hear(outputs)
        return ref

    @precondition(lambda self: self.pair.session is not None)
    @rule(
        topic=TOPICS,
        which=st.sampled_from(["none", "first", "last"]),
        event=st.sampled_from(["ping", "phx_leave", "phx_close"]),
    )
    def stray(self, topic: str, which: str, event: str) -> None:
        """A frame of no client of ours: without a join_ref, or with one of this topic."""
        self.strays += 1
        joins = [e.join_ref for e in self.joins_here() if e.topic == topic]
        join_ref = {"none": None, "first": joins[:1], "last": joins[-1:]}[which]
        named = join_ref[0] if join_ref else None
        self.pair.up.append(json.dumps([named, f"stray {self.strays}", topic, event, {}]))

    def joins_here(self) -> list[Join]:
        """Every join that the server read on this connection."""
        return [e for e in (*self.pair.done, *self.pair.effects) if isinstance(e, Join)]

    @precondition(lambda self: self.pair.session is not None)
    @rule(topic=TOPICS)
    def server_pushes(self, topic: str) -> None:
        self.pair.say(self.session.push(topic, "status", b"{}"))

    @precondition(lambda self: self.pair.session is not None)
    @rule(topic=TOPICS, crash=st.booleans())
    def server_ends(self, topic: str, crash: bool) -> None:
        while self.pair.effects:
            self.pair.work()
        self.pair.say((self.session.crash if crash else self.session.close)(topic))

    @rule()
    def settle(self) -> None:
        self.pair.settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 11.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.pair.wait(seconds)

    @precondition(lambda self: self.pair.session is not None)
    @rule()
    def lose(self) -> None:
        self.pair.cut()

    @rule(ref=consumes(refs))
    def a_push_ends_once(self, ref: str) -> None:
        self.pair.wait(10.0)
        ends = [o for o in self.pair.told if isinstance(o, Answered | Unanswered) and o.ref == ref]
        assert len(ends) == 1

    @invariant()
    def one_join_of_a_topic_is_current(self) -> None:
        if self.pair.session is None:
            return
        current = Counter(e.topic for e in self.joins_here() if self.session.is_current(e))
        assert all(count == 1 for count in current.values())

    def teardown(self) -> None:
        self.pair.settle()
        ledger = Ledger()
        for direction, data in self.pair.wire:
            match direction:
                case "connection":
                    ledger = Ledger()
                case "up":
                    ledger.read(json.loads(data))
                case "down":
                    ledger.wrote(json.loads(data))


class TestSchedules(Schedules.TestCase):
    """Any schedule keeps the ledger's rules, one current join a topic, one end a push."""

    settings = settings(max_examples=100, stateful_step_count=50, deadline=None, phases=PHASES)
