"""What follows from an outcome: another attempt and when, or the end.

Pure: the clock and the dice are arguments. The policy in one sentence: what may
pass is tried again with exponential backoff, half of it drawn, never earlier than
the provider asks for; what is lost and free is simply started again; a seed that
is refused is replaced only if it was ours.

What it cost: a start that is refused outright is free; what becomes of an attempt after
a billed provider gave its handle is unknown, unless the provider itself says more.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight_protocol.charges import FREE, unknown
from safelight_protocol.events import Charge, error_data
from safelight_protocol.inputs import Faulted, GaveUp, InDoubt, Lost, Stopped
from safelight_protocol.task import Task

from .providers.base import Again, Ended, Gone, Never, Unclear

MAX_WAIT_SECONDS = 6 * 3600.0
"""The longest pause that a provider may ask for: whoever asks for more is as good as gone,
and a number without an end must not reach the clock."""

SILENCE = "its provider did not say what it cost"

MAX_DOUBLINGS = 30
"""More of them than this are no longer told apart by any clock."""


class Dice(msgspec.Struct, frozen=True):
    """What is left to chance: `share` is 0 to 1, `seed` one that we may run with."""

    share: Callable[[], float]
    seed: Callable[[], int]

    def reference(self) -> str:
        """A name for a line of the log, which a client may be told."""
        return f"{self.seed() % 2**48:012x}"


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts faults, `losses` the attempts that a restart of ours may cost.

    Backoff before the nth retry is drawn from 0.5 to 1 times
    `base_seconds * 2**(n-1)`, at most `max_seconds` (a floor of one half, so that a
    retry is never at once: a full jitter from zero hammers what is ill).
    """

    attempts: int = 3
    losses: int = 10
    base_seconds: float = 1.0
    max_seconds: float = 60.0

    def pause(self, tries: int, share: float) -> float:
        """Seconds to wait after that many tries; `share` is 0 to 1."""
        doubled = self.base_seconds * 2.0 ** min(tries, MAX_DOUBLINGS)
        return min(doubled, self.max_seconds) * (0.5 + share / 2)

    def verdict(
        self,
        task: Task,
        outcome: Again | Never | Gone | Unclear | Ended,
        now: int,
        dice: Dice,
        *,
        owed: bool = False,
    ) -> Faulted | Lost | GaveUp | InDoubt | Stopped:
        """The input that an outcome of this attempt becomes; `owed` if a provider that
        bills had begun it."""
        match outcome:
            case Ended(charge=charge):
                return Stopped(charge_of(charge, owed))
            case Unclear():
                return InDoubt()
            case Never(code=code, message=message, charge=charge):
                error = error_data(code, message, retryable=False)
                return GaveUp(error, charge_of(charge, owed))
            case Gone(message=message):
                return self.lost(task, message, now, owed=owed)
            case Again(fresh_seed=True) if task.asked.seed is not None:
                return _their_seed(outcome, owed)
            case Again():
                return self._faulted(task, outcome, now, dice, owed)

    def lost(self, task: Task, message: str, now: int, *, owed: bool = False) -> Lost | GaveUp:
        """The input that the loss of an attempt becomes."""
        charge = charge_of(None, owed)
        error = error_data("lost", message, retryable=True)
        if task.attempt - task.faults > self.losses:
            return GaveUp(error, charge)
        return Lost(error, retry_at=now, charge=charge)

    def _faulted(
        self, task: Task, outcome: Again, now: int, dice: Dice, owed: bool
    ) -> Faulted | GaveUp:
        charge = charge_of(outcome.charge, owed)
        error = error_data(outcome.code, outcome.message, retryable=True)
        if task.faults + 1 >= self.attempts:
            return GaveUp(error, charge)
        wait = self.pause(task.faults, dice.share())
        wait = max(wait, min(outcome.after_seconds or 0.0, MAX_WAIT_SECONDS))
        seed = dice.seed() if outcome.fresh_seed else None
        return Faulted(error, retry_at=now + round(wait * 1000), seed=seed, charge=charge)


def _their_seed(outcome: Again, owed: bool) -> GaveUp:
    """Another seed would be another picture than the one that was asked for."""
    message = f"{outcome.message}; choose another seed or leave it open"
    error = error_data("seed_conflict", message, retryable=False)
    return GaveUp(error, charge_of(outcome.charge, owed))


def charge_of(said: Charge | None, owed: bool) -> Charge:
    """What an attempt cost by the words of its provider; `owed` if it bills and had begun
    it, so that its silence is no gift."""
    if said is None:
        return unknown(SILENCE) if owed else FREE
    return unknown(SILENCE) if said.verdict == "unknown" and not said.reason else said
