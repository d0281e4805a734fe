"""The sole owner of task state. Every door's command and every report ends here.

One way to change a task: load it, step it through the lifecycle table, commit, and
only then tell (append to the log, wake the followers) and act (effects). Moves of
one task are serialized by its lock; a move once begun is finished even if the one
who asked for it has gone. Nothing else writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import anyio.abc

from safelight_protocol.commands import Create
from safelight_protocol.events import Eta
from safelight_protocol.inputs import CancelAsked, Faulted, Lost, Waiting
from safelight_protocol.lifecycle import Effect, Step
from safelight_protocol.quotes import Quote
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import State, Task

from .admission import Admission
from .admitted import Admitted
from .attempts import Attempts
from .backends import Directory
from .care import Answer, Live, find, know
from .dispatch import Dispatcher, host_of
from .endings import Broken, What
from .greetings import Receptions
from .guard import Guard, Work
from .insist import finish, hear, insist, see_through
from .log import Log
from .moves import Moves
from .patience import Patience
from .production import Production
from .providers.base import Provider, Shown
from .purse import Purse
from .removal import Remover
from .retry import Dice, RetryPolicy
from .runner import Runner
from .store import LiveRow, Store
from .subscriptions import Subscriptions
from .telemetry import log as record
from .turns import Turns
from .webhooks import Notices

Tell = Callable[[Answer | BaseException], None]
"""Hears what a create came to; must not raise."""


class Orchestrator:
    """Use as the async context `running`; outside of it nothing is dispatched."""

    def __init__(
        self,
        *,
        store: Store,
        log: Log,
        subscriptions: Subscriptions,
        production: Production,
        purse: Purse,
        notices: Notices,
        admission: Admission,
        providers: Mapping[str, Provider],
        backends: Directory,
        dispatcher: Dispatcher,
        patience: Patience,
        receptions: Receptions,
        policy: RetryPolicy,
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
        self._backends = backends
        self._dispatcher, self._patience = dispatcher, patience
        self._task_ms = round(task_seconds * 1000)
        self._clock = clock
        self._live: dict[str, Live] = {}
        self._named: dict[tuple[str, str], Live] = {}
        shared = (store, log, subscriptions, production, purse, notices)
        self._moves = Moves(*shared, self._live, self._act, clock)
        judging = (self._guard, patience, receptions, policy, clock, dice)
        self._runner = Runner(
            *judging,
            tell=self.report,
            keep=production.keep,
            show=self._show,
            told=log.live_snapshot,
            cancel_seconds=cancel_seconds,
        )
        needed = (self._guard, self._runner, admission, providers, backends)
        self._attempts = Attempts(*needed, self._now_of, self.report)
        queue, work = (dispatcher, patience, backends), (self._guard, self._moves, self._runner)
        self._turns = Turns(*queue, *work, self._attempts, self._live, self.known, clock)

    async def create(self, owner: str, command: Create) -> Answer:
        """Make a task, or attach to the one this request already is; returns after the commit.
        Raises Refused or StoreTrouble; then nothing was made."""
        admitted = await self._admission.admit(owner, command)
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(admitted, partial(hear, heard))
        await heard
        return self._answer(admitted) or await self._late_answer(admitted)

    def create_soon(self, owner: str, command: Create, tell: Tell) -> bool:
        """The same without a task that waits: the answer is told where the commit is learnt.
        False, or what is raised, means that nothing was begun: `create` does it."""
        admitted = self._admission.admit_now(owner, command)
        if admitted is None:
            return False

        def learn(trouble: BaseException | None) -> None:
            came_to: Answer | BaseException | None = trouble
            try:
                came_to = self._answer(admitted, admitted.told) if came_to is None else came_to
            except Exception as defect:
                came_to = defect
            if came_to is None:
                finish(self._late_answer(admitted), tell)
            else:
                tell(came_to)

        self._put(admitted, learn)
        return True

    def _put(self, admitted: Admitted, tell: Callable[[BaseException | None], None]) -> None:
        # In place before the commit makes the task visible, its lock held until the task
        # is told: a cancel that comes in between waits instead of finding nobody.
        live = self._live[admitted.uid] = Live()
        live.hold()
        self._admission.put(admitted, partial(self._welcome, live, admitted), tell)

    def _answer(self, admitted: Admitted, told: Snapshot | None = None) -> Answer | None:
        """What a create came to, if what its task has come to is in memory, or just `told`."""
        outcome = admitted.outcome
        assert outcome is not None, "without one it is raised why"
        task = outcome.task
        snapshot = told or self._log.live_snapshot(task.uid)
        if snapshot is None:
            return None
        return Answer(task, snapshot, outcome.fresh, admitted.warnings(task))

    async def _late_answer(self, admitted: Admitted) -> Answer:
        outcome = admitted.outcome
        assert outcome is not None, "without one it is raised why"
        task, snapshot = outcome.task, await self._log.snapshot(outcome.task)
        return Answer(task, snapshot, outcome.fresh, admitted.warnings(task))

    async def quote(self, owner: str, command: Create) -> Quote:
        """What a create of it would cost; makes nothing. Raises Refused as `create` does."""
        return await self._admission.quote(owner, command)

    async def cancel(self, owner: str, id: str, by: str = "owner") -> Snapshot:
        """Ask for a task's end; an ended task answers with its end. Raises Refused."""
        task = await self.find(owner, id)
        if not task.ended:
            await see_through(self._moves.move(task.uid, CancelAsked(by)))
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

    def named(self, owner: str, id: str) -> Task | None:
        """A live task of this owner, if it is known without waiting."""
        live = self._named.get((owner, id))
        return None if live is None or live.task.ended else live.task

    async def find(self, owner: str, id: str) -> Task:
        """A task of this owner. Raises Refused `gone`, or `not_found`: of others' tasks too."""
        named = self.named(owner, id)
        if named is not None:
            return named
        task = await find(self._store, owner, id)
        live = self._live.get(task.uid)
        if live is not None and live.known:
            self._named[owner, id] = live
        return task

    def counts(self, provider: str, backend: str) -> tuple[int, int]:
        """How many tasks run on a backend, and how many wait for it."""
        return self._dispatcher.counts(host_of(provider, backend))

    def ahead(self, uid: str) -> int | None:
        """How many tasks have their turn before one; None if it does not wait."""
        return self._dispatcher.position(uid)

    def statistics(self) -> dict[str, int]:
        """Live tasks, late inputs, and those of dispatcher and runner."""
        counted = {"live": len(self._live), "late": self._moves.late}
        return counted | self._turns.statistics() | self._runner.statistics()

    def adopt(self, row: LiveRow) -> None:
        """Take a live task into care after a restart; more of it is read when it is needed."""
        self._live[row.uid] = Live()
        self._log.expect(row.uid)
        self._dispatcher.watch(row.uid, row.created_at + self._task_ms)
        host, model = host_of(row.provider, row.backend), row.model
        if row.state is State.QUEUED:
            after = row.not_before or 0
            self._dispatcher.enqueue(row.uid, host, after, owner=row.owner, model=model)
        elif row.place == self._backends.url(row.backend):
            self._dispatcher.occupy(row.uid, host, model, self._clock())
        else:  # it runs where that backend is no more, and takes nobody's place here
            self._dispatcher.occupy(row.uid, f"{host} at {row.place}", model)

    async def known(self, uid: str) -> Task | None:
        """A live task as it is now, its tail in memory; None if it has ended meanwhile."""
        live = self._live.get(uid)
        if live is None:
            return None
        task = await insist(lambda: know(uid, live, self._store, self._log))
        return None if task.ended else task

    async def resume(self, task: Task) -> None:
        """Follow again a prediction whose handle is saved."""
        await self._attempts.resume(task)

    def send_home(self, task: Task) -> None:
        """Let a task that waits for a host that is no more be claimed where it was made for."""
        self._turns.send_home(task)

    def report(self, task: Task, what: What) -> Coroutine[Any, Any, None]:
        """Take in what became of an attempt; one that is over by now is late. A backend where
        it failed is looked at soon."""
        if isinstance(what, Faulted | Lost) and task.ran.backend is not None:
            self._backends.suspect(task.ran.backend)
        return self._moves.report(task, what)

    async def guarded(self, uid: str, name: str, work: Work) -> None:
        """Do something for one task; a bug that it meets ends that task."""
        await self._guard.run(uid, name, work)

    def hold(self, host: str, reason: str | None) -> None:
        """Claim nothing for a host, for this reason, until it is None."""
        self._dispatcher.hold(host, reason)
        self._turns.wake()

    def told_to(self, uid: str) -> Snapshot | None:
        """What a live task was told, if that is in memory."""
        return None if self._log.is_cold(uid) else self._log.live_snapshot(uid)

    async def tell_waiting(self, uid: str, reason: str, eta: Eta | None = None) -> None:
        """Tell a task why it waits, unless it was told just that, or waits no more."""
        if await self.known(uid) is None:
            return
        snapshot = self._log.live_snapshot(uid)
        if snapshot is not None and (snapshot.reason, snapshot.eta) != (reason, eta):
            await insist(lambda: self._moves.move(uid, Waiting(reason, eta)))

    def drain(self) -> None:
        """Claim nothing any more; what waits is claimed at the next start."""
        self._dispatcher.close()

    async def see_out(self) -> None:
        """Wait for what ends with this process, and is paid all the same."""
        await self._runner.see_out()

    async def dispatch(self) -> None:
        """Claim ready tasks, and end overdue ones, for ever; runs as a task of the group."""
        await self._turns.run()

    async def _give_up(self, uid: str, reference: str) -> None:
        """End a task that met a defect of ours; one that has ended gives its place back."""
        task = await self.known(uid)
        if task is not None:
            broken = Broken(reference, self._attempts.billed(task))
            await insist(lambda: self._moves.move(uid, broken))
            self._runner.abandon(uid)
        if uid not in self._live:
            self._turns.release(uid)

    def _welcome(self, live: Live, admitted: Admitted) -> None:
        """A create has come to its end: its task is told, and taken into care if it is new."""
        outcome, step = admitted.outcome, admitted.step
        try:
            if outcome is None or step is None or not outcome.fresh:
                del self._live[admitted.uid]
                if outcome is not None:
                    task = outcome.task
                    named = {"uid": task.uid, "id": task.id, "owner": task.owner}
                    record("task.attached", **named, status=task.status)
                return
            task = live.task = outcome.task
            uid, owner, id = task.uid, task.owner, task.id
            self._named[owner, id] = live
            record("task.created", uid=uid, id=id, owner=owner, kind=task.asked.kind)
            admitted.told = self._moves.tell_birth(task, admitted.event, admitted.body)
        finally:
            live.release()
        # What a birth asks for is a place in the line; few are news to whoever claims.
        host, limit, told = admitted.host, task.created_at + self._task_ms, task.created_at
        model = task.resolved.model
        if self._dispatcher.join(uid, host, limit, owner=owner, model=model, told_at=told):
            self._turns.wake()
        assert admitted.told is not None, "a birth is told"
        self._patience.promised(uid, admitted.told.eta, told)

    def _act(self, step: Step) -> None:
        task = step.task
        match step.effect:
            case Effect.ENQUEUE:
                self._subscriptions.clear(task.uid)
                self._turns.enqueue(task)
            case Effect.RUN:
                self._attempts.begin(task)
            case Effect.STOP:
                self._runner.stop(task.uid)
            case Effect.RECONCILE:
                self._attempts.doubt(task)
            case Effect.RELEASE:
                self._named.pop((task.owner, task.id), None)
                self._turns.release(task.uid)

    def _now_of(self, task: Task) -> Task | None:
        """The task as it is now, if it is still at the same attempt."""
        live = self._live.get(task.uid)
        return live.task if live is not None and live.task.attempt == task.attempt else None

    def _show(self, task: Task, shown: Shown) -> None:
        if self._now_of(task) is not None:
            self._production.show(task, self._live[task.uid].preview_token, shown)
