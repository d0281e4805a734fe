"""From a committed step to the runner: what an attempt needs is fetched, and the task is
looked at once more, before anything is started or asked about.

Writes nothing itself: what is found out is reported. Knows neither store nor log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from safelight_protocol.events import error_data
from safelight_protocol.inputs import GaveUp, Stopped
from safelight_protocol.task import State, Task

from .admission import Admission
from .backends import Directory
from .elsewhere import Elsewhere
from .guard import Guard
from .insist import insist
from .providers.base import InputFile, Provider
from .reporting import Tell
from .runner import Runner


class Attempts:
    """`now_of` is the task as it is now, None if that attempt is over."""

    def __init__(
        self,
        guard: Guard,
        runner: Runner,
        admission: Admission,
        providers: Mapping[str, Provider],
        backends: Directory,
        now_of: Callable[[Task], Task | None],
        tell: Tell,
    ) -> None:
        self._guard = guard
        self._runner = runner
        self._admission = admission
        self._providers = providers
        self._backends = backends
        self._now_of = now_of
        self._tell = tell

    def billed(self, task: Task) -> bool:
        """Whether its provider may ask for money; one that is no longer there may."""
        provider = self._providers.get(task.ran.provider)
        return provider is None or provider.billed

    def begin(self, task: Task) -> None:
        """Start the attempt that was claimed."""
        self._guard.start(task.uid, "run", lambda: self._run(task))

    def doubt(self, task: Task) -> None:
        """Ask what became of the attempt."""
        self._guard.start(task.uid, "reconcile", lambda: self._reconcile(task))

    async def resume(self, task: Task) -> None:
        """Follow again a prediction whose handle is saved."""
        await self._guard.run(task.uid, "resume", lambda: self._run(task))

    async def _run(self, task: Task) -> None:
        inputs = await insist(lambda: self._admission.files(task))
        now = self._now_of(task)
        if now is None:
            return
        if now.state is State.CANCELING and task.handle is None:
            return await self._tell(task, Stopped())  # asked before anything was started
        if None in inputs and task.handle is None:
            return await self._tell(task, _without(inputs.index(None)))
        self._runner.run(task, self._provider(task), _there(inputs))
        if now.state is State.CANCELING:
            self._runner.stop(task.uid)

    async def _reconcile(self, task: Task) -> None:
        inputs = await insist(lambda: self._admission.files(task))
        if self._now_of(task) is not None:
            self._runner.reconcile(task, self._provider(task), _there(inputs))

    def _provider(self, task: Task) -> Provider:
        """Who is to be asked about an attempt: nobody, if its backend is not where it was."""
        provider = self._providers[task.ran.provider]
        url = self._backends.url(task.ran.backend)
        return provider if url is None or url == task.place else Elsewhere(provider, url)


def _there(inputs: Sequence[InputFile | None]) -> tuple[InputFile, ...]:
    return tuple(one for one in inputs if one is not None)


def _without(place: int) -> GaveUp:
    """The end of a task whose input went before it began: another picture than was asked for
    would come of it."""
    message = f"inputs.{place} was deleted, or has expired, before the task began"
    return GaveUp(error_data("invalid_input", message, retryable=False))
