"""The parts of patience together, as the runner and the dispatch loop meet them.

Whoever runs attempts tells what became of them (`accepted`, `heard`, `timed_out`); whoever
claims asks for the time an attempt may take, and when to look again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from safelight_protocol.events import Eta
from safelight_protocol.task import Resolved, Task

from ..dispatch import Dispatcher, Waiting, host_for
from ..providers.base import Again, Done, Never, Outcome
from ..telemetry import log as record
from . import eta
from .breaker import Breaker, Fact, Gate, why
from .forecast import Forecast
from .history import ENOUGH, History
from .rules import Key, Rules

MOST_WAIT_SECONDS = 6 * 3600.0
"""The longest pause that a provider may ask for."""

LEAST_PROGRESS_MS = 1000
"""An attempt that is younger says nothing yet about its end."""


PASSED_OVER = 16
"""So many at the head of a line are looked at for one that may go to an equal host."""


class Outlook(NamedTuple):
    """Why a task waits, and when it will have ended, as far as that is known."""

    reason: str
    eta: Eta | None


class Held(NamedTuple):
    """A model at a host whose breaker is open, and until when (milliseconds since 1970)."""

    model: str
    until: int


class Room(NamedTuple):
    """A host: how many of its places are taken, how many tasks wait for one, and whom its
    breakers hold."""

    taken: int
    places: int
    waiting: int
    held: tuple[Held, ...]


EXCUSED = frozenset({"provider_refused", "model_not_found", "invalid_input", "content_refused"})
"""Faults that waiting does not mend: who asks next is to hear of them at once."""


class Patience:
    """`equals` tells what else a request may run as; `wake` is called when somebody may be
    taken who could not before."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        rules: Rules,
        equals: Callable[[Resolved], tuple[Resolved, ...]],
        clock: Callable[[], int],
    ) -> None:
        self._dispatcher = dispatcher
        self._rules = rules
        self._equals = equals
        self._clock = clock
        self._history = History(rules)
        self._forecast = Forecast(dispatcher, self._history)
        self._breakers: dict[Key, Breaker] = {}
        self._open: set[Key] = set()
        self._ranges: dict[str, tuple[int, eta.Range | None]] = {}
        self._gone_over: dict[str, Resolved] = {}
        self._opened = 0
        self._failovers = 0
        self.wake: Callable[[], None] = _nothing

    def learn(self, times: Iterable[tuple[Key, int]]) -> None:
        """Run times of the past, the oldest first."""
        for key, took in times:
            self._history.add(key, took)

    # What became of attempts.

    def accepted(self, task: Task) -> None:
        """A provider took the request."""
        self._tell(key_of(task), Fact.ACCEPTED)

    def heard(self, task: Task, outcome: Outcome, *, whole: bool = True) -> None:
        """An attempt has ended; `whole` if it was followed from its claim to its end."""
        key, now = key_of(task), self._clock()
        match outcome:
            case Done():
                if whole and task.claimed_at is not None and task.claimed_at <= now:
                    self._history.add(key, now - task.claimed_at)
                self._tell(key, Fact.GOOD)
            case Again(after_seconds=float() | int() as seconds) if outcome.code == "throttled":
                wait = max(0.0, min(seconds, MOST_WAIT_SECONDS))
                self._tell(key, Fact.WAIT, now + round(wait * 1000))
            case Again(elsewhere=True) | Never(elsewhere=True) if outcome.code not in EXCUSED:
                self._tell(key, Fact.FAULT)

    def timed_out(self, task: Task) -> None:
        """An attempt passed its deadline."""
        self._history.timed_out(key_of(task))
        self._tell(key_of(task), Fact.FAULT)

    def _tell(self, key: Key, fact: Fact, wait_until: int = 0) -> None:
        breaker = self._breakers.get(key)
        if breaker is None:
            if fact in (Fact.GOOD, Fact.ACCEPTED):
                return
            breaker = self._breakers[key] = Breaker()
        before = breaker.gate
        if breaker.hear(fact, self._clock(), self._rules, wait_until):
            self._show(key, breaker, before)
        if breaker.gate is Gate.CLOSED and not breaker.faults:
            del self._breakers[key]

    def _show(self, key: Key, breaker: Breaker, before: Gate) -> None:
        host, model = key
        trial = breaker.gate is Gate.TRIAL
        self._dispatcher.hold_model(host, model, why(key, breaker), trial=trial)
        fields = {"host": host, "model": model}
        match breaker.gate:
            case Gate.OPEN:
                self._open.add(key)
                self._opened += before is not Gate.OPEN
                more = {"cause": breaker.cause.value, "until": breaker.until}
                record("breaker.opened", **fields, **more, faults=breaker.faults)
            case Gate.TRIAL:
                self._open.discard(key)
                record("breaker.trial", **fields)
            case Gate.CLOSED:
                self._open.discard(key)
                record("breaker.closed", **fields)
        self.wake()

    # Whom to take, where, and for how long.

    def due(self) -> int | None:
        """When the next breaker is to be tried."""
        return min((self._breakers[key].until for key in self._open), default=None)

    def refresh(self, now: int) -> None:
        """Try those whose time has come."""
        for key in [key for key in self._open if not self._breakers[key].pauses(now)]:
            self._tell(key, Fact.TIME)

    def detour(self, resolved_of: Callable[[str], Resolved | None]) -> None:
        """Send who waits for an open breaker to an equal that would take it at once, in the
        order of their turns; who may not go is passed over. `resolved_of` tells what a task
        was resolved to; None if it may not go, or is not known yet."""
        for key in list(self._open):
            while self._send_over(key, resolved_of):
                pass

    def _send_over(self, away: Key, resolved_of: Callable[[str], Resolved | None]) -> bool:
        """Send the next one over; whether there is one, and room for it."""
        for waiting in self._front(away):
            resolved = resolved_of(waiting.uid)
            ring = () if resolved is None else (resolved, *self._equals(resolved))
            others = [one for one in ring if key_for(one) != away]
            over = next(filter(self._is_roomy, others), None)
            if over is not None:
                self._dispatcher.transfer(waiting, *key_for(over))
                self.send(waiting.uid, over)
                self._note_over(waiting.uid, key_for(over))
                return True
            if others:  # whoever comes behind has no room there either
                return False
        return False

    def _front(self, held: Key) -> Iterator[Waiting]:
        """Who is first, and only if that one may not go the next ones."""
        yield from self._dispatcher.first_held(*held)
        yield from self._dispatcher.first_held(*held, PASSED_OVER)[1:]

    def _is_roomy(self, one: Resolved) -> bool:
        key = key_for(one)
        return key not in self._open and self._dispatcher.has_room(*key)

    def send(self, uid: str, over: Resolved) -> None:
        """A task that waits is claimed as this, wherever it was before."""
        self._gone_over[uid] = over

    def _note_over(self, uid: str, key: Key) -> None:
        self._failovers += 1
        record("task.gone_over", uid=uid, host=key[0], model=key[1])

    def gone_over(self, uid: str) -> Resolved | None:
        """As what a task is to be claimed that was sent elsewhere while it waited."""
        return self._gone_over.pop(uid, None)

    def elsewhere(self, task: Task) -> Resolved | None:
        """What the next attempt runs as after a verified fault: the next equal whose breaker is
        not open, all round; None if there is none, if its host is down, or if its owner has
        said where it runs."""
        if task.asked.backend is not None:
            return None
        ring = (task.resolved, *self._equals(task.resolved))
        keys = [key_for(one) for one in ring]
        here = key_of(task)
        start = keys.index(here) if here in keys else 0
        for step in range(1, len(ring)):
            place = (start + step) % len(ring)
            if keys[place] not in self._open and not self._dispatcher.is_held(keys[place][0]):
                self._note_over(task.uid, keys[place])
                return ring[place]
        return None

    def limit_ms(self, key: Key) -> int:
        """How long an attempt that begins now may take."""
        return round(self._history.limit(key) * 1000)

    def forget(self, uid: str) -> None:
        """The task has ended."""
        self._gone_over.pop(uid, None)

    def left(self, task: Task) -> None:
        """Nobody follows its attempt any more: there is nothing left to promise."""
        if self._ranges.get(task.uid, (0, None))[0] == task.attempt:
            del self._ranges[task.uid]

    # What those who wait are told.

    def newcomer(self, host: str, owner: str, model: str, now: int) -> Outlook:
        """The outlook of a task that is born now."""
        if self._history.spread((host, model)) is None:
            return Outlook(self._dispatcher.reason(host, owner, model), None)
        self._forecast.note(host, now)
        newcomer = Waiting("", owner, host, model, 0)
        reason, standing = self._dispatcher.look(newcomer)
        return Outlook(reason, eta.from_now(self._forecast.range(newcomer, standing, now), now))

    def promised(self, uid: str, told: Eta | None, at: int) -> None:
        """What a task was told at its birth, now that it stands in its line: while it stands
        there that does not rise either."""
        waiting = self._dispatcher.waiting(uid)
        if waiting is not None and told is not None:
            low, high = at + round(told.low * 1000), at + round(told.high * 1000)
            self._forecast.promise(waiting, low, high)

    def outlook(self, waiting: Waiting, now: int) -> Outlook:
        """That of a task in the queue. While its position and the places are the same, its
        range does not rise."""
        reason, standing = self._dispatcher.look(waiting)
        found = None
        if waiting.not_before <= now:
            found = self._forecast.kept(waiting, standing, now)
        return Outlook(reason, eta.from_now(found, now))

    def progressing(self, task: Task, progress: float | None) -> Eta | None:
        """The range of an attempt under way that has come so far. It never rises, until the
        attempt is `left`."""
        now = self._clock()
        elapsed = 0 if task.claimed_at is None else max(0, now - task.claimed_at)
        attempt, before = self._ranges.get(task.uid, (0, None))
        before = before if attempt == task.attempt else None
        left = None
        if before is None and (times := self._history.times(key_of(task))) is not None:
            left = times.left(elapsed)
        known = progress if elapsed >= LEAST_PROGRESS_MS else None
        found = eta.promised(before, eta.running(now, elapsed, known, left), now)
        if found is not None:
            self._ranges[task.uid] = (task.attempt, found)
        return eta.from_now(found, now)

    def room(self, host: str) -> Room:
        """What is free at a host, and what is not."""
        busy, waiting = self._dispatcher.counts(host)
        models = sorted(model for name, model in self._open if name == host)
        held = tuple(Held(model, self._breakers[host, model].until) for model in models)
        return Room(busy, self._dispatcher.places(host), waiting, held)

    def statistics(self) -> dict[str, int]:
        """Breakers, failovers, and what is learnt."""
        return {
            "breakers_open": len(self._open),
            "breakers_opened": self._opened,
            "failovers": self._failovers,
            "models_learnt": self._history.learnt(ENOUGH),
        }


def is_news(outlook: Outlook, reason: str | None, told: Eta | None) -> bool:
    """Whether who was told this reason and range has something new to hear."""
    return outlook.reason != reason or eta.bucket(outlook.eta) != eta.bucket(told)


def key_of(task: Task) -> Key:
    """Where the attempt of a task is, and as which model."""
    return key_for(task.ran)


def key_for(resolved: Resolved) -> Key:
    """The same of what a request was taken to mean."""
    return host_for(resolved), resolved.model


def _nothing() -> None:
    """Nobody is to be woken yet."""
