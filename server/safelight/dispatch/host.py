"""One host: its places, those of each model there, and whose turn it is.

Owners take turns by weighted fair queueing, in the start-time form: each owner's next task
has a tag, the least tag goes first, and with every turn the owner's tag grows by one over
its weight. Whoever comes anew begins at the tag that is being served: time in which somebody
asked for nothing is no credit. Within an owner it is first come, first served, but for tasks
whose model has no place: those stand in nobody's way, not even their own owner's.

Each model has a lane, with a heap of the owners who wait for it. An entry may be older than
the truth, never younger, since tags and heads only grow: it is put right when it comes to
the top.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import chain, islice
from math import ceil
from operator import attrgetter
from typing import NamedTuple

from .line import Line, Waiting
from .names import label_of

_order = attrgetter("order")

SOME = 24
"""Owners that are looked at to tell who stands before a task; of more it is reckoned."""


class Share:
    """One owner at one host: `tag` is where its next task stands, `step` what a turn costs."""

    __slots__ = ("lines", "ready", "step", "tag")

    def __init__(self, tag: float, step: float) -> None:
        self.tag = tag
        self.step = step
        self.ready = 0
        self.lines: dict[str, Line] = {}

    def before(self, order: int) -> int:
        """How many of its tasks joined earlier than that."""
        return sum(line.before(order) for line in self.lines.values())

    def tasks(self, most: int) -> list[Waiting]:
        """Its tasks in the order in which they came, the first so many."""
        lines = [line.firsts(most) for line in self.lines.values()]
        if len(lines) == 1:
            return lines[0]
        return sorted(chain(*lines), key=_order)[:most]

    def head(self) -> int:
        """The order of its first task."""
        least = 0
        for line in self.lines.values():
            first = line.first()
            if first is not None and (not least or first.order < least):
                least = first.order
        return least


class Lane:
    """One model at one host: `limit` is how many may run at once, None as many as the host
    takes; `held` is why none is taken now. On `trial` it is one beside these older ones."""

    __slots__ = ("busy", "heap", "held", "limit", "model", "ready", "trial")

    def __init__(self, model: str, limit: int | None) -> None:
        self.model = model
        self.limit = limit
        self.busy = 0
        self.ready = 0
        self.held: str | None = None
        self.trial: set[str] | None = None
        self.heap: list[tuple[float, int, str]] = []

    @property
    def places(self) -> int | None:
        """How many may run now."""
        limits = [self.limit, None if self.trial is None else len(self.trial) + 1]
        return min((limit for limit in limits if limit is not None), default=None)

    def has_place(self) -> bool:
        """Whether one more may run, as far as its model is concerned."""
        return self.held is None and (self.places is None or self.busy < self.places)

    def wanted(self) -> int:
        """How many of those who wait could be taken, if the host had places for all."""
        if not self.has_place():
            return 0
        limit = self.places
        return self.ready if limit is None else min(self.ready, limit - self.busy)


class Before(NamedTuple):
    """What stands before a task: tasks of the same owner, other owners, and tasks of those
    that have their turn first. So many turns of everybody (`turns`) are until its own."""

    own: int
    owners: int
    tasks: int
    turns: float


class Host:
    """`weights` and `limits` are those of the dispatcher, by owner and by model."""

    def __init__(
        self, name: str, places: int, weights: dict[str, float], limits: dict[str, int]
    ) -> None:
        self.name = name
        self.label = label_of(name)
        self.places = places
        self.busy = 0
        self.ready = 0
        self.waiting = 0
        self.held: str | None = None
        self.lanes: dict[str, Lane] = {}
        self.owners: dict[str, Share] = {}
        self.running: dict[str, tuple[str, int]] = {}
        self._weights = weights
        self._limits = limits
        self._now = 0.0
        self._turns = 0

    def lane(self, model: str) -> Lane:
        """That of a model, made when it is first asked for."""
        lane = self.lanes.get(model)
        if lane is None:
            lane = self.lanes[model] = Lane(model, self._limits.get(model))
        return lane

    def line_up(self, waiting: Waiting) -> None:
        """It stands in the line of its owner from here on."""
        owner, model = waiting.owner, waiting.model
        lane = self.lanes.get(model) or self.lane(model)
        share = self.owners.get(owner)
        if share is None:
            share = self.owners[owner] = Share(self._now, 1.0 / self._weights.get(owner, 1.0))
        elif not share.ready and share.tag < self._now:
            share.tag = self._now
        line = share.lines.get(model)
        if line is None:
            line = share.lines[model] = Line()
        line.append(waiting)
        share.ready += 1
        lane.ready += 1
        self.ready += 1
        if not line.listed:
            line.listed = True
            heapq.heappush(lane.heap, (share.tag, waiting.order, owner))

    def leave(self, waiting: Waiting) -> None:
        """It stands there no more, and has not been taken."""
        share, lane = self.owners[waiting.owner], self.lanes[waiting.model]
        share.lines[waiting.model].leave(waiting)
        self._less(share, lane)
        if len(lane.heap) > 2 * lane.ready + SOME:
            self._sweep(lane)
        self._rest()

    def _sweep(self, lane: Lane) -> None:
        """Let entries go of owners who wait for nothing in a lane any more."""
        kept = []
        for entry in lane.heap:
            line = self.owners[entry[2]].lines[lane.model]
            line.listed = len(line) > 0
            if line.listed:
                kept.append(entry)
            else:
                self._let_go(entry[2])
        heapq.heapify(kept)
        lane.heap = kept

    def _less(self, share: Share, lane: Lane) -> None:
        share.ready -= 1
        lane.ready -= 1
        self.ready -= 1
        if not lane.ready:  # what is left in its heap is of those who left
            for _, _, owner in lane.heap:
                self.owners[owner].lines[lane.model].listed = False
                self._let_go(owner)
            lane.heap.clear()

    def _rest(self) -> None:
        """While nothing waits or runs, nobody is owed anything."""
        if not self.ready and not self.busy:
            self.owners.clear()
            self._now = 0.0
            self._turns = 0

    def lines(self) -> Iterator[Line]:
        """All of them, owner by owner."""
        return (line for share in self.owners.values() for line in share.lines.values())

    def entries(self) -> int:
        """Entries in its lines, those of who left included, and in its heaps."""
        heaps = sum(len(lane.heap) for lane in self.lanes.values())
        return heaps + sum(line.entries() for line in self.lines())

    def has_place(self) -> bool:
        """Whether one more may run here, whatever its model."""
        return self.held is None and self.busy < self.places

    def wanted(self) -> int:
        """How many places those could take who wait for a model that has some."""
        return sum(lane.wanted() for lane in self.lanes.values())

    def has_turn(self) -> bool:
        """Whether somebody could be taken now."""
        if not self.ready or self.held is not None or self.busy >= self.places:
            return False
        return any(lane.ready and lane.has_place() for lane in self.lanes.values())

    def next(self) -> Waiting | None:
        """Whose turn it is; who is returned is out of the line."""
        best: tuple[float, int, str] | None = None
        chosen: Lane | None = None
        for lane in self.lanes.values():
            if lane.ready and lane.has_place():
                entry = self._top(lane)
                if best is None or entry < best:
                    best, chosen = entry, lane
        return None if chosen is None else self._pop(chosen)

    def firsts(self, lane: Lane, most: int) -> list[Waiting]:
        """Whose turns they would be in a lane, if it were not held, the first so many."""
        if not lane.ready:
            return []
        turns = []
        for name in {entry[2] for entry in (self._top(lane), *lane.heap[:most])}:
            share = self.owners[name]
            for turn, waiting in enumerate(share.lines[lane.model].firsts(most)):
                turns.append((share.tag + turn * share.step, waiting.order, waiting))
        return [waiting for _, _, waiting in sorted(turns)[:most]]

    def _pop(self, lane: Lane) -> Waiting:
        tag, _, owner = self._top(lane)
        share = self.owners[owner]
        line = share.lines[lane.model]
        waiting = line.first()
        assert waiting is not None, "the top of a lane is somebody"
        line.pop()
        self._now = max(self._now, tag)
        share.tag = tag + share.step
        self._forget(share)
        self._less(share, lane)
        return waiting

    def _forget(self, share: Share) -> None:
        """Owners who had their turns, and wait for nothing, are kept until the others have had
        as many; now and then those are let go for whom that is so."""
        self._turns += 1
        if self._turns < 2 * len(self.owners) + SOME:
            return
        self._turns = 0
        for name, one in list(self.owners.items()):
            if one is not share:
                self._let_go(name)

    def _let_go(self, name: str) -> None:
        """Forget an owner who waits for nothing, and whose turns the others have had too. One
        with a stale entry in a lane is let go when that has gone."""
        one = self.owners[name]
        if one.ready == 0 and one.tag <= self._now:
            if not any(line.listed for line in one.lines.values()):
                del self.owners[name]

    def _top(self, lane: Lane) -> tuple[float, int, str]:
        """The entry of a lane that is first in truth; there is one, as somebody waits."""
        heap = lane.heap
        while True:
            entry = heap[0]
            share = self.owners[entry[2]]
            line = share.lines[lane.model]
            head = line.first()
            if head is None:
                heapq.heappop(heap)
                line.listed = False
                continue
            truth = (share.tag, head.order, entry[2])
            if truth == entry:
                return entry
            heapq.heapreplace(heap, truth)

    def models_before(self, owner: str, order: int | None, most: int) -> list[str]:
        """The models of the tasks that have their turn before one of this owner, or before one
        that would join now (None), in their order; at most so many."""
        share = self.owners.get(owner)
        own = 0 if share is None else share.ready if order is None else share.before(order)
        tag = self._now if share is None or not share.ready else share.tag
        mine = (tag + own * (share.step if share else 0.0), order or float("inf"))
        found: list[tuple[float, float, str]] = []
        for other in islice(self.owners.values(), SOME):
            if not other.ready:
                continue
            for turn, waiting in enumerate(other.tasks(most)):
                place = (other.tag + turn * other.step, waiting.order)
                if place >= mine:
                    break
                found.append((*place, waiting.model))
        return [model for _, _, model in sorted(found)[:most]]

    def begin(self, uid: str, model: str, now: int) -> None:
        """A task takes a place."""
        self.running[uid] = (model, now)
        self.busy += 1
        self.lane(model).busy += 1

    def end(self, uid: str) -> None:
        """It gives the place back."""
        model, _ = self.running.pop(uid)
        self.busy -= 1
        lane = self.lanes[model]
        lane.busy, lane.trial = lane.busy - 1, lane.trial and lane.trial - {uid}
        self._rest()

    def before(self, owner: str, order: int | None) -> Before:
        """What stands before a task of an owner, or before one that would join now (None). Of
        many owners it is reckoned from some."""
        share = self.owners.get(owner)
        own, tag, step = 0, self._now, 0.0
        if share is not None:
            own = share.ready if order is None else share.before(order)
            tag, step = max(share.tag, self._now) if not share.ready else share.tag, share.step
        turn = tag + own * step
        if not self.ready or (share is not None and share.ready == self.ready):
            return Before(own, 0, 0, turn - self._now)
        mine = None if share is None or not share.ready else share.head()
        owners = tasks = seen = 0
        for name, other in self.owners.items():
            if seen >= SOME:
                break
            if name == owner or not other.ready:
                continue
            seen += 1
            until = (turn - other.tag) / other.step
            turns = ceil(until - 1e-9)
            if turns < 0:
                continue
            if turns - until < 1e-9 and (mine is None or other.head() < mine):
                turns += 1  # of two at the same tag who came first is first
            owners += turns > 0
            tasks += min(other.ready, turns)
        others = len(self.owners) - (share is not None)
        if seen < others and seen >= SOME:
            owners, tasks = owners * others // seen, tasks * others // seen
        return Before(own, owners, tasks, turn - self._now)
