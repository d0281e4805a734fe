"""What has been kept long enough goes: logs, tasks, and bytes that nothing names.

A pass is many small steps with a pause between them, so that creates and events, which
use the same writer, wait for one step at most. Each step stands for itself: a pass that
breaks off anywhere, by a restart or by trouble of the disk, is gone on with by the next.
How long things are kept is a setting; how a task is removed is the orchestrator's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.task import Task

from .artifacts import ArtifactStore
from .log import Log
from .store import Clearing, Expiring, Forgetting, Store, Sweep, Swept, Unused
from .telemetry import log as record

T = TypeVar("T")

EVERY_SECONDS = 60.0
"""Between two passes; nothing goes much later than it may, nothing is read all the time."""

PAUSE_SECONDS = 0.02
"""Between two steps. A step takes a few milliseconds, so others have most of the writer."""

STRAYS_SECONDS = 3600.0
"""Between two looks through the files, and the age at which a file that no row names is
taken for one that a crash left: much longer than any commit may be on its way."""

EVENTS_PER_STEP = 500
TASKS_PER_STEP = 50
REMOVALS_PER_STEP = 8
"""Removals share a transaction, which takes about three milliseconds for so many."""

EXPIRED_PER_STEP = 50
NOTICES_PER_STEP = 50

FILES_PER_STEP = 500
"""Files that the store is asked about at once; joins wait for its one reader."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How long logs and tasks are kept after the task's end, the bytes of artifacts and
    uploads after they came, and notices that nobody took after they were given up; None is for
    ever."""

    log_seconds: float | None
    task_seconds: float | None
    artifact_seconds: float | None = None
    upload_seconds: float | None = None
    delivery_seconds: float | None = None


class Retention:
    """Sweeps for ever in `run`. `expire` removes one ended task and tells its followers.

    `clock` is in milliseconds since 1970, `sleep` and `monotonic` are the loop's own.
    """

    def __init__(
        self,
        *,
        store: Store,
        log: Log,
        artifacts: ArtifactStore,
        expire: Callable[[Task], Awaitable[None]],
        rules: Rules,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._log = log
        self._artifacts = artifacts
        self._expire = expire
        self._rules = rules
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._looked_at: int | None = None
        self._swept = {"events": 0, "logs": 0, "tasks": 0, "files": 0, "expired": 0}
        self._swept["deliveries"] = 0
        self._longest = 0.0

    async def run(self) -> None:
        """Sweep for ever; runs as a task of the group. A bug in it must not end the house:
        what is not swept now is swept later."""
        while True:
            try:
                await self.sweep()
            except Exception as defect:
                record("retention.defect", exc=defect)
            await self._sleep(EVERY_SECONDS)

    async def sweep(self) -> None:
        """One pass; never raises for trouble of the disk."""
        before = dict(self._swept)
        try:
            await self._sweep_logs()
            await self._sweep_tasks()
            await self._sweep_leftovers()
            await self._sweep_artifacts()
            await self._sweep_uploads()
            await self._sweep_deliveries()
            await self._sweep_files()
        except (Refused, OSError) as trouble:
            record("retention.trouble", error=str(trouble))
        gone = {name: count - before[name] for name, count in self._swept.items()}
        if any(gone.values()):
            record("retention.swept", **gone)

    def statistics(self) -> dict[str, float]:
        """What has gone since the start, and the longest step in milliseconds."""
        counted = {f"swept_{name}": float(count) for name, count in self._swept.items()}
        return counted | {"sweep_step_ms_max": round(self._longest * 1000, 1)}

    async def _sweep_logs(self) -> None:
        """A task that expires loses its log first, so that its removal is a small one."""
        kept = [s for s in (self._rules.log_seconds, self._rules.task_seconds) if s is not None]
        if not kept:
            return
        step = Sweep(self._before(min(kept)), TASKS_PER_STEP, EVENTS_PER_STEP)
        while await self._store.read.has_due_log(step.before):
            swept: Swept = await self._timed(self._store.put(step))
            for uid in swept.uids:
                self._log.forget(uid)
            self._swept["events"] += swept.events
            self._swept["logs"] += swept.logs
            await self._sleep(PAUSE_SECONDS)

    async def _sweep_tasks(self) -> None:
        if self._rules.task_seconds is None:
            return
        before = self._before(self._rules.task_seconds)
        while tasks := await self._store.read.expired(before, REMOVALS_PER_STEP):
            await self._timed(asyncio.gather(*map(self._expire, tasks)))
            self._swept["tasks"] += len(tasks)
            await self._sleep(PAUSE_SECONDS)

    async def _sweep_leftovers(self) -> None:
        """The logs of tasks that were removed, by us or by their owners."""
        while await self._store.read.has_leftovers():
            step = Clearing(TASKS_PER_STEP, EVENTS_PER_STEP)
            swept: Swept = await self._timed(self._store.put(step))
            self._swept["events"] += swept.events
            await self._sleep(PAUSE_SECONDS)

    async def _sweep_artifacts(self) -> None:
        if self._rules.artifact_seconds is None:
            return
        before = self._before(self._rules.artifact_seconds)
        while await self._store.read.files.has_old_artifacts(before):
            await self._let_go(before, uploads=False)

    async def _sweep_uploads(self) -> None:
        if self._rules.upload_seconds is None:
            return
        before = self._before(self._rules.upload_seconds)
        while await self._store.read.files.has_old_uploads(before):
            await self._let_go(before, uploads=True)

    async def _let_go(self, before: int, *, uploads: bool) -> None:
        """The rows first, then the bytes that nothing names any more: were it broken off in
        between, those are strays."""
        since = self._artifacts.mark()
        step = Expiring(before, EXPIRED_PER_STEP, self._clock(), uploads)
        unused: list[Unused] = await self._timed(self._store.put(step))
        for one in unused:
            gone = await self._artifacts.remove(one.sha256, one.media_type, since)
            self._swept["expired"] += gone
        await self._sleep(PAUSE_SECONDS)

    async def _sweep_deliveries(self) -> None:
        if self._rules.delivery_seconds is None:
            return
        before = self._before(self._rules.delivery_seconds)
        while await self._store.read.deliveries.has_old(before):
            step = Forgetting(before, NOTICES_PER_STEP)
            self._swept["deliveries"] += await self._timed(self._store.put(step))
            await self._sleep(PAUSE_SECONDS)

    async def _sweep_files(self) -> None:
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < STRAYS_SECONDS * 1000:
            return
        before = self._before(STRAYS_SECONDS)
        for folder in await self._artifacts.folders():
            await self._timed(self._sweep_folder(folder, before))
            await self._sleep(PAUSE_SECONDS)
        self._looked_at = now

    async def _sweep_folder(self, folder: str, before: int) -> None:
        """Looked at first and asked for second: whoever keeps the same bytes in between
        makes the file young again, and it stays."""
        found = await self._artifacts.idle(folder, before)
        for start in range(0, len(found), FILES_PER_STEP):
            some = found[start : start + FILES_PER_STEP]
            used = await self._store.read.used([stray.sha256 for stray in some])
            for stray in some:
                if stray.sha256 not in used:
                    self._swept["files"] += await self._artifacts.sweep(stray, before)

    def _before(self, seconds: float) -> int:
        return self._clock() - round(seconds * 1000)

    async def _timed(self, step: Awaitable[T]) -> T:
        began = self._monotonic()
        try:
            return await step
        finally:
            self._longest = max(self._longest, self._monotonic() - began)
