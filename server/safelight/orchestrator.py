"""The sole owner of task state. Every door's command and every report ends here.

One way to change a task: load it, step it through the lifecycle table, commit, and
only then tell (append to the log, wake the followers) and act (effects). Moves of
one task are serialized by its lock; a move once begun is finished even if the one
who asked for it has gone. Nothing else writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import anyio
import anyio.abc
import msgspec

from safelight_protocol import lifecycle
from safelight_protocol.codes import Refused
from safelight_protocol.commands import Create
from safelight_protocol.events import encode_event
from safelight_protocol.inputs import CancelAsked, Claimed, Finished, Happening, Stopped
from safelight_protocol.lifecycle import Effect, Step
from safelight_protocol.snapshot import Snapshot, fold, result_of
from safelight_protocol.task import State, Task

from .admission import Admission, Admitted
from .care import Answer, Live
from .dispatch import Dispatcher
from .insist import insist, see_through
from .log import Log
from .production import Production
from .providers.base import Provider, Shown
from .retry import RetryPolicy
from .runner import Finishing, Runner
from .store import Change, Created, Fenced, Removal, Store, StoreTrouble
from .subscriptions import Subscriptions, tasks_of
from .telemetry import log as record


class Orchestrator:
    """Use as the async context `running`; outside of it nothing is dispatched."""

    def __init__(
        self,
        *,
        store: Store,
        log: Log,
        subscriptions: Subscriptions,
        production: Production,
        admission: Admission,
        providers: Mapping[str, Provider],
        dispatcher: Dispatcher,
        policy: RetryPolicy,
        attempt_seconds: float,
        cancel_seconds: float,
        clock: Callable[[], int],
        die: Callable[[], float],
        group: anyio.abc.TaskGroup,
    ) -> None:
        self._store = store
        self._log = log
        self._subscriptions = subscriptions
        self._production = production
        self._admission = admission
        self._providers = providers
        self._dispatcher = dispatcher
        self._attempt_ms = round(attempt_seconds * 1000)
        self._clock = clock
        self._group = group
        self._live: dict[str, Live] = {}
        self._ready = asyncio.Event()
        self.late = 0
        self._runner = Runner(
            group,
            tell=self._report,
            keep=production.keep,
            show=self._show,
            policy=policy,
            cancel_seconds=cancel_seconds,
            clock=clock,
            die=die,
        )

    # -- commands ------------------------------------------------------------

    async def create(self, owner: str, command: Create) -> Answer:
        """Make a task, or attach to the one this request already is.

        Returns after the commit. Raises Refused or StoreTrouble; then nothing was made.
        """
        return await see_through(self._create(owner, command))

    async def cancel(self, owner: str, id: str, by: str = "owner") -> Snapshot:
        """Ask for a task's end; an ended task answers with its end. Raises Refused."""
        task = await self.find(owner, id)
        if not task.ended:
            await see_through(self._move(task.uid, CancelAsked(by)))
            task = await self.find(owner, id)
        return await self._log.snapshot(task)

    async def delete(self, owner: str, id: str) -> None:
        """Remove an ended task, its log and its bytes; its id and keys stay taken.

        Raises Refused `still_running` for a task that has not ended.
        """
        await see_through(self._delete(owner, id))

    async def find(self, owner: str, id: str) -> Task:
        """A task of this owner. Raises Refused `gone` or `not_found`; another owner's
        task is simply not found."""
        task = await self._store.read.task(owner, id)
        if task is not None:
            return task
        if await self._store.read.is_gone(owner, id):
            raise Refused("gone", f"Task {id} was deleted or has expired.")
        raise Refused("not_found", f"Task {id} is not known.")

    def statistics(self) -> dict[str, int]:
        """Live tasks, late inputs, and those of dispatcher and runner."""
        counted = {"live": len(self._live), "late": self.late}
        return counted | self._dispatcher.statistics() | self._runner.statistics()

    # -- life ----------------------------------------------------------------

    def adopt(self, task: Task) -> None:
        """Take a live task into care after a restart. Its log is already restored."""
        live = self._live[task.uid] = Live()
        live.task = task
        if task.state is State.QUEUED:
            self._dispatcher.enqueue(task.uid, task.resolved.provider, task.not_before or 0)
        else:
            self._dispatcher.occupy(task.uid, task.resolved.provider)

    async def resume(self, task: Task) -> None:
        """Follow again a prediction whose handle is saved."""
        await self._run(task)
        if task.state is State.CANCELING:
            self._runner.stop(task.uid)

    async def report(self, task: Task, happening: Happening) -> None:
        """Take in what recovery found out about an attempt."""
        await self._report(task, happening)

    async def dispatch(self) -> None:
        """Claim ready tasks for ever; runs as a task of the group."""
        while True:
            now = self._clock()
            for uid in self._dispatcher.take(now):
                deadline = now + self._attempt_ms
                self._group.start_soon(self._claim, uid, Claimed(deadline))
            due = self._dispatcher.due()
            pause = None if due is None else max(0.0, (due - self._clock()) / 1000)
            with anyio.move_on_after(pause):
                await self._ready.wait()
            self._ready.clear()

    async def _claim(self, uid: str, claimed: Claimed) -> None:
        await insist(lambda: self._move(uid, claimed))

    # -- create --------------------------------------------------------------

    async def _create(self, owner: str, command: Create) -> Answer:
        admitted = await self._admission.admit(owner, command)
        # In place before the commit makes the task visible, its lock held until the task
        # is told: a cancel that comes in between waits instead of finding nobody.
        live = self._live[admitted.uid] = Live()
        async with live.lock:
            try:
                outcome = await self._put(admitted)
            except BaseException:
                del self._live[admitted.uid]
                raise
            self._welcome(live, admitted, outcome)
        task = outcome.task
        snapshot = await self._log.snapshot(task)
        return Answer(task, snapshot, outcome.fresh, admitted.warnings(task))

    async def _put(self, admitted: Admitted) -> Created:
        try:
            outcome: Created = await self._store.put(admitted.creation)
            return outcome
        except StoreTrouble as trouble:
            if not trouble.unknown or admitted.step is None:
                raise
            # The commit was begun: whether the task is there has to be looked up.
            stored = await insist(lambda: self._store.read.tasks([admitted.uid]))
            if admitted.uid not in stored:
                raise
            return Created(stored[admitted.uid], fresh=True)

    def _welcome(self, live: Live, admitted: Admitted, outcome: Created) -> None:
        task, step = outcome.task, admitted.step
        if step is None or not outcome.fresh:
            del self._live[admitted.uid]
            record("task.attached", uid=task.uid, id=task.id, owner=task.owner, status=task.status)
            return
        live.task = task
        record("task.created", uid=task.uid, id=task.id, owner=task.owner, kind=task.asked.kind)
        self._tell(step)
        self._act(step)

    async def _delete(self, owner: str, id: str) -> None:
        task = await self.find(owner, id)
        if not task.ended:
            raise Refused("still_running", f"Task {id} has not ended; cancel it first.")
        made = await self._store.read.artifacts_of(task.uid)
        try:
            unused = await self._store.put(Removal(task))
        except Fenced:
            raise Refused("gone", f"Task {id} was deleted or has expired.") from None
        self._log.forget(task.uid)
        self._subscriptions.wake(task.uid)
        await self._production.remove(unused, made)
        record("task.deleted", uid=task.uid, id=id, owner=owner)
        self._subscriptions.wake(tasks_of(owner))

    # -- moves ---------------------------------------------------------------

    async def _move(
        self, uid: str, what: Happening | Finishing, attempt: int | None = None
    ) -> None:
        live = self._live.get(uid)
        if live is None:
            self.late += 1
            return
        async with live.lock:
            if attempt is not None and attempt != live.task.attempt:
                self.late += 1
                return
            happening = self._finished(live.task, what) if isinstance(what, Finishing) else what
            step = lifecycle.step(live.task, happening, self._clock())
            if step.late:
                self.late += 1
                return
            try:
                await self._commit(live, step, happening)
            except Fenced:
                step = await self._relearn(live, step)
        self._act(step)

    async def _relearn(self, live: Live, step: Step) -> Step:
        """The store has another state than we hold: a commit whose end we did not learn
        had happened after all. What is stored is right; if it is our step, it acts."""
        uid, owner = live.task.uid, live.task.owner
        record("store.fenced", uid=uid, seq=live.task.seq)
        stored = (await insist(lambda: self._store.read.tasks([uid]))).get(uid)
        if stored is None or stored.ended:
            self._part(live.task)
            self._log.forget(uid)
            learnt = Step(stored or live.task, effect=Effect.RELEASE)
        else:
            await insist(lambda: self._log.restore(stored))
            live.task = stored
            ours = (stored.seq, stored.state, stored.claim)
            same = ours == (step.task.seq, step.task.state, step.task.claim)
            learnt = Step(stored, effect=step.effect if same else Effect.NONE)
        self._subscriptions.wake(uid)
        self._subscriptions.wake(tasks_of(owner))
        return learnt

    def _part(self, task: Task) -> None:
        """The task has its end: nothing of it is kept in memory but its tail."""
        del self._live[task.uid]
        self._subscriptions.clear(task.uid)

    async def _commit(self, live: Live, step: Step, happening: Happening) -> None:
        body = None if step.event is None else encode_event(step.event)
        ended = step.task.ended and step.event is not None
        change = Change(
            before=live.task,
            after=step.task,
            event=body,
            artifact=self._production.row(step.task, happening, self._clock()),
            snapshot=self._final(step) if ended else None,
        )
        await self._store.put(change)
        live.task = step.task
        if ended:
            self._part(step.task)
            record("task.ended", uid=step.task.uid, id=step.task.id, status=step.task.status)
        self._tell(step, body)

    def _tell(self, step: Step, body: bytes | None = None) -> None:
        """Only ever called after the commit."""
        if step.event is not None:
            self._log.append(step.task, step.event, body or encode_event(step.event))
            self._subscriptions.wake(step.task.uid)
        self._subscriptions.wake(tasks_of(step.task.owner))

    def _act(self, step: Step) -> None:
        task = step.task
        match step.effect:
            case Effect.ENQUEUE:
                provider = task.resolved.provider
                self._subscriptions.clear(task.uid)
                self._dispatcher.enqueue(task.uid, provider, task.not_before or 0)
            case Effect.RUN:
                self._group.start_soon(self._run, task)
            case Effect.STOP:
                self._runner.stop(task.uid)
            case Effect.RECONCILE:
                self._runner.wait_out(task)
            case Effect.RELEASE:
                self._dispatcher.remove(task.uid)
        self._ready.set()

    def _final(self, step: Step) -> bytes:
        snapshot = self._log.live_snapshot(step.task.uid)
        assert snapshot is not None and step.event is not None, "a live task has its tail"
        return msgspec.json.encode(fold(snapshot, step.event))

    def _finished(self, task: Task, finishing: Finishing) -> Happening:
        snapshot = self._log.live_snapshot(task.uid)
        assert snapshot is not None, "a live task has its tail"
        return Finished(result_of(snapshot, task, self._clock()), finishing.charge)

    # -- predictions ---------------------------------------------------------

    async def _run(self, task: Task) -> None:
        live = self._live.get(task.uid)
        if task.handle is None and live is not None and live.task.state is State.CANCELING:
            return await self._report(task, Stopped())  # asked before anything was started
        inputs = await insist(lambda: self._admission.files(task))
        self._runner.run(task, self._providers[task.resolved.provider], inputs)
        live = self._live.get(task.uid)
        if live is not None and live.task.state is State.CANCELING:
            self._runner.stop(task.uid)

    async def _report(self, task: Task, what: Happening | Finishing) -> None:
        await insist(lambda: self._move(task.uid, what, task.attempt))

    def _show(self, task: Task, shown: Shown) -> None:
        live = self._live.get(task.uid)
        if live is not None and live.task.attempt == task.attempt:
            self._production.show(task, live.preview_token, shown)
