"""All hosts together: who joins, leaves and is taken, and when to look again.

Every task has an instant at which it is overdue, whatever it does then; one heap of them
serves for all. A host or a model that is held takes nobody, and says why.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import islice
from operator import attrgetter

import msgspec

from .alarms import Alarms
from .host import Host
from .line import FEW, Line, Waiting
from .words import sentence

_order = attrgetter("order")


class Standing(msgspec.Struct, frozen=True):
    """Where a task stands: so many of its host, and of those of its model, have their turn
    before it, and what has places there; `free` if it can be taken at once. `lane_places` is
    None where only the host counts. `turns` of each owner are until its own; so many `owners`
    take turns there."""

    ahead: int
    places: int
    free: bool
    lane_ahead: int
    lane_places: int | None
    held: bool
    turns: float
    owners: int


class Dispatcher:
    """`places` by host; one that is not in there has `default` of them. `weights` by owner,
    1 for all others; `limits` by model, counted at each host."""

    def __init__(
        self,
        places: Mapping[str, int],
        default: int = 4,
        weights: Mapping[str, float] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        self._places = dict(places)
        self._default = default
        self._weights = dict(weights or {})
        self._limits = dict(limits or {})
        self._hosts: dict[str, Host] = {}
        self._later: list[tuple[int, int, Waiting]] = []
        self._queued: dict[str, Waiting] = {}
        self._running: dict[str, str] = {}
        self._order = 0
        self._alarms = Alarms()
        self._closed = False

    def close(self) -> None:
        """Nothing is taken any more; what waits is for the next start."""
        self._closed = True

    def hold(self, host: str, reason: str | None) -> None:
        """Take nobody to this host, for this reason, until it is None."""
        self._host(host).held = reason

    def hold_model(self, host: str, model: str, reason: str | None, *, trial: bool = False) -> None:
        """The same for one model there. Where it is no longer held it may be on `trial`: one
        at a time, beside what has been running since before, which may be stuck."""
        there = self._host(host)
        lane, older = there.lane(model), None
        if trial:
            begun = {uid for uid, (name, _) in there.running.items() if name == model}
            older = begun if lane.trial is None else lane.trial
        lane.held, lane.trial = reason, older

    def watch(self, uid: str, limit: int) -> None:
        """Until it is removed the task is told as overdue, once, from `limit` on."""
        self._alarms.set(uid, limit)

    def overdue(self, now: int) -> list[str]:
        """The tasks whose time is up; each is told once, and is not taken any more."""
        up = self._alarms.due(now)
        for uid in up:
            self._unqueue(uid)
        return up

    def enqueue(
        self,
        uid: str,
        host: str,
        not_before: int = 0,
        *,
        owner: str = "",
        model: str = "",
        told_at: int = 0,
    ) -> None:
        """Add a task, or add it again after its attempt has ended; a `not_before` of 0 means
        at once; `told_at` is when it heard of its wait."""
        self._leave(uid)
        waiting = Waiting(uid, owner, host, model, not_before, 0, told_at)
        self._queued[uid] = waiting
        self._host(host).waiting += 1
        if not_before <= 0:
            self._line_up(waiting)
        else:
            self._order += 1
            heapq.heappush(self._later, (not_before, self._order, waiting))

    def join(
        self,
        uid: str,
        host: str,
        limit: int,
        *,
        owner: str = "",
        model: str = "",
        told_at: int = 0,
    ) -> bool:
        """`enqueue` and `watch` a new task. Whether that is news to whoever takes: the task may
        be taken at once, or go to another host, or is the first to be overdue; most join a
        line."""
        self._order = order = self._order + 1
        self._queued[uid] = waiting = Waiting(uid, owner, host, model, 0, order, told_at)
        there = self._hosts.get(host) or self._host(host)
        there.waiting += 1
        there.line_up(waiting)
        is_first = self._alarms.set(uid, limit)
        may_go = there.lanes[model].held is not None
        may_run = there.busy < there.places and there.held is None
        return is_first or ((may_run or may_go) and not self._closed)

    def remove(self, uid: str) -> None:
        """The task has ended: it waits no more and gives its place back."""
        self._leave(uid)
        self._alarms.forget(uid)

    def _leave(self, uid: str) -> None:
        self._unqueue(uid)
        host = self._running.pop(uid, None)
        if host is not None:
            self._hosts[host].end(uid)

    def _unqueue(self, uid: str) -> None:
        waiting = self._queued.pop(uid, None)
        if waiting is None:
            return
        host = self._hosts[waiting.host]
        host.waiting -= 1
        if waiting.order:
            host.leave(waiting)
        elif len(self._later) > 2 * len(self._queued) + FEW:
            self._later = [entry for entry in self._later if self._stands(entry[2])]
            heapq.heapify(self._later)

    def occupy(self, uid: str, host: str, model: str = "", now: int = 0) -> None:
        """Count a task as running, taken here or (after a restart) not."""
        self._leave(uid)
        self._running[uid] = host
        self._host(host).begin(uid, model, now)

    def ripen(self, now: int) -> None:
        """Let those stand in line whose time has come."""
        while self._later and self._later[0][0] <= now:
            waiting = heapq.heappop(self._later)[2]
            if self._stands(waiting):
                self._line_up(waiting)

    def take(self, now: int) -> list[str]:
        """The tasks to claim now; each is counted as running from here on."""
        self.ripen(now)
        taken: list[str] = []
        if self._closed:
            return taken
        for host in self._hosts.values():
            while host.ready and host.has_place():
                waiting = host.next()
                if waiting is None:
                    break
                host.waiting -= 1
                del self._queued[waiting.uid]
                self._running[waiting.uid] = host.name
                host.begin(waiting.uid, waiting.model, now)
                taken.append(waiting.uid)
        return taken

    def due(self) -> int | None:
        """When the next task's time comes: 0 if one could be taken at once, None if
        nothing will change by itself."""
        if not self._closed and any(host.has_turn() for host in self._hosts.values()):
            return 0
        later = self._later[0][0] if self._later else None
        alarm = self._alarms.first()
        if later is None or alarm is None:
            return alarm if later is None else later
        return min(later, alarm)

    def places(self, host: str) -> int:
        """How many tasks of a host may run at once."""
        return self._places.get(host, self._default)

    def has_room(self, host: str, model: str) -> bool:
        """Whether one more of a model would be taken there at once."""
        there = self._host(host)
        lane = there.lane(model)
        room = there.has_place() and there.busy + there.wanted() < there.places
        limit = lane.places
        return room and lane.has_place() and (limit is None or lane.busy + lane.ready < limit)

    def is_held(self, host: str) -> bool:
        """Whether a host takes nobody, whatever the model."""
        return self._host(host).held is not None

    def first_held(self, host: str, model: str, most: int = 1) -> list[Waiting]:
        """Who would be next of a model that is held, so many at most."""
        there = self._host(host)
        lane = there.lane(model)
        return there.firsts(lane, most) if lane.held is not None else []

    def transfer(self, waiting: Waiting, host: str, model: str) -> None:
        """Let a waiting task stand in another host's line instead."""
        uid, owner, told_at = waiting.uid, waiting.owner, waiting.told_at
        self.enqueue(uid, host, owner=owner, model=model, told_at=told_at)

    def reason(self, host: str, owner: str = "", model: str = "") -> str:
        """Why a task that is added now would wait, as a plain sentence."""
        there = self._hosts.get(host) or self._host(host)
        return sentence(there, model, there.before(owner, None))

    def reason_for(self, waiting: Waiting) -> str:
        """Why a task waits that is in the queue."""
        host = self._hosts[waiting.host]
        return sentence(host, waiting.model, host.before(waiting.owner, waiting.order or None))

    def reasons(self, host: str) -> list[tuple[str, str]]:
        """Who stands in the lines of a host, each with why it waits, the first one first. Of
        a host that is held also those that wait for a retry."""
        there = self._host(host)
        waiting = sorted((one for line in there.lines() for one in line), key=_order)
        if there.held is not None:
            later = (entry[2] for entry in sorted(self._later))
            waiting += [one for one in later if one.host == host and self._stands(one)]
        return [(one.uid, self.reason_for(one)) for one in waiting]

    def hosts(self) -> list[str]:
        """Those at which somebody waits."""
        return [host.name for host in self._hosts.values() if host.waiting]

    def lines(self, host: str, start: int = 0, end: int | None = None) -> list[Line]:
        """The lines of a host, from one of them to another."""
        return list(islice(self._host(host).lines(), start, end))

    def waiting(self, uid: str) -> Waiting | None:
        """A task's stay in the queue, if it waits."""
        return self._queued.get(uid)

    def look(self, waiting: Waiting) -> tuple[str, Standing]:
        """Why a task waits, and where it stands, or would if it joined now (of order 0)."""
        host = self._host(waiting.host)
        lane = host.lane(waiting.model)
        before = host.before(waiting.owner, waiting.order or None)
        ahead = before.own + before.tasks
        limit = lane.places
        standing = Standing(
            ahead=ahead,
            places=host.places,
            free=host.busy + ahead < host.places and (limit is None or lane.busy + ahead < limit),
            lane_ahead=min(ahead, max(0, lane.ready - (waiting.order > 0))),
            lane_places=limit,
            held=host.held is not None or lane.held is not None,
            turns=before.turns,
            owners=len(host.owners),
        )
        return sentence(host, waiting.model, before), standing

    def models_before(self, waiting: Waiting, most: int) -> list[str]:
        """The models of those who have their turn before a task, or before one that would
        join now (of order 0); at most so many."""
        host = self._host(waiting.host)
        return host.models_before(waiting.owner, waiting.order or None, most)

    def mix(self, host: str) -> dict[str, int]:
        """How many wait there of each model."""
        lanes = self._host(host).lanes.values()
        return {lane.model: lane.ready for lane in lanes if lane.ready}

    def running_at(self, host: str) -> list[tuple[str, int]]:
        """The model and the beginning of each task that runs there."""
        there = self._hosts.get(host)
        return [] if there is None else list(there.running.values())

    def host(self, uid: str) -> str:
        """Where a task that was taken has its place."""
        return self._running[uid]

    def model(self, uid: str) -> str:
        """The model that it has the place for."""
        return self._hosts[self._running[uid]].running[uid][0]

    def counts(self, host: str) -> tuple[int, int]:
        """How many tasks run at a host, and how many wait for it."""
        there = self._host(host)
        return there.busy, there.waiting

    def position(self, uid: str) -> int | None:
        """How many tasks of the same host have their turn before it, or None if it does not
        wait. Before one that waits for a retry are all that stand in line, and the retries
        that come earlier."""
        waiting = self._queued.get(uid)
        if waiting is None:
            return None
        host = self._hosts[waiting.host]
        if waiting.order:
            before = host.before(waiting.owner, waiting.order)
            return before.own + before.tasks
        mine = next(one for one in self._later if one[2] is waiting)
        return host.ready + sum(
            one < mine and one[2].host == host.name and self._stands(one[2]) for one in self._later
        )

    def statistics(self) -> dict[str, int]:
        """Tasks that wait and tasks that run."""
        return {"waiting": len(self._queued), "running": len(self._running)}

    def entries(self) -> int:
        """Entries of tasks that are kept, in whatever order they are: at most some times as
        many as there are tasks."""
        lines = sum(host.entries() for host in self._hosts.values())
        return len(self._later) + len(self._alarms) + lines

    def _host(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            host = Host(name, self.places(name), self._weights, self._limits)
            self._hosts[name] = host
        return host

    def _line_up(self, waiting: Waiting) -> None:
        self._order += 1
        waiting.order = self._order
        self._host(waiting.host).line_up(waiting)

    def _stands(self, waiting: Waiting) -> bool:
        return self._queued.get(waiting.uid) is waiting
