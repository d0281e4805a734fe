"""What follows from an outcome: another attempt and when, or the end.

Pure: the clock and the dice are arguments. The policy in one sentence: what may
pass is tried again with exponential backoff, half of it drawn, never earlier than
the provider asks for; what is lost and free is simply started again; a seed that
is refused is replaced only if it was ours.

What it cost is worked out in charging.py.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight_protocol.events import error_data
from safelight_protocol.inputs import Faulted, GaveUp, InDoubt, Lost, Stopped
from safelight_protocol.task import Resolved, Task

from .charging import charge_of
from .providers.base import Again, Ended, Gone, Never, Unclear

MAX_WAIT_SECONDS = 6 * 3600.0
"""The longest pause that a provider may ask for: whoever asks for more is as good as gone,
and a number without an end must not reach the clock."""

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
        via: Resolved | None = None,
    ) -> Faulted | Lost | GaveUp | InDoubt | Stopped:
        """The input that an outcome of this attempt becomes; `owed` if a provider that
        bills had begun it. `via` is what the next one may run as, after a verified fault: then
        it need not wait, and a refusal for good was one of that host only."""
        match outcome:
            case Ended():
                return Stopped(charge_of(outcome, task, owed))
            case Unclear():
                return InDoubt()
            case Again() | Never() if via is not None and self.has_another(task):
                error = error_data(outcome.code, outcome.message, retryable=True)
                return Faulted(error, now, charge=charge_of(outcome, task, owed), via=via)
            case Never(code=code, message=message):
                error = error_data(code, message, retryable=False)
                return GaveUp(error, charge_of(outcome, task, owed))
            case Gone(message=message):
                return self.lost(task, message, now, owed=owed)
            case Again(fresh_seed=True) if task.asked.seed is not None:
                return _their_seed(outcome, task, owed)
            case Again():
                return self._faulted(task, outcome, now, dice, owed)

    def has_another(self, task: Task) -> bool:
        """Whether one more fault would not be the last."""
        return task.faults + 1 < self.attempts

    def lost(self, task: Task, message: str, now: int, *, owed: bool = False) -> Lost | GaveUp:
        """The input that the loss of an attempt becomes."""
        charge = charge_of(Gone(message), task, owed)
        error = error_data("lost", message, retryable=True)
        if task.attempt - task.faults > self.losses:
            return GaveUp(error, charge)
        return Lost(error, retry_at=now, charge=charge)

    def _faulted(
        self, task: Task, outcome: Again, now: int, dice: Dice, owed: bool
    ) -> Faulted | GaveUp:
        charge = charge_of(outcome, task, owed)
        error = error_data(outcome.code, outcome.message, retryable=True)
        if not self.has_another(task):
            return GaveUp(error, charge)
        wait = self.pause(task.faults, dice.share())
        wait = max(wait, min(outcome.after_seconds or 0.0, MAX_WAIT_SECONDS))
        seed = dice.seed() if outcome.fresh_seed else None
        return Faulted(error, retry_at=now + round(wait * 1000), seed=seed, charge=charge)


def _their_seed(outcome: Again, task: Task, owed: bool) -> GaveUp:
    """Another seed would be another picture than the one that was asked for."""
    message = f"{outcome.message}; choose another seed or leave it open"
    error = error_data("seed_conflict", message, retryable=False)
    return GaveUp(error, charge_of(outcome, task, owed))
