"""One prediction from start to outcome: the only code that calls a provider.

Gets what it needs as arguments: `tell` writes an input and returns after its
commit, `keep` puts a file on disk. Knows neither the store nor the orchestrator.
The order is the guarantee: the claim is on disk before `start`, the handle before
anything it leads to is waited for, a file before the event that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import anyio.lowlevel

from safelight_protocol.charges import FREE, unknown
from safelight_protocol.codes import Refused
from safelight_protocol.events import Charge, error_data
from safelight_protocol.inputs import (
    GaveUp,
    HandleSaved,
    Happening,
)
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from .charging import charge_of, files_made
from .doubt import Doubt, Resolver, look_up
from .echo import Echo
from .endings import Finishing
from .greetings import Receptions
from .guard import Guard
from .patience import Patience
from .providers.base import (
    Again,
    Done,
    Failure,
    Gone,
    InputFile,
    Never,
    Outcome,
    Provider,
    Unclear,
)
from .reporting import Hearers, Keep, Reporter, Show, Tell
from .retry import Dice, RetryPolicy
from .run import EXHAUSTED_SECONDS, Run, is_exhaustion, prediction_of, refused_by, without_input
from .stray import spared
from .telemetry import log as record

RESUME_SECONDS = 60.0
"""The least time that a prediction gets which is followed again after a restart: it may
have finished long ago, and is only to be asked."""

Told = Callable[[str], Snapshot | None]


class Runner:
    """Runs predictions, each in a task of its own under the guard. A cancel that a provider
    does not confirm within `cancel_seconds` counts as unconfirmed."""

    def __init__(
        self,
        guard: Guard,
        patience: Patience,
        receptions: Receptions,
        policy: RetryPolicy,
        clock: Callable[[], int],
        dice: Dice,
        *,
        tell: Tell,
        keep: Keep,
        show: Show,
        told: Told,
        cancel_seconds: float,
    ) -> None:
        self._guard = guard
        self._cancel_seconds = cancel_seconds
        self._tell = tell
        self._hearers = Hearers(tell, keep, show, patience.progressing)
        self._told = told
        self._patience = patience
        self._receptions = receptions
        self._policy = policy
        self._clock = clock
        self._dice = dice
        self._resolver = Resolver(policy, clock, dice.share)
        self._runs: dict[str, Run] = {}
        self._doubts: dict[str, Doubt] = {}

    def run(self, task: Task, provider: Provider, inputs: tuple[InputFile, ...]) -> None:
        """Start the attempt, or follow it again when its handle is saved."""
        run = self._runs[task.uid] = Run(task, provider, prediction_of(task, inputs))
        record(
            "prediction.started",
            uid=task.uid,
            attempt=task.attempt,
            provider=provider.name,
            model=task.ran.model,
        )
        self._guard.start(task.uid, "prediction", partial(self._predict, run))

    def reconcile(self, task: Task, provider: Provider, inputs: tuple[InputFile, ...]) -> None:
        """Ask until its deadline what became of an attempt in doubt, and follow it if it is
        found; nothing is started meanwhile."""
        run = Run(task, provider, prediction_of(task, inputs))
        self._guard.start(task.uid, "doubt", partial(self._reconcile, run))

    def stop(self, uid: str) -> None:
        """Ask the provider of a running attempt for its end. Safe to repeat."""
        if uid in self._doubts:
            self._doubts[uid].nudge()
        run = self._runs.get(uid)
        if run is not None and not run.stopping:
            run.stopping = True
            self._guard.start(uid, "cancel", partial(self._cancel, run))

    def abandon(self, uid: str) -> None:
        """The task has ended without its prediction: leave that, and ask for its end."""
        doubt, run = self._doubts.pop(uid, None), self._runs.get(uid)
        if doubt is not None:
            doubt.scope.cancel()
        if run is not None:
            run.scope.cancel()
            run.asked = True
            self._guard.start(uid, "abandon", partial(self._ask_to_end, run))

    def statistics(self) -> dict[str, int]:
        """Predictions under way here, and attempts that were in doubt since they began."""
        return {"predictions": len(self._runs), "in_doubt": len(self._doubts)}

    async def see_out(self) -> None:
        """Wait for the runs that nobody can follow after this process, until they are told."""
        for run in [run for run in self._runs.values() if run.fleeting]:
            await run.told.wait()

    async def _predict(self, run: Run) -> None:
        try:
            outcome = await self._outcome(run)
        finally:
            self._leave(run)
        if not isinstance(outcome, Unclear):
            self._doubts.pop(run.task.uid, None)
        await self._tell(run.task, self._ending(run, outcome))
        run.told.set()

    def _leave(self, run: Run) -> None:
        run.finish()
        self._patience.left(run.task)
        if self._runs.get(run.task.uid) is run:
            del self._runs[run.task.uid]

    def _ending(self, run: Run, outcome: Outcome | GaveUp) -> Happening | Finishing:
        """The input that an outcome becomes."""
        if not isinstance(outcome, GaveUp):
            self._patience.heard(run.task, outcome, whole=run.whole)
            self._receptions.heard(run.provider.name, outcome)
        if isinstance(outcome, Done):
            files = files_made(self._told(run.task.uid), run.task.attempt)
            return Finishing(charge_of(outcome, run.task, run.owed, files))
        if isinstance(outcome, GaveUp):
            return outcome
        task, via = run.task, None
        if isinstance(outcome, Again | Never):
            _note_fault(run, outcome)
            if outcome.elsewhere and not run.stopping and self._policy.has_another(task):
                via = self._patience.elsewhere(task)
        now = self._clock()
        return self._policy.verdict(task, outcome, now, self._dice, owed=run.owed, via=via)

    async def _outcome(self, run: Run) -> Outcome | GaveUp:
        """What became of the attempt; past its deadline it is cancelled and given up."""
        remaining = _seconds_until(run.task.deadline, self._clock())
        if remaining is not None and run.handle is not None:
            remaining = max(remaining, RESUME_SECONDS)
        with anyio.move_on_after(remaining) as limit, run.scope:
            try:
                return await self._start_and_follow(run)
            except Failure as failure:
                return failure.outcome
            except Refused as refused:
                return await self._apart(run, refused_by(refused, run))
            except Exception as defect:
                why = without_input(run, defect) or self._broken(run, defect)
                return await self._apart(run, why)
        return await self._abandoned(run, timed_out=limit.cancelled_caught)

    async def _start_and_follow(self, run: Run) -> Outcome:
        # Nothing is started, or asked for, for a task that has ended by now.
        await anyio.lowlevel.checkpoint_if_cancelled()
        if run.handle is None:
            run.handle = await spared(run.provider.start(run.prediction))
            await self._tell(run.task, HandleSaved(run.handle))
            run.started.set()
            self._patience.accepted(run.task)
        echo = Echo(self._told(run.task.uid), run.task.attempt)
        async with Reporter(run.task, echo, self._hearers) as reporter:
            return await spared(run.provider.follow(run.prediction, run.handle, reporter.hear))

    async def _abandoned(self, run: Run, *, timed_out: bool) -> GaveUp | Outcome:
        """The attempt was cut off by its deadline, or by a cancel nobody confirmed."""
        if not timed_out and run.handle is None:
            return Unclear("the cancel overtook the answer to the start")
        if timed_out or not run.asked:  # a cancel may have waited for the handle in vain
            await self._ask_to_end(run)
        if not timed_out:
            return _unknown(run, "the cancel was not confirmed")
        if run.whole and not run.stopping:
            self._patience.timed_out(run.task)
        message = "the prediction passed its deadline"
        error = error_data("timeout", message, retryable=True)
        return GaveUp(error, _unlearnt(run, message))

    async def _cancel(self, run: Run) -> None:
        with anyio.move_on_after(self._cancel_seconds) as limit:
            await run.started.wait()
            if not run.ended.is_set():
                await self._ask_to_end(run)
            await run.ended.wait()
        if limit.cancelled_caught:
            run.scope.cancel()

    async def _apart(self, run: Run, outcome: Outcome) -> Outcome:
        """What we ceased to follow may run on at its provider: it is ended before another
        attempt begins beside it, or stays in doubt."""
        if not isinstance(outcome, Again) or run.handle is None or not run.provider.resumable:
            return outcome
        return outcome if await self._ask_to_end(run) else Unclear(outcome.message)

    async def _ask_to_end(self, run: Run) -> bool:
        """Whether its provider confirmed in time; one that cannot be asked has not."""
        run.asked = True
        with anyio.move_on_after(self._cancel_seconds):
            handle = run.handle or await look_up(run.provider, run.prediction)
            if not isinstance(handle, str):
                return isinstance(handle, Gone)
            try:
                await spared(run.provider.cancel(run.prediction, handle))
                return True
            except Exception as defect:
                self._note_defect(run, defect)
        return False

    def _broken(self, run: Run, defect: Exception) -> Again | Unclear:
        """The provider's code raised what no contract names. None of its words are told."""
        name, attempt = run.provider.name, run.task.attempt
        if is_exhaustion(defect):
            fields = {"uid": run.task.uid, "attempt": attempt, "provider": name}
            record("prediction.exhausted", **fields, exc=defect)
            message = "the server ran out of open files, memory or processes"
            passing = Again("unavailable", message, EXHAUSTED_SECONDS)
        else:
            reference = self._note_defect(run, defect)
            passing = Again("internal", f"{name} met a bug, logged as {reference}")
        # What a provider had begun when its code broke may be on its bill.
        return Unclear(passing.message) if run.provider.billed else passing

    def _note_defect(self, run: Run, defect: Exception) -> str:
        reference = self._dice.reference()
        record(
            "prediction.defect",
            uid=run.task.uid,
            attempt=run.task.attempt,
            provider=run.provider.name,
            reference=reference,
            exc=defect,
        )
        return reference

    async def _reconcile(self, run: Run) -> None:
        task, doubt = run.task, self._doubts.get(run.task.uid)
        if doubt is None or doubt.attempt != task.attempt:
            doubt = self._doubts[task.uid] = Doubt(task.attempt)
            provider = run.provider.name
            record("prediction.doubted", uid=task.uid, attempt=task.attempt, provider=provider)
        found: str | Gone | None = None
        with anyio.CancelScope() as doubt.scope:
            found = await self._resolver.learn(doubt, run.provider, run.prediction, task.deadline)
        if doubt.scope.cancelled_caught:
            return
        if isinstance(found, str):
            # In place before the handle is told: a cancel that waits for it stops this run.
            self._runs[task.uid] = run
            run.handle, run.whole = found, False
            try:
                await self._tell(task, HandleSaved(found))
            except BaseException:
                self._leave(run)
                raise
            run.started.set()
            return await self._predict(run)
        self._doubts.pop(task.uid, None)
        lost = (
            None
            if found is None
            else self._policy.lost(task, found.message, self._clock(), owed=run.owed)
        )
        await self._tell(task, lost or _unknown(run, "it could not be learnt whether it ran"))


def _note_fault(run: Run, outcome: Again | Never) -> None:
    record(
        "prediction.fault",
        uid=run.task.uid,
        attempt=run.task.attempt,
        provider=run.provider.name,
        code=outcome.code,
    )


def _unknown(run: Run, message: str) -> GaveUp:
    error = error_data("outcome_unknown", message, retryable=False)
    return GaveUp(error, _unlearnt(run, message))


def _unlearnt(run: Run, why: str) -> Charge:
    """What an attempt may have cost whose outcome its provider never told."""
    return unknown(why) if run.provider.billed else FREE


def _seconds_until(deadline: int | None, now: int) -> float | None:
    return None if deadline is None else max(0.0, (deadline - now) / 1000)
