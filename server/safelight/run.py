"""One attempt under way: what it was begun with, what a cancel of it has to wait for, and
what trouble that is no word of its provider means for it.

Calls no provider and writes nothing; the runner does.
"""

from __future__ import annotations

import errno

import anyio

from safelight_protocol.charges import FREE, unknown
from safelight_protocol.codes import Refused
from safelight_protocol.task import Task

from .providers.base import Again, Fleeting, InputFile, Never, Prediction, Provider

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
"""Open files, memory and processes: whoever has none left may have some in a while."""

EXHAUSTED_SECONDS = 5.0
"""The least pause after that: what is used up is seldom free again in a second."""


class Run:
    """An attempt: its cancel scope, and what a cancel has to wait for. `asked` once its
    provider was asked for its end; `whole` if it is followed from its claim on."""

    def __init__(self, task: Task, provider: Provider, prediction: Prediction) -> None:
        self.task = task
        self.provider = provider
        self.prediction = prediction
        self.handle = task.handle
        self.whole = task.handle is None
        self.scope = anyio.CancelScope()
        self.started = anyio.Event()
        self.ended = anyio.Event()
        self.told = anyio.Event()
        self.stopping = False
        self.asked = False
        if self.handle is not None:
            self.started.set()

    @property
    def fleeting(self) -> bool:
        """Whether it ends with this process, and is paid all the same."""
        provider = self.provider
        if self.handle is None or not provider.billed or not isinstance(provider, Fleeting):
            return False
        return provider.is_fleeting(self.handle)

    @property
    def owed(self) -> bool:
        """Whether it was begun by a provider that bills: a start refused outright was not."""
        return self.provider.billed and self.handle is not None

    def finish(self) -> None:
        """Whoever waits to cancel it need not wait any longer."""
        self.started.set()
        self.ended.set()


def prediction_of(task: Task, inputs: tuple[InputFile, ...]) -> Prediction:
    """What its provider is asked for."""
    ran = task.ran
    return Prediction(
        uid=task.uid,
        attempt=task.attempt,
        kind=task.asked.kind,
        model=ran.model,
        prompt=task.asked.prompt,
        params=ran.params,
        seed=task.seed_used,
        n=ran.n,
        backend=ran.backend,
        place=task.place,
        inputs=inputs,
        began_at=task.claimed_at,
    )


def refused_by(refused: Refused, run: Run) -> Again | Never:
    """A result that we cannot have: too large for good, or its source is away. Another
    attempt would make it anew, which is only begun where that costs nothing."""
    charge = unknown("what it made could not be kept") if run.owed else FREE
    outcome = Again if refused.code.retry == "later" and not run.owed else Never
    return outcome(refused.code.name, refused.message, charge=charge)


def is_exhaustion(defect: Exception) -> bool:
    """Whether the machine had no more of something for the moment."""
    return isinstance(defect, OSError) and defect.errno in EXHAUSTED


def without_input(run: Run, defect: Exception) -> Never | None:
    """The end of an attempt whose input was deleted while it was about to be sent: nothing
    was begun. None for every other trouble."""
    paths = [str(one.path) for one in run.prediction.inputs]
    if not isinstance(defect, FileNotFoundError) or run.handle is not None:
        return None
    if str(defect.filename) not in paths:
        return None
    place = paths.index(str(defect.filename))
    message = f"inputs.{place} was deleted, or has expired, before the task began"
    return Never("invalid_input", message, charge=FREE)
