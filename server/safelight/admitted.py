"""One create on its way into the store: what it asks for, what it meets, what it bears.

Carried through the writer's transaction by the calls of a `Creation`; keeps what came of
it. A refusal is kept back until it is known that the request would make a new task.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight_protocol import lifecycle
from safelight_protocol.codes import Refused
from safelight_protocol.commands import Create
from safelight_protocol.events import Queued, encode_event
from safelight_protocol.identity import (
    Comparison,
    Difference,
    Found,
    Reuse,
    compare,
    decide,
    fingerprint,
)
from safelight_protocol.lifecycle import Step
from safelight_protocol.quotes import Quote
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Resolved, Task

from .books import opened
from .dispatch import host_for
from .patience import Outlook
from .providers.base import InputFile, Prediction
from .purse import Purse
from .registry import Registry, Resolution
from .store import Birth, Created, Creation


class Unborn(Refused):
    """The request would make a new task. It was only asked; nothing was written."""

    def __init__(self) -> None:
        super().__init__("internal", "a task that was only asked about")


class Met(Refused):
    """The request is this task already. It was only asked; nothing was written."""

    def __init__(self, task: Task) -> None:
        super().__init__("internal", "a task that was only asked about")
        self.task = task


class Admitted:
    """One create on its way into the store.

    `uid` is that of the task it would make, at the time `now`; `step` is there once that
    task was born, `host` is where it waits for its turn, and `event` and `body` are its
    first event and the bytes of that; `told` what is known of it when it has been told.
    `inputs` is what it starts from. `quote` is there where its owner has to agree to a price,
    and `purse` holds that.
    """

    __slots__ = (
        "_command",
        "_comparisons",
        "_likeness",
        "_notes",
        "_now",
        "_outlook",
        "_owner",
        "_preferred",
        "_purse",
        "_registry",
        "_resolution",
        "body",
        "event",
        "host",
        "inputs",
        "outcome",
        "quote",
        "step",
        "told",
        "uid",
    )

    event: Queued
    body: bytes
    host: str

    def __init__(
        self,
        *,
        uid: str,
        now: int,
        owner: str,
        command: Create,
        resolution: Resolution | Refused,
        registry: Registry,
        outlook: Callable[[str, str, str, int], Outlook],
        preferred: str | None,
        purse: Purse,
        quote: Quote | None,
    ) -> None:
        self.uid = uid
        self._purse = purse
        self.quote = quote
        self._now = now
        self._owner = owner
        self._command = command
        self._resolution = resolution
        self._registry = registry
        self._outlook = outlook
        self._preferred = preferred
        self._likeness = ""
        self.inputs: tuple[InputFile, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._comparisons: dict[str, Comparison] | None = None
        self.step: Step | None = None
        self.outcome: Created | None = None
        self.told: Snapshot | None = None

    def creation(self) -> Creation:
        """What the store is asked for. It refers to this, and is not kept here: a cycle of the
        two would stay until the next collection of garbage."""
        command, resolution = self._command, self._resolution
        likeness, reuse = "", _NEVER
        if not isinstance(resolution, Refused):
            likeness = self._likeness = fingerprint(command.asked, resolution.resolved)
            reuse = _reuse(command)
        return Creation(
            owner=self._owner,
            id=command.id,
            key=command.key,
            fingerprint=likeness,
            reuse=reuse,
            decide=self._decide,
            bear=self._born,
        )

    @property
    def resolution(self) -> Resolution | Refused:
        """What it was taken to mean, or why no new task is made of it."""
        return self._resolution

    @property
    def refused(self) -> bool:
        """Whether it is known by now that it makes no new task."""
        return isinstance(self._resolution, Refused)

    @property
    def left_open(self) -> bool:
        """Whether the request names no backend."""
        return self._command.asked.backend is None

    @property
    def ran(self) -> Resolved | None:
        """What would run; None of what makes no new task."""
        resolution = self._resolution
        return None if isinstance(resolution, Refused) else resolution.resolved

    @property
    def prediction(self) -> Prediction | None:
        """What its backend or its provider would be asked for; None as `ran` is."""
        resolution = self._resolution
        if isinstance(resolution, Refused):
            return None
        ran = resolution.resolved
        return Prediction(
            uid=self.uid,
            attempt=1,
            kind=resolution.asked.kind,
            model=ran.model,
            prompt=resolution.asked.prompt,
            params=ran.params,
            seed=ran.seed,
            n=ran.n,
            backend=ran.backend,
            inputs=self.inputs,
        )

    def asked_about(self) -> Creation:
        """The same creation, which never makes a task: it attaches, or raises Unborn."""
        return msgspec.structs.replace(self.creation(), bear=_unborn)

    def compared(self) -> Creation:
        """The same, which writes nothing at all: it raises Met, Unborn, or why it is refused."""

        def look(found: Found) -> Task | None:
            task = self._decide(found)
            if task is not None:
                raise Met(task)
            return None

        return msgspec.structs.replace(self.creation(), decide=look, bear=_unborn)

    def let_go(self) -> None:
        """It made no task: nothing is held for it."""
        if self.quote is not None:
            self._purse.drop(self.uid)

    def refuse(self, refused: Refused) -> None:
        """No new task is made of it, for this reason."""
        self._resolution = refused

    def note(self, warning: str) -> None:
        """Something that the caller should know."""
        self._notes += (warning,)

    def warnings(self, task: Task) -> tuple[str | Difference, ...]:
        """What was ignored, and where the task differs from what was asked."""
        resolution = self._resolution
        ignored = () if isinstance(resolution, Refused) else resolution.warnings
        comparison = None if self._comparisons is None else self._comparisons.get(task.uid)
        differing = () if comparison is None else comparison.open
        other = self._other_webhook(task)
        return (*self._command.warnings, *ignored, *self._notes, *other, *differing)

    def _other_webhook(self, task: Task) -> tuple[str, ...]:
        """A task keeps what it was made with, whoever attaches."""
        hook = self._command.webhook
        if hook is None or hook == task.resolved.webhook:
            return ()
        return ("webhook: ignored, the task was made with another one, or with none",)

    def _decide(self, found: Found) -> Task | None:
        command = self._command
        met = [task for task in (found.by_id, found.by_key, found.alike) if task is not None]
        comparisons = self._comparisons = {}
        if met:
            defaults = self._registry.compare_defaults(command.asked, preferred=self._preferred)
            for task in met:
                comparisons[task.uid] = compare(
                    command.asked, defaults, task, lenient=command.lenient
                )
        return decide(found, comparisons, wants_id=command.id, topic_id=command.topic_id)

    def _born(self) -> Birth:
        resolution = self._resolution
        if isinstance(resolution, Refused):
            raise resolution
        resolved = resolution.resolved
        if self.quote is not None:
            most = self._command.max_micros
            terms = self._purse.take(self.uid, self._owner, self.quote, most)
            resolved = msgspec.structs.replace(resolved, terms=terms)
        if self._command.webhook is not None:
            resolved = msgspec.structs.replace(resolved, webhook=self._command.webhook)
        task = Task(
            uid=self.uid,
            owner=self._owner,
            id=self._command.id or self.uid,
            asked=resolution.asked,
            resolved=resolved,
            created_at=self._now,
            updated_at=self._now,
        )
        self.host = host_for(resolution.resolved)
        model = resolution.resolved.model
        reason, eta = self._outlook(self.host, self._owner, model, self._now)
        step = self.step = lifecycle.born(task, reason, eta)
        assert isinstance(step.event, Queued), "so a birth is told"
        self.event, self.body = step.event, encode_event(step.event)
        birth = Birth(task=step.task, fingerprint=self._likeness, event=self.body)
        if self.quote is None:
            return birth
        return msgspec.structs.replace(birth, entries=opened(step.task))


def _unborn() -> Birth:
    raise Unborn


_NEVER: Reuse = "never"


def _reuse(command: Create) -> Reuse:
    if command.id is not None:
        return "never"
    return command.reuse or ("inflight" if command.key is None else "never")
