"""The sole owner of task state. Every door's command and every report ends here.

One way to change a task: load it, step it through the lifecycle table, commit, and
only then tell (append to the log, wake the followers) and act (effects). Moves of
one task are serialized by its lock; a move once begun is finished even if the one
who asked for it has gone. Nothing else writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import anyio
import anyio.abc
import msgspec

from safelight_protocol import lifecycle
from safelight_protocol.commands import Create
from safelight_protocol.events import encode_event
from safelight_protocol.inputs import CancelAsked, Claimed, Happening
from safelight_protocol.lifecycle import Effect, Step
from safelight_protocol.snapshot import Snapshot, fold
from safelight_protocol.task import State, Task

from .admission import Admission, Admitted
from .attempts import Attempts
from .care import Answer, Live, find, same_state
from .dispatch import Dispatcher
from .endings import Broken, Overdue, What, input_of
from .guard import Guard
from .insist import breathe, insist, see_through
from .log import Log
from .production import Production
from .providers.base import Provider, Shown
from .removal import Remover
from .retry import Dice, RetryPolicy
from .runner import Runner
from .store import Change, Created, Fenced, Store, StoreTrouble
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
        dice: Dice,
        task_seconds: float = 86_400.0,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self._store = store
        self._log = log
        self._subscriptions = subscriptions
        self._production = production
        self._remover = Remover(store, log, subscriptions, production)
        self._admission = admission
        self._guard = Guard(group, self._give_up, dice.reference)
        self._dispatcher = dispatcher
        self._attempt_ms = round(attempt_seconds * 1000)
        self._task_ms = round(task_seconds * 1000)
        self._clock = clock
        self._live: dict[str, Live] = {}
        self._ready = asyncio.Event()
        self.late = 0
        self._runner = Runner(
            self._guard,
            tell=self._report,
            keep=production.keep,
            show=self._show,
            told=log.live_snapshot,
            policy=policy,
            cancel_seconds=cancel_seconds,
            clock=clock,
            dice=dice,
        )
        self._attempts = Attempts(
            self._guard, self._runner, admission, providers, self._now_of, self._report
        )

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
        await see_through(self._remover.remove(await self.find(owner, id)))

    async def expire(self, task: Task) -> None:
        """Remove an ended task that was kept long enough. One that is gone is fine."""
        await see_through(self._remover.expire(task))

    async def find(self, owner: str, id: str) -> Task:
        """A task of this owner. Raises Refused `gone` or `not_found`; another owner's
        task is simply not found."""
        return await find(self._store, owner, id)

    def statistics(self) -> dict[str, int]:
        """Live tasks, late inputs, and those of dispatcher and runner."""
        counted = {"live": len(self._live), "late": self.late}
        return counted | self._dispatcher.statistics() | self._runner.statistics()

    def adopt(self, task: Task) -> None:
        """Take a live task into care after a restart. Its log is already restored."""
        live = self._live[task.uid] = Live()
        live.task = task
        self._dispatcher.watch(task.uid, task.created_at + self._task_ms)
        if task.state is State.QUEUED:
            self._dispatcher.enqueue(task.uid, task.resolved.provider, task.not_before or 0)
        else:
            self._dispatcher.occupy(task.uid, task.resolved.provider)

    async def resume(self, task: Task) -> None:
        """Follow again a prediction whose handle is saved."""
        await self._attempts.resume(task)

    async def report(self, task: Task, happening: Happening) -> None:
        """Take in what recovery found out about an attempt."""
        await self._guard.run(task.uid, "report", lambda: self._report(task, happening))

    def drain(self) -> None:
        """Claim nothing any more; what waits is claimed at the next start."""
        self._dispatcher.close()

    async def dispatch(self) -> None:
        """Claim ready tasks, and end overdue ones, for ever; runs as a task of the group."""
        while True:
            now = self._clock()
            for uid in self._dispatcher.overdue(now):
                self._guard.start(uid, "expire", partial(self._expire, uid))
            for uid in self._dispatcher.take(now):
                claimed = Claimed(now + self._attempt_ms)
                self._guard.start(uid, "claim", partial(self._claim, uid, claimed))
            due = self._dispatcher.due()
            pause = None if due is None else max(0.0, (due - self._clock()) / 1000)
            with anyio.move_on_after(pause):
                await self._ready.wait()
            self._ready.clear()

    async def _claim(self, uid: str, claimed: Claimed) -> None:
        await insist(lambda: self._move(uid, claimed))

    async def _expire(self, uid: str) -> None:
        """End a task that is overdue, and only then leave whatever still runs for it."""
        live = self._live.get(uid)
        if live is None:
            return
        record("task.overdue", uid=uid)
        overdue = Overdue(self._attempts.billed(live.task))
        await insist(lambda: self._move(uid, overdue))
        self._runner.abandon(uid)

    async def _give_up(self, uid: str, reference: str) -> None:
        """End a task that met a defect of ours; one that has ended gives its place back."""
        live = self._live.get(uid)
        if live is not None:
            broken = Broken(reference, self._attempts.billed(live.task))
            await insist(lambda: self._move(uid, broken))
            self._runner.abandon(uid)
        if uid not in self._live:
            self._dispatcher.remove(uid)
            self._ready.set()

    async def _create(self, owner: str, command: Create) -> Answer:
        admitted = await self._admission.admit(owner, command)
        # In place before the commit makes the task visible, its lock held until the task
        # is told: a cancel that comes in between waits instead of finding nobody.
        live = self._live[admitted.uid] = Live()
        async with live.lock:
            try:
                outcome = await self._admission.put(admitted)
            except BaseException:
                del self._live[admitted.uid]
                raise
            self._welcome(live, admitted, outcome)
        task = outcome.task
        snapshot = await self._log.snapshot(task)
        return Answer(task, snapshot, outcome.fresh, admitted.warnings(task))

    def _welcome(self, live: Live, admitted: Admitted, outcome: Created) -> None:
        task, step = outcome.task, admitted.step
        if step is None or not outcome.fresh:
            del self._live[admitted.uid]
            record("task.attached", uid=task.uid, id=task.id, owner=task.owner, status=task.status)
            return
        live.task = task
        self._dispatcher.watch(task.uid, task.created_at + self._task_ms)
        record("task.created", uid=task.uid, id=task.id, owner=task.owner, kind=task.asked.kind)
        self._tell(step)
        self._act(step)

    async def _move(self, uid: str, what: What, attempt: int | None = None) -> None:
        live = self._live.get(uid)
        if live is None:
            self.late += 1
            return
        async with live.lock:
            step = await self._settle(live, what, attempt)
        if step is not None:
            self._act(step)

    async def _settle(self, live: Live, what: What, attempt: int | None) -> Step | None:
        """Take an input in, under the lock; None if it came too late.

        A write that was begun, and whose end is not learnt, is made again before anything
        else may happen to the task: if the first one is on disk, the fence says so.
        """
        doubts = 0
        while not live.task.ended and attempt in (None, live.task.attempt):
            now = self._clock()
            happening = input_of(what, live.task, self._seen(live.task.uid), now)
            step = lifecycle.step(live.task, happening, now)
            if step.late:
                break
            try:
                await self._commit(live, step, happening)
                return step
            except Fenced:
                learnt = await self._relearn(live, step)
                if learnt is not None:
                    return learnt
            except StoreTrouble as trouble:
                if trouble.closed or not (trouble.unknown or doubts):
                    raise
                await breathe(doubts)
                doubts += 1
        self.late += 1
        return None

    async def _relearn(self, live: Live, step: Step) -> Step | None:
        """Take over what is stored: it is right. If that is where the step led, or the end,
        this returns what has to be done about it, else None."""
        uid, owner = live.task.uid, live.task.owner
        record("store.fenced", uid=uid, seq=live.task.seq)
        stored = (await insist(lambda: self._store.read.tasks([uid]))).get(uid)
        learnt: Step | None = None
        if stored is None or stored.ended:
            self._part(live.task)
            self._log.forget(uid)
            learnt = Step(stored or live.task, effect=Effect.RELEASE)
        else:
            await insist(lambda: self._log.restore(stored))
            if same_state(stored, step.task):
                learnt = Step(stored, effect=step.effect)
        live.task = stored or live.task
        self._subscriptions.wake(uid)
        self._subscriptions.wake(tasks_of(owner))
        return learnt

    def _part(self, task: Task) -> None:
        """The task has its end: nothing of it is kept in memory but its tail."""
        self._live.pop(task.uid, None)
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
                self._attempts.begin(task)
            case Effect.STOP:
                self._runner.stop(task.uid)
            case Effect.RECONCILE:
                self._attempts.doubt(task)
            case Effect.RELEASE:
                self._dispatcher.remove(task.uid)
        self._ready.set()

    def _final(self, step: Step) -> bytes:
        assert step.event is not None, "an end is told"
        return msgspec.json.encode(fold(self._seen(step.task.uid), step.event))

    def _seen(self, uid: str) -> Snapshot:
        snapshot = self._log.live_snapshot(uid)
        assert snapshot is not None, "a live task has its tail"
        return snapshot

    def _now_of(self, task: Task) -> Task | None:
        """The task as it is now, if it is still at the same attempt."""
        live = self._live.get(task.uid)
        return live.task if live is not None and live.task.attempt == task.attempt else None

    async def _report(self, task: Task, what: What) -> None:
        await insist(lambda: self._move(task.uid, what, task.attempt))

    def _show(self, task: Task, shown: Shown) -> None:
        if self._now_of(task) is not None:
            self._production.show(task, self._live[task.uid].preview_token, shown)
