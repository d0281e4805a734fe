"""Random owners, models, retries, holds and ends against the rules of the queue.

The machine keeps a plain list of who waits and who runs, and holds the dispatcher to it:
limits, first come first served within owner and model, nobody forgotten, and a bound on how
unequal the turns of two owners can be who both wait all the time.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from safelight.dispatch import Dispatcher

PLACES = {"acme": 3, "beta": 1}
LIMITS = {"slow": 1, "mid": 2}
WEIGHTS = {"ann": 2.0, "bob": 1.0, "cid": 0.5}

hosts = st.sampled_from(sorted(PLACES))
models = st.sampled_from(["slow", "mid", "quick"])
owners = st.sampled_from(sorted(WEIGHTS))


class Queue(RuleBasedStateMachine):
    """`waiting` and `running` by uid: host, owner, model."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatcher = Dispatcher(PLACES, weights=WEIGHTS, limits=LIMITS)
        self.now = 1000
        self.made = 0
        self.waiting: dict[str, tuple[str, str, str]] = {}
        self.later: dict[str, int] = {}
        self.running: dict[str, tuple[str, str, str]] = {}
        self.held: set[tuple[str, str | None]] = set()
        self.came: dict[str, int] = {}
        self.clock = 0

    @rule(host=hosts, owner=owners, model=models)
    def come(self, host: str, owner: str, model: str) -> None:
        """A new task."""
        self.made += 1
        uid = f"t{self.made}"
        self.dispatcher.join(uid, host, 10**9, owner=owner, model=model)
        self.waiting[uid] = (host, owner, model)
        self._stamp(uid)

    def _stamp(self, uid: str) -> None:
        self.clock += 1
        self.came[uid] = self.clock

    @rule(data=st.data(), wait=st.integers(0, 5))
    def fault(self, data: st.DataObject, wait: int) -> None:
        """A running task is to be tried again."""
        if self.running:
            uid = data.draw(st.sampled_from(sorted(self.running)))
            host, owner, model = self.waiting[uid] = self.running.pop(uid)
            at = self.now + wait
            self.dispatcher.enqueue(uid, host, at, owner=owner, model=model)
            self.later[uid] = at

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """A task ends, or is cancelled while it waits."""
        everybody = sorted(self.running | self.waiting)
        if everybody:
            uid = data.draw(st.sampled_from(everybody))
            self.dispatcher.remove(uid)
            for kept in (self.running, self.waiting, self.later):
                kept.pop(uid, None)

    @rule(host=hosts, model=st.none() | models)
    def hold(self, host: str, model: str | None) -> None:
        """A host, or a model there, is held, or is not any more."""
        key = (host, model)
        self.held ^= {key}
        reason = "held" if key in self.held else None
        if model is None:
            self.dispatcher.hold(host, reason)
        else:
            self.dispatcher.hold_model(host, model, reason)

    @rule(passed=st.integers(0, 3))
    def take(self, passed: int) -> None:
        """Time passes, and whoever has a turn is taken."""
        self.now += passed
        ripe = sorted((at, uid) for uid, at in self.later.items() if at <= self.now)
        same_time = {at for (at, _), (other, _) in pairwise(ripe) if at == other}
        for at, uid in ripe:
            del self.later[uid]
            if at not in same_time:
                self._stamp(uid)
            else:
                self.came[uid] = 0  # among equals any order will do
        for uid in self.dispatcher.take(self.now):
            assert uid not in self.later
            place = self.waiting.pop(uid)
            assert (place[0], None) not in self.held
            assert (place[0], place[2]) not in self.held
            alike = [one for one, where in self.waiting.items() if where == place]
            ready = [one for one in alike if one not in self.later and self.came[one]]
            assert all(self.came[uid] <= self.came[one] for one in ready)
            self.running[uid] = place
        self._nobody_is_left_out()

    def _nobody_is_left_out(self) -> None:
        """Whoever still waits in line has no place."""
        busy = Counter(host for host, _, _ in self.running.values())
        models = Counter((host, model) for host, _, model in self.running.values())
        for uid, (host, _, model) in self.waiting.items():
            if uid in self.later or {(host, None), (host, model)} & self.held:
                continue
            full = models[host, model] >= LIMITS.get(model, 99)
            assert busy[host] >= PLACES[host] or full

    @invariant()
    def limits_hold(self) -> None:
        """At no time is a host, or a model there, overbooked."""
        busy = Counter(host for host, _, _ in self.running.values())
        models = Counter((host, model) for host, _, model in self.running.values())
        assert all(busy[host] <= places for host, places in PLACES.items())
        assert all(number <= LIMITS.get(model, 99) for (_, model), number in models.items())

    @invariant()
    def everybody_is_counted(self) -> None:
        """Nobody is lost, and nobody stands twice."""
        counted = {"waiting": len(self.waiting), "running": len(self.running)}
        assert self.dispatcher.statistics() == counted
        for host in PLACES:
            told = [uid for uid, _ in self.dispatcher.reasons(host)]
            ready = {u for u, w in self.waiting.items() if w[0] == host and u not in self.later}
            assert len(told) == len(set(told)) and ready <= set(told)
        for uid in self.waiting:
            position = self.dispatcher.position(uid)
            assert position is not None and 0 <= position < len(self.waiting)

    def teardown(self) -> None:
        """Nobody starves: once nothing is held, all have their turn."""
        for host, model in self.held:
            if model is None:
                self.dispatcher.hold(host, None)
            else:
                self.dispatcher.hold_model(host, model, None)
        left = set(self.waiting)
        for uid in self.running:
            self.dispatcher.remove(uid)
        while taken := self.dispatcher.take(self.now + 100):
            left -= set(taken)
            for uid in taken:
                self.dispatcher.remove(uid)
        assert left == set()


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Contest(RuleBasedStateMachine):
    """Two owners who always wait, beside one who comes and goes: turns in proportion."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatcher = Dispatcher({"acme": 2}, weights=WEIGHTS)
        self.made = 0
        self.turns: Counter[str] = Counter()
        self.running: list[str] = []
        for owner in ("ann", "bob"):
            for _ in range(8):
                self._come(owner)

    def _come(self, owner: str) -> None:
        self.made += 1
        model = "xyz"[self.made % 3]
        self.dispatcher.enqueue(f"{owner}/{self.made}", "acme", owner=owner, model=model)

    @rule()
    def visit(self) -> None:
        """The third one asks for something."""
        self._come("cid")

    @rule(first=st.booleans())
    def turn(self, first: bool) -> None:
        """Somebody ends, and who has a turn is taken; the two have as much to do as before."""
        if self.running:
            self.dispatcher.remove(self.running.pop(0 if first else -1))
        for uid in self.dispatcher.take(1):
            owner = uid.partition("/")[0]
            self.running.append(uid)
            self.turns[owner] += 1
            if owner != "cid":
                self._come(owner)

    @invariant()
    def turns_are_in_proportion(self) -> None:
        """The difference of what two of them had, each by its weight, is at most one turn of
        both together, at any time."""
        had = {owner: self.turns[owner] / WEIGHTS[owner] for owner in ("ann", "bob")}
        bound = 1 / WEIGHTS["ann"] + 1 / WEIGHTS["bob"]
        assert abs(had["ann"] - had["bob"]) <= bound + 1e-9


TestContest = Contest.TestCase
TestContest.settings = settings(max_examples=40, stateful_step_count=80, deadline=None)
