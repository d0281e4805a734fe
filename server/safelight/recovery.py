"""What becomes of live tasks when the server starts again.

No second way to run: a prediction whose handle is saved is followed again, one that
is lost and free goes back into the queue through the table, and one that may have
been billed is never started again. Must be awaited before any door opens.
"""

from __future__ import annotations

from collections.abc import Mapping

from safelight_protocol.events import error_data
from safelight_protocol.inputs import GaveUp, Happening, InDoubt
from safelight_protocol.task import State, Task

from .log import Log
from .orchestrator import Orchestrator
from .providers.base import Gone, Provider
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
        await orchestrator.report(task, _lost(provider, policy, task, now))


def _lost(provider: Provider, policy: RetryPolicy, task: Task, now: int) -> Happening:
    """A claimed attempt of which nothing can be asked: repeated only if that is free."""
    if provider.billed:
        return InDoubt()
    return policy.verdict(task, Gone("the server restarted during the attempt"), now, die=0.0)


def _unconfigured(task: Task) -> GaveUp:
    message = f"the provider {task.resolved.provider} is no longer configured"
    return GaveUp(error_data("provider_not_configured", message, retryable=False))
