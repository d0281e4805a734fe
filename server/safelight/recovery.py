"""What becomes of live tasks when the server starts again.

No second way to run: a prediction whose handle is saved is followed again, one that
is lost and free goes back into the queue through the table, and one that may run or
have been billed is looked up before anything else. Must be awaited before any door opens.
"""

from __future__ import annotations

from collections.abc import Mapping

from safelight_protocol.events import error_data
from safelight_protocol.inputs import FREE, UNKNOWN, GaveUp, Happening, InDoubt
from safelight_protocol.task import State, Task

from .endings import begun
from .log import Log
from .orchestrator import Orchestrator
from .providers.base import Provider
from .retry import RetryPolicy
from .store import Store
from .telemetry import log as record


async def recover(
    store: Store,
    log: Log,
    orchestrator: Orchestrator,
    providers: Mapping[str, Provider],
    policy: RetryPolicy,
    now: int,
) -> int:
    """Take every live task into care; returns how many there were."""
    tasks = await store.read.live()
    for task in tasks:
        await log.restore(task)
        orchestrator.adopt(task)
    for task in tasks:
        await _recover(orchestrator, providers.get(task.resolved.provider), policy, task, now)
    if tasks:
        record("server.recovered", tasks=len(tasks))
    return len(tasks)


async def _recover(
    orchestrator: Orchestrator,
    provider: Provider | None,
    policy: RetryPolicy,
    task: Task,
    now: int,
) -> None:
    if provider is None:
        await orchestrator.report(task, _unconfigured(task))
    elif task.state is State.QUEUED:
        return
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


def _unconfigured(task: Task) -> GaveUp:
    """Whether that provider bills can no longer be asked, so what it began may be on a bill."""
    message = f"the provider {task.resolved.provider} is no longer configured"
    error = error_data("provider_not_configured", message, retryable=False)
    return GaveUp(error, UNKNOWN if begun(task) else FREE)
