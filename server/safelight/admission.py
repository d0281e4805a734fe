"""What a create needs before and inside the writer's transaction.

Gathers, for one request, what it resolves to, whom it might be the same as, and how
its task would be born. A refusal by the registry is kept back until it is known that
the request would make a new task: attaching never fails because the registry has
changed. Decides nothing itself: `identity.decide` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from safelight_protocol import lifecycle
from safelight_protocol.codes import Refused
from safelight_protocol.commands import Create
from safelight_protocol.events import encode_event
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
from safelight_protocol.task import Input, Task

from .artifacts import ArtifactStore
from .insist import go_on, hear, insist
from .providers.base import InputFile
from .registry import Registry, Resolution
from .store import ArtifactRow, Birth, Created, Creation, Store, StoreTrouble


class Admitted:
    """One create on its way into the store.

    `uid` is that of the task it would make, at the time `now`; `step` is there once that
    task was born, and `event` are the bytes of its first event.
    """

    __slots__ = (
        "_command",
        "_comparisons",
        "_likeness",
        "_now",
        "_owner",
        "_reason",
        "_registry",
        "_resolution",
        "event",
        "outcome",
        "step",
        "uid",
    )

    def __init__(
        self,
        uid: str,
        now: int,
        owner: str,
        command: Create,
        resolution: Resolution | Refused,
        registry: Registry,
        reason: Callable[[str], str],
    ) -> None:
        self.uid = uid
        self._now = now
        self._owner = owner
        self._command = command
        self._resolution = resolution
        self._registry = registry
        self._reason = reason
        self._likeness = ""
        self._comparisons: dict[str, Comparison] | None = None
        self.step: Step | None = None
        self.event = b""
        self.outcome: Created | None = None

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

    def warnings(self, task: Task) -> tuple[str | Difference, ...]:
        """What was ignored, and where the task differs from what was asked."""
        resolution = self._resolution
        ignored = () if isinstance(resolution, Refused) else resolution.warnings
        comparison = None if self._comparisons is None else self._comparisons.get(task.uid)
        differing = () if comparison is None else comparison.open
        return (*self._command.warnings, *ignored, *differing)

    def _decide(self, found: Found) -> Task | None:
        command = self._command
        met = [task for task in (found.by_id, found.by_key, found.alike) if task is not None]
        comparisons = self._comparisons = {}
        if met:
            defaults = self._registry.compare_defaults(command.asked)
            for task in met:
                comparisons[task.uid] = compare(
                    command.asked, defaults, task, lenient=command.lenient
                )
        return decide(found, comparisons, wants_id=command.id, topic_id=command.topic_id)

    def _born(self) -> Birth:
        resolution = self._resolution
        if isinstance(resolution, Refused):
            raise resolution
        task = Task(
            uid=self.uid,
            owner=self._owner,
            id=self._command.id or self.uid,
            asked=resolution.asked,
            resolved=resolution.resolved,
            created_at=self._now,
            updated_at=self._now,
        )
        step = self.step = lifecycle.born(task, self._reason(resolution.resolved.provider))
        assert step.event is not None, "a birth has an event"
        self.event = encode_event(step.event)
        return Birth(task=step.task, fingerprint=self._likeness, event=self.event)


_NEVER: Reuse = "never"


def _reuse(command: Create) -> Reuse:
    if command.id is not None:
        return "never"
    return command.reuse or ("inflight" if command.key is None else "never")


class Admission:
    """Admits creates; also turns the inputs of a task into files."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        artifacts: ArtifactStore,
        reason: Callable[[str], str],
        mint: Callable[[int], str],
        draw_seed: Callable[[], int],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._registry = registry
        self._artifacts = artifacts
        self._reason = reason
        self._mint = mint
        self._draw_seed = draw_seed
        self._clock = clock

    async def admit(self, owner: str, command: Create) -> Admitted:
        """Prepare a create. Raises StoreTrouble; what is wrong with the request is
        raised later, inside the transaction, and only if it would make a new task."""
        now = self._clock()
        uid = self._mint(now)
        resolution: Resolution | Refused
        try:
            resolution = self._registry.resolve(command.asked, draw_seed=self._draw_seed)
        except Refused as refused:
            resolution = refused
        else:
            for place, given in enumerate(command.asked.inputs):
                if await self._input(owner, given) is None:
                    resolution = _no_input(place, given)
                    break
        return Admitted(uid, now, owner, command, resolution, self._registry, self._reason)

    def put(self, admitted: Admitted, settled: Callable[[], None]) -> asyncio.Future[None]:
        """Write it. Where the commit is learnt `settled` is called, whoever still waits;
        `outcome` is set by then, unless nothing was made. Who awaits the answer goes on after
        that, with Refused or StoreTrouble if nothing was made, and may stop listening."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def learn(written: asyncio.Future[Created]) -> None:
            trouble = written.exception()
            if isinstance(trouble, StoreTrouble) and trouble.unknown and admitted.step:
                return go_on(self._look_up(admitted, settled, trouble), heard)
            admitted.outcome = None if trouble else written.result()
            try:
                settled()
            except Exception as defect:
                trouble = defect
            hear(heard, trouble)

        try:
            self._store.begin(admitted.creation()).add_done_callback(learn)
        except BaseException:
            settled()
            raise
        return heard

    async def _look_up(
        self, admitted: Admitted, settled: Callable[[], None], trouble: StoreTrouble
    ) -> None:
        """The commit was begun and its end was not learnt: is the task there?"""
        try:
            stored = await insist(lambda: self._store.read.tasks([admitted.uid]))
            if admitted.uid in stored:
                admitted.outcome = Created(stored[admitted.uid], fresh=True)
        finally:
            settled()
        if admitted.outcome is None:
            raise trouble

    async def files(self, task: Task) -> tuple[InputFile, ...]:
        """The files a task starts from; what has been deleted meanwhile is left out."""
        rows = [await self._input(task.owner, given) for given in task.asked.inputs]
        return tuple(
            InputFile(self._artifacts.path(row.sha256, row.media_type), row.media_type)
            for row in rows
            if row is not None
        )

    async def _input(self, owner: str, given: Input) -> ArtifactRow | None:
        """The picture an input names: an artifact of ours, or a task's first image."""
        if given.artifact is not None:
            found = await self._store.read.artifact(given.artifact)
            return found[0] if found is not None and found[1] == owner else None
        task = await self._store.read.task(owner, given.task or "")
        rows = [] if task is None else await self._store.read.artifacts_of(task.uid)
        return next((row for row in rows if row.kind == "image"), None)


def _no_input(place: int, given: Input) -> Refused:
    what = f"task {given.task}" if given.task is not None else f"artifact {given.artifact}"
    return Refused(
        "invalid",
        f"inputs.{place}: {what} has no image here.",
        [
            {
                "field": f"inputs.{place}",
                "found": what,
                "expected": "an artifact of yours, or a task of yours that made an image",
            }
        ],
    )
