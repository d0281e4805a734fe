"""How a task moves: step, commit, and only then tell and act. Nothing else writes a task.

Moves of one task come one after another, under its lock; one that was begun goes on to
its end whoever stops waiting for it, and whatever the store suffers meanwhile. A report
of a running prediction takes the short way: it is stepped where it arrives and told where
its commit is learnt, without a task of its own; the long way begins where that meets
another move or trouble. Decides nothing: the table does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from safelight_protocol import lifecycle
from safelight_protocol.events import Queued, encode_event
from safelight_protocol.lifecycle import Effect, Step
from safelight_protocol.snapshot import Snapshot, fold
from safelight_protocol.task import Task

from .books import moved
from .care import Live, know, same_state
from .endings import What, input_of
from .insist import breathe, go_on, hear, insist
from .log import Log
from .production import Production
from .purse import Purse
from .store import Change, Entry, Fenced, Store, StoreTrouble
from .subscriptions import Subscriptions, tasks_of
from .telemetry import log as record
from .webhooks import Notices


class Begun:
    """A move on its way to the disk; `written` is settled when its commit is learnt."""

    __slots__ = ("body", "entries", "step", "written")

    def __init__(
        self,
        step: Step,
        body: bytes | None,
        entries: tuple[Entry, ...],
        written: asyncio.Future[Any],
    ) -> None:
        self.step = step
        self.body = body
        self.entries = entries
        self.written = written


class Moves:
    """Moves the tasks in `live`; `act` carries out what a committed step asks for. `late`
    counts inputs that came when they could change nothing any more."""

    def __init__(
        self,
        store: Store,
        log: Log,
        subscriptions: Subscriptions,
        production: Production,
        purse: Purse,
        notices: Notices,
        live: dict[str, Live],
        act: Callable[[Step], None],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._log = log
        self._subscriptions = subscriptions
        self._production = production
        self._purse = purse
        self._notices = notices
        self._live = live
        self._act = act
        self._clock = clock
        self.late = 0

    async def report(self, task: Task, what: What) -> None:
        """Take in what became of an attempt, and return once it is told; one that is over by
        now is late. What is begun goes on if the caller does not wait for it."""
        live = self._live.get(task.uid)
        if live is None:
            self.late += 1
        elif live.lock.locked() or not live.known or self._log.is_cold(task.uid):
            await insist(lambda: self.move(task.uid, what, task.attempt))
        else:
            await live.lock.acquire()  # it is free: this does not wait
            await self._shortly(live, what, task)

    def _shortly(self, live: Live, what: What, task: Task) -> asyncio.Future[None]:
        """Begin a move under the lock, which is given back at its end. Who awaits the answer
        hears of that, and may stop listening."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            begun = self._begin(live, what, task.attempt)
        except BaseException as trouble:
            live.lock.release()
            if not isinstance(trouble, StoreTrouble):
                raise
            go_on(insist(lambda: self.move(task.uid, what, task.attempt)), heard)
            return heard
        if begun is None:
            live.lock.release()
            hear(heard)
        else:
            told = partial(self._learn, live, what, task, begun, heard)
            begun.written.add_done_callback(told)
        return heard

    def _learn(
        self,
        live: Live,
        what: What,
        task: Task,
        begun: Begun,
        heard: asyncio.Future[None],
        written: asyncio.Future[Any],
    ) -> None:
        """The commit of a short move is done; or the long way begins where it failed."""
        if written.exception() is not None:
            return go_on(self._go_long(live, what, task, begun), heard)
        try:
            self._end(live, begun)
        except Exception as defect:
            return hear(heard, defect)
        finally:
            live.lock.release()
        self._carry_out(begun.step, heard)

    def _carry_out(self, step: Step, heard: asyncio.Future[None]) -> None:
        try:
            self._act(step)
        except Exception as defect:
            hear(heard, defect)
        else:
            hear(heard)

    async def _go_long(self, live: Live, what: What, task: Task, begun: Begun) -> None:
        """Go on with a move whose write has failed, its lock held."""
        tried = False

        async def again() -> None:
            nonlocal tried
            if tried:
                return await self.move(task.uid, what, task.attempt)
            tried = True
            try:
                step = await self._settle(live, what, task.attempt, begun)
            finally:
                live.lock.release()
            if step is not None:
                self._act(step)

        await insist(again)

    async def move(self, uid: str, what: What, attempt: int | None = None) -> None:
        """Move a task by an input; with `attempt` only while it is at that. Raises StoreTrouble
        when nothing was written. The caller sees to it that it is not cancelled."""
        live = self._live.get(uid)
        if live is None:
            self.late += 1
            return
        await know(uid, live, self._store, self._log)
        async with live.lock:
            step = await self._settle(live, what, attempt)
        if step is not None:
            self._act(step)

    async def _settle(
        self, live: Live, what: What, attempt: int | None, begun: Begun | None = None
    ) -> Step | None:
        """Take an input in, under the lock; None if it came too late. `begun` was begun before.

        A write that was begun, and whose end is not learnt, is made again before anything
        else may happen to the task: if the first one is on disk, the fence says so.
        """
        doubts = 0
        while (begun := begun or self._begin(live, what, attempt)) is not None:
            try:
                await begun.written
                self._end(live, begun)
                return begun.step
            except Fenced:
                learnt = await self._relearn(live, begun.step)
                if learnt is not None:
                    self._purse.book(begun.entries)
                    self._notices.news(begun.step.task.owner)
                    return learnt
            except StoreTrouble as trouble:
                if trouble.closed or not (trouble.unknown or doubts):
                    raise
                await breathe(doubts)
                doubts += 1
            begun = None
        return None

    def _begin(self, live: Live, what: What, attempt: int | None) -> Begun | None:
        """Step the task and hand the change to the store; None if it is too late for that."""
        task = live.task
        step = None
        if not task.ended and attempt in (None, task.attempt):
            now = self._clock()
            happening = self._purse.allowed(task, input_of(what, task, self._seen, now))
            step = lifecycle.step(task, happening, now)
        if step is None or step.late:
            self.late += 1
            return None
        event = step.event
        change = Change(
            before=task,
            after=step.task,
            event=None if event is None else encode_event(event),
            artifact=self._production.row(step.task, happening, now),
            notice=self._notices.of(step, now),
            snapshot=self._final(step) if event is not None and step.task.ended else None,
            entries=moved(task, step.task, happening, now),
        )
        return Begun(step, change.event, change.entries, self._store.begin(change))

    def _end(self, live: Live, begun: Begun) -> None:
        """The move is on disk."""
        task = live.task = begun.step.task
        if begun.entries:
            self._purse.book(begun.entries)
        if self._notices.are_brought_by(begun.step):
            self._notices.news(task.owner)
        if task.ended and begun.step.event is not None:
            self._part(task)
            record("task.ended", uid=task.uid, id=task.id, status=task.status)
        self.tell(begun.step, begun.body)

    def tell_birth(self, task: Task, event: Queued, body: bytes) -> Snapshot:
        """`tell` of a new task's first event; returns what is known of the task by it."""
        snapshot = self._log.begin(task, event, body)
        self._subscriptions.wake(task.uid)
        self._subscriptions.wake(tasks_of(task.owner))
        return snapshot

    def tell(self, step: Step, body: bytes | None = None) -> None:
        """Append to the log and wake the followers. Only ever called after the commit."""
        if step.event is not None:
            self._log.append(step.task, step.event, body or encode_event(step.event))
            self._subscriptions.wake(step.task.uid)
        self._subscriptions.wake(tasks_of(step.task.owner))

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

    def _final(self, step: Step) -> bytes:
        assert step.event is not None, "an end is told"
        return msgspec.json.encode(fold(self._seen(step.task), step.event))

    def _seen(self, task: Task) -> Snapshot:
        snapshot = self._log.live_snapshot(task.uid)
        assert snapshot is not None, "a live task has its tail"
        return snapshot
