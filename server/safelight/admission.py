"""What a create needs before and inside the writer's transaction.

Gathers, for one request, what it resolves to, whom it might be the same as, and how
its task would be born. A refusal by the registry is kept back until it is known that
the request would make a new task: attaching never fails because the registry has
changed. Decides nothing itself: `identity.decide` does.
"""

from __future__ import annotations

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
from .insist import insist
from .providers.base import InputFile
from .registry import Registry, Resolution
from .store import ArtifactRow, Birth, Created, Creation, Store, StoreTrouble


class Admitted:
    """One create on its way into the store.

    `uid` is that of the task it would make; `step` is there once that task was born.
    """

    def __init__(
        self,
        uid: str,
        owner: str,
        command: Create,
        resolution: Resolution | Refused,
        registry: Registry,
        bear: Callable[[Resolution], Step],
    ) -> None:
        self.uid = uid
        self._command = command
        self._resolution = resolution
        self._defaults = registry.compare_defaults(command.asked)
        self._bear = bear
        self._comparisons: dict[str, Comparison] = {}
        self.step: Step | None = None
        self.creation = Creation(
            owner=owner,
            id=command.id,
            key=command.key,
            fingerprint=self._fingerprint(),
            reuse=self._reuse(),
            decide=self._decide,
            bear=self._born,
        )

    def warnings(self, task: Task) -> tuple[str | Difference, ...]:
        """What was ignored, and where the task differs from what was asked."""
        resolution = self._resolution
        ignored = () if isinstance(resolution, Refused) else resolution.warnings
        comparison = self._comparisons.get(task.uid, Comparison())
        return (*self._command.warnings, *ignored, *comparison.open)

    def _decide(self, found: Found) -> Task | None:
        command = self._command
        for task in (found.by_id, found.by_key, found.alike):
            if task is not None:
                self._comparisons[task.uid] = compare(
                    command.asked, self._defaults, task, lenient=command.lenient
                )
        return decide(found, self._comparisons, wants_id=command.id, topic_id=command.topic_id)

    def _born(self) -> Birth:
        if isinstance(self._resolution, Refused):
            raise self._resolution
        self.step = self._bear(self._resolution)
        assert self.step.event is not None, "a birth has an event"
        return Birth(
            task=self.step.task,
            fingerprint=self.creation.fingerprint,
            event=encode_event(self.step.event),
        )

    def _fingerprint(self) -> str:
        if isinstance(self._resolution, Refused):
            return ""
        return fingerprint(self._command.asked, self._resolution.resolved)

    def _reuse(self) -> Reuse:
        command = self._command
        if isinstance(self._resolution, Refused) or command.id is not None:
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

        def bear(resolution: Resolution) -> Step:
            task = Task(
                uid=uid,
                owner=owner,
                id=command.id or uid,
                asked=resolution.asked,
                resolved=resolution.resolved,
                created_at=now,
                updated_at=now,
            )
            return lifecycle.born(task, self._reason(task.resolved.provider))

        resolution = await self._resolve(owner, command)
        return Admitted(uid, owner, command, resolution, self._registry, bear)

    async def put(self, admitted: Admitted) -> Created:
        """Write it, and learn what it came to. Raises Refused or StoreTrouble; then
        nothing was made."""
        try:
            outcome: Created = await self._store.put(admitted.creation)
            return outcome
        except StoreTrouble as trouble:
            if not trouble.unknown or admitted.step is None:
                raise
            # The commit was begun: whether the task is there has to be looked up.
            stored = await insist(lambda: self._store.read.tasks([admitted.uid]))
            if admitted.uid not in stored:
                raise
            return Created(stored[admitted.uid], fresh=True)

    async def files(self, task: Task) -> tuple[InputFile, ...]:
        """The files a task starts from; what has been deleted meanwhile is left out."""
        rows = [await self._input(task.owner, given) for given in task.asked.inputs]
        return tuple(
            InputFile(self._artifacts.path(row.sha256, row.media_type), row.media_type)
            for row in rows
            if row is not None
        )

    async def _resolve(self, owner: str, command: Create) -> Resolution | Refused:
        try:
            resolution = self._registry.resolve(command.asked, draw_seed=self._draw_seed)
        except Refused as refused:
            return refused
        for place, given in enumerate(command.asked.inputs):
            if await self._input(owner, given) is None:
                return _no_input(place, given)
        return resolution

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
