"""A breaker for each model at each host: who fails again and again is left alone for a while.

A table of `(state, what happened) -> state`, like the life of a task. Only verified faults of
the provider count, and only those in a row; what a caller did wrong says nothing. After a
while one task at a time is let through, and its success closes the breaker. A provider that
asks for a pause (429) gets it the same way. Starts, ends and fails nothing: it says who may
be taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from .rules import Key, Rules, clock_time, label


class Gate(StrEnum):
    """Whether tasks are taken."""

    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"


class Fact(StrEnum):
    """What a breaker hears: of attempts, and of time."""

    FAULT = "fault"
    WAIT = "wait"
    ACCEPTED = "accepted"
    GOOD = "good"
    TIME = "time"


class Cause(StrEnum):
    """Why it is not closed."""

    FAULTS = "faults"
    THROTTLED = "throttled"


TABLE: Mapping[tuple[Gate, Fact], Gate] = {
    (Gate.CLOSED, Fact.FAULT): Gate.OPEN,  # with the last of so many in a row
    (Gate.CLOSED, Fact.WAIT): Gate.OPEN,
    (Gate.CLOSED, Fact.ACCEPTED): Gate.CLOSED,
    (Gate.CLOSED, Fact.GOOD): Gate.CLOSED,
    (Gate.CLOSED, Fact.TIME): Gate.CLOSED,
    #
    (Gate.OPEN, Fact.FAULT): Gate.OPEN,  # begun before; it is open already
    (Gate.OPEN, Fact.WAIT): Gate.OPEN,  # until the later of the two
    (Gate.OPEN, Fact.ACCEPTED): Gate.OPEN,
    (Gate.OPEN, Fact.GOOD): Gate.TRIAL,  # begun before, and well: it may be tried
    (Gate.OPEN, Fact.TIME): Gate.TRIAL,
    #
    (Gate.TRIAL, Fact.FAULT): Gate.OPEN,  # for twice as long
    (Gate.TRIAL, Fact.WAIT): Gate.OPEN,
    (Gate.TRIAL, Fact.ACCEPTED): Gate.TRIAL,  # closes one that was asked to wait
    (Gate.TRIAL, Fact.GOOD): Gate.CLOSED,
    (Gate.TRIAL, Fact.TIME): Gate.TRIAL,
}


class Breaker(msgspec.Struct):
    """One of them. It opened at `since`, `until` is when it is tried again, `opened` how often
    it opened in a row. One that opened because of faults stays so, whatever is asked of it
    meanwhile: only a success closes it."""

    gate: Gate = Gate.CLOSED
    cause: Cause = Cause.FAULTS
    faults: int = 0
    opened: int = 0
    since: int = 0
    until: int = 0

    def hear(self, fact: Fact, now: int, rules: Rules, wait_until: int = 0) -> bool:
        """Take a fact in; whether the gate, or the time of its opening, changed."""
        before = (self.gate, self.until)
        gate = TABLE[self.gate, fact]
        match fact:
            case Fact.FAULT:
                self.faults += 1
                if self.gate is Gate.CLOSED and self.faults < rules.faults:
                    gate = Gate.CLOSED
                elif self.gate is not Gate.OPEN:
                    self.cause, self.since, self.until = Cause.FAULTS, now, now + self._pause(rules)
                    self.opened += 1
            case Fact.WAIT:
                ill = self.gate is not Gate.CLOSED and self.cause is Cause.FAULTS
                self.cause = Cause.FAULTS if ill else Cause.THROTTLED
                self.since, self.until = now, max(wait_until, self.until)
            case Fact.ACCEPTED:
                if self.gate is Gate.TRIAL and self.cause is Cause.THROTTLED:
                    gate = Gate.CLOSED
            case Fact.GOOD:
                self.faults = 0
            case Fact.TIME:
                if self.pauses(now):
                    gate = self.gate
        self.gate = gate
        if gate is Gate.CLOSED:
            self.opened, self.until = 0, 0
        return before != (self.gate, self.until)

    def pauses(self, now: int) -> bool:
        """Whether its time has not yet come. A clock that was set back has none to wait for."""
        return self.since <= now < self.until

    def _pause(self, rules: Rules) -> int:
        seconds = rules.open_seconds * 2.0 ** min(self.opened, 30)
        return round(min(seconds, rules.most_seconds) * 1000)


def why(key: Key, breaker: Breaker) -> str | None:
    """The sentence for those who wait because of it; None if it holds nobody."""
    if breaker.gate is not Gate.OPEN:
        return None
    at = clock_time(breaker.until)
    if breaker.cause is Cause.THROTTLED:
        return f"{label(key)} is asked to wait by its provider until {at}"
    return f"breaker of {label(key)} until {at}, after {breaker.faults} faults in a row"
