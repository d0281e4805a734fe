"""What becomes of live tasks when the server starts again.

`adopt` must be awaited before any door opens: from then on no live task is without care.
It reads one row for each of them and nothing of their logs, nor of what has ended.
`take_up` goes through the attempts that were under way, behind open doors and before
anything is claimed. No second way to run: a prediction whose handle is saved is followed
again, one that is lost and free goes back into the queue through the table, and one that
may run or have been billed is looked up before anything else. What was begun on a backend
is not sent to another address of that name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import anyio

from safelight_protocol.charges import FREE, unknown
from safelight_protocol.events import error_data
from safelight_protocol.inputs import GaveUp, Happening, InDoubt
from safelight_protocol.task import Resolved, State, Task

from .backends import Directory
from .dispatch import host_of
from .endings import begun
from .orchestrator import Orchestrator
from .patience import Key
from .providers.base import Provider
from .retry import RetryPolicy
from .store import RunTime, Store
from .telemetry import log as record

LEARNT = 2000
"""Of so many tasks that ended last it is read how long they took."""

AT_ONCE = 64
"""Attempts that are taken up together: their commits share transactions, and whoever comes
through a door meanwhile waits for few of them."""


async def adopt(
    store: Store, orchestrator: Orchestrator, providers: Collection[str], backends: Directory
) -> list[str]:
    """Take every live task into care; returns those that something is to be done about: an
    attempt was under way, or their provider or backend is none of ours any more."""
    rows = await store.read.live()
    for row in rows:
        orchestrator.adopt(row)
    if rows:
        record("server.recovered", tasks=len(rows))
    return [
        row.uid
        for row in rows
        if row.state is not State.QUEUED
        or row.provider not in providers
        or (row.backend is not None and row.backend not in backends)
    ]


def times_of(rows: Sequence[RunTime]) -> list[tuple[Key, int]]:
    """What patience learns of attempts of the past, the oldest first."""
    return [((host_of(one.provider, one.backend), one.model), one.took) for one in rows[::-1]]


async def take_up(
    uids: Sequence[str],
    orchestrator: Orchestrator,
    providers: Mapping[str, Provider],
    backends: Directory,
    policy: RetryPolicy,
    now: int,
) -> None:
    """Go on with what these tasks were doing at `now`. What became of them since the doors
    are open, by a cancel say, is for the lifecycle table to settle."""

    async def one(uid: str) -> None:
        task = await orchestrator.known(uid)
        if task is None:
            return
        if task.state is State.QUEUED and task.via is not None and is_here(task.resolved):
            return orchestrator.send_home(task)
        provider = providers.get(task.ran.provider)
        await _recover(orchestrator, provider, backends, policy, task, now)

    def is_here(one: Resolved) -> bool:
        return one.provider in providers and (one.backend is None or one.backend in backends)

    for start in range(0, len(uids), AT_ONCE):
        async with anyio.create_task_group() as group:
            for uid in uids[start : start + AT_ONCE]:
                group.start_soon(orchestrator.guarded, uid, "recovery", partial(one, uid))


async def _recover(
    orchestrator: Orchestrator,
    provider: Provider | None,
    backends: Directory,
    policy: RetryPolicy,
    task: Task,
    now: int,
) -> None:
    backend = task.ran.backend
    if backend is not None and backend not in backends:
        await orchestrator.report(task, _without_backend(task, provider))
    elif provider is None:
        await orchestrator.report(task, _unconfigured(task))
    elif backends.url(backend) != task.place:
        _note_moved(task, backends)
        await orchestrator.report(task, InDoubt())
    elif provider.resumable and task.handle is not None:
        await orchestrator.resume(task)
    else:
        await orchestrator.report(task, _unheard(provider, policy, task, now))


def _unheard(provider: Provider, policy: RetryPolicy, task: Task, now: int) -> Happening:
    """A claimed attempt without a handle to follow: looked up where it may still run or
    could be billed, and else simply lost."""
    if provider.billed or provider.resumable:
        return InDoubt()
    return policy.lost(task, "the server restarted during the attempt", now)


def _note_moved(task: Task, backends: Directory) -> None:
    backend = task.ran.backend
    record(
        "backend.moved",
        uid=task.uid,
        attempt=task.attempt,
        backend=backend,
        place=task.place,
        url=backends.url(backend),
    )


def _without_backend(task: Task, provider: Provider | None) -> GaveUp:
    """What was begun there may be on a bill, unless its provider never bills."""
    message = f"the backend {task.ran.backend} is no longer configured"
    error = error_data("backend_not_configured", message, retryable=False)
    owes = begun(task) and (provider is None or provider.billed)
    return GaveUp(error, unknown(message) if owes else FREE)


def _unconfigured(task: Task) -> GaveUp:
    """Whether that provider bills can no longer be asked, so what it began may be on a bill."""
    message = f"the provider {task.ran.provider} is no longer configured"
    error = error_data("provider_not_configured", message, retryable=False)
    return GaveUp(error, unknown(message) if begun(task) else FREE)
