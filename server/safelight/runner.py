"""One prediction from start to outcome: the only code that calls a provider.

Gets what it needs as arguments: `tell` writes an input and returns after its
commit, `keep` puts a file on disk. Knows neither the store nor the orchestrator.
The order is the guarantee: the claim is on disk before `start`, the handle before
anything it leads to is waited for, a file before the event that names it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.abc

from safelight_protocol.codes import Refused
from safelight_protocol.events import Artifact, Charge, error_data
from safelight_protocol.inputs import (
    GaveUp,
    HandleSaved,
    Happening,
    Produced,
    Progressed,
    Wrote,
)
from safelight_protocol.task import Task

from .providers.base import (
    Again,
    Delta,
    Done,
    Failure,
    InputFile,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Provider,
    Shown,
    Unclear,
)
from .retry import RetryPolicy
from .telemetry import log as record

UNKNOWN = Charge(verdict="unknown")

RESUME_SECONDS = 60.0
"""The least time that a prediction gets which is followed again after a restart: it may
have finished long ago, and is only to be asked."""


class Finishing:
    """Marks the end of a prediction; the orchestrator makes the result from the log."""

    __slots__ = ("charge",)

    def __init__(self, charge: Charge) -> None:
        self.charge = charge


Tell = Callable[[Task, "Happening | Finishing"], Awaitable[None]]
Keep = Callable[[Task, Made], AbstractAsyncContextManager[Artifact]]
Show = Callable[[Task, Shown], None]


class Runner:
    """Runs predictions in `group`, each in a task of its own. A cancel that a provider
    does not confirm within `cancel_seconds` counts as unconfirmed."""

    def __init__(
        self,
        group: anyio.abc.TaskGroup,
        *,
        tell: Tell,
        keep: Keep,
        show: Show,
        policy: RetryPolicy,
        cancel_seconds: float,
        clock: Callable[[], int],
        die: Callable[[], float],
    ) -> None:
        self._group = group
        self._cancel_seconds = cancel_seconds
        self._tell = tell
        self._keep = keep
        self._show = show
        self._policy = policy
        self._clock = clock
        self._die = die
        self._runs: dict[str, _Run] = {}

    def run(self, task: Task, provider: Provider, inputs: tuple[InputFile, ...]) -> None:
        """Start the attempt, or follow it again when its handle is saved."""
        run = _Run(task, provider, _prediction(task, inputs))
        record(
            "prediction.started",
            uid=task.uid,
            attempt=task.attempt,
            provider=provider.name,
            model=task.resolved.model,
        )
        self._runs[task.uid] = run
        self._group.start_soon(self._predict, run, name=f"prediction {task.uid}")

    def stop(self, uid: str) -> None:
        """Ask the provider of a running attempt for its end. Safe to repeat."""
        run = self._runs.get(uid)
        if run is not None and not run.stopping:
            run.stopping = True
            self._group.start_soon(self._cancel, run, name=f"cancel {uid}")

    def wait_out(self, task: Task) -> None:
        """Give up an attempt in doubt at its deadline; nothing is started meanwhile."""
        self._group.start_soon(self._wait_out, task, name=f"in doubt {task.uid}")

    def statistics(self) -> dict[str, int]:
        """Predictions under way here."""
        return {"predictions": len(self._runs)}

    async def _predict(self, run: _Run) -> None:
        try:
            outcome = await self._outcome(run)
        finally:
            run.finish()
            if self._runs.get(run.task.uid) is run:
                del self._runs[run.task.uid]
        try:
            await self._tell(run.task, self._ending(run, outcome))
        except Exception as defect:
            self._note_defect(run, defect)
            await self._tell(run.task, _internal(run, defect))

    def _ending(self, run: _Run, outcome: Outcome | GaveUp) -> Happening | Finishing:
        """The input that an outcome becomes."""
        if isinstance(outcome, Done):
            return Finishing(outcome.charge)
        if isinstance(outcome, GaveUp):
            return outcome
        if isinstance(outcome, Again | Never):
            _note_fault(run, outcome)
        return self._policy.verdict(run.task, outcome, self._clock(), self._die())

    async def _outcome(self, run: _Run) -> Outcome | GaveUp:
        """What became of the attempt; past its deadline it is cancelled and given up."""
        remaining = _seconds_until(run.task.deadline, self._clock())
        if remaining is not None and run.task.handle is not None:
            remaining = max(remaining, RESUME_SECONDS)
        with anyio.move_on_after(remaining) as limit, run.scope:
            try:
                return await self._start_and_follow(run)
            except Failure as failure:
                return failure.outcome
            except Refused as refused:
                return _refused(refused)
            except Exception as defect:
                self._note_defect(run, defect)
                failed = f"{run.provider.name} failed: {defect}"
                # What a provider had begun when its code broke may be on its bill.
                return Unclear(failed) if run.provider.billed else Again("internal", failed)
        return await self._abandoned(run, timed_out=limit.cancelled_caught)

    async def _start_and_follow(self, run: _Run) -> Outcome:
        if run.handle is None:
            run.handle = await run.provider.start(run.prediction)
            await self._tell(run.task, HandleSaved(run.handle))
            run.started.set()
        return await run.provider.follow(run.prediction, run.handle, run.reporter(self))

    async def _abandoned(self, run: _Run, *, timed_out: bool) -> GaveUp | Outcome:
        """The attempt was cut off by its deadline, or by a cancel nobody confirmed."""
        if not timed_out:
            return _unknown("the cancel was not confirmed")
        if run.handle is not None:
            with anyio.move_on_after(self._cancel_seconds, shield=True):
                await self._ask_to_end(run)
        charge = UNKNOWN if run.provider.billed else Charge(verdict="free")
        message = "the prediction passed its deadline"
        return GaveUp(error_data("timeout", message, retryable=True), charge)

    async def _cancel(self, run: _Run) -> None:
        with anyio.move_on_after(self._cancel_seconds) as limit:
            await run.started.wait()
            if not run.ended.is_set():
                await self._ask_to_end(run)
            await run.ended.wait()
        if limit.cancelled_caught:
            run.scope.cancel()

    async def _ask_to_end(self, run: _Run) -> None:
        """A provider that cannot be asked has not confirmed; that is all it means."""
        if run.handle is None:
            return
        try:
            await run.provider.cancel(run.prediction, run.handle)
        except Exception as defect:
            self._note_defect(run, defect)

    def _note_defect(self, run: _Run, defect: Exception) -> None:
        name, attempt = run.provider.name, run.task.attempt
        record("prediction.defect", uid=run.task.uid, attempt=attempt, provider=name, exc=defect)

    async def _wait_out(self, task: Task) -> None:
        await anyio.sleep(_seconds_until(task.deadline, self._clock()) or 0.0)
        await self._tell(task, _unknown("it could not be learnt whether the provider ran it"))

    async def _report(self, run: _Run, report: Moved | Delta | Made | Shown) -> None:
        match report:
            case Moved():
                happening = Progressed(report.progress, report.step, report.steps, report.message)
                await self._tell(run.task, happening)
            case Delta(text=text):
                await self._tell(run.task, Wrote(text))
            case Made():
                async with self._keep(run.task, report) as artifact:
                    await self._tell(run.task, Produced(artifact))
            case Shown():
                self._show(run.task, report)


class _Run:
    """An attempt under way: its cancel scope, and what a cancel has to wait for."""

    def __init__(self, task: Task, provider: Provider, prediction: Prediction) -> None:
        self.task = task
        self.provider = provider
        self.prediction = prediction
        self.handle = task.handle
        self.scope = anyio.CancelScope()
        self.started = anyio.Event()
        self.ended = anyio.Event()
        self.stopping = False
        if self.handle is not None:
            self.started.set()

    def finish(self) -> None:
        """Whoever waits to cancel it need not wait any longer."""
        self.started.set()
        self.ended.set()

    def reporter(self, runner: Runner) -> Callable[[Moved | Delta | Made | Shown], Awaitable[None]]:
        async def report(what: Moved | Delta | Made | Shown) -> None:
            await runner._report(self, what)

        return report


def _prediction(task: Task, inputs: tuple[InputFile, ...]) -> Prediction:
    ran = task.resolved
    return Prediction(
        uid=task.uid,
        attempt=task.attempt,
        kind=task.asked.kind,
        model=ran.model,
        prompt=task.asked.prompt,
        params=ran.params,
        seed=ran.seed,
        n=ran.n,
        backend=ran.backend,
        inputs=inputs,
    )


def _note_fault(run: _Run, outcome: Again | Never) -> None:
    record(
        "prediction.fault",
        uid=run.task.uid,
        attempt=run.task.attempt,
        provider=run.provider.name,
        code=outcome.code,
    )


def _refused(refused: Refused) -> Again | Never:
    """A result that we cannot keep: too large for good, or no room for the moment."""
    outcome = Again if refused.code.retry == "later" else Never
    return outcome(refused.code.name, refused.message)


def _internal(run: _Run, defect: Exception) -> GaveUp:
    charge = UNKNOWN if run.provider.billed else Charge(verdict="free")
    return GaveUp(
        error_data("internal", f"the attempt met a bug: {defect}", retryable=True), charge
    )


def _unknown(message: str) -> GaveUp:
    return GaveUp(error_data("outcome_unknown", message, retryable=False), UNKNOWN)


def _seconds_until(deadline: int | None, now: int) -> float | None:
    return None if deadline is None else max(0.0, (deadline - now) / 1000)
