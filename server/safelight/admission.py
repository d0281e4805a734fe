"""What a create needs before and inside the writer's transaction.

Gathers, for one request, what it resolves to, whom it might be the same as, and how
its task would be born. A refusal by the registry is kept back until it is known that
the request would make a new task: attaching never fails because the registry has
changed, or because a backend is down. What a new task asks of a backend is held against
what that backend has. Decides nothing itself: `identity.decide` does.
"""

from __future__ import annotations

from collections.abc import Callable

from safelight_protocol.codes import Refused
from safelight_protocol.commands import Create
from safelight_protocol.task import Task

from .admitted import Admitted, Unborn
from .artifacts import ArtifactStore
from .backends import Directory
from .given import Given
from .insist import finish, insist
from .preferences import Preferences
from .providers.base import InputFile, Prediction
from .registry import Registry, Resolution
from .store import Created, Store, StoreTrouble


class Admission:
    """Admits creates; also turns the inputs of a task into files. A backend is asked for
    `check_seconds` at most; with `queues` a request for one that cannot be asked is taken all
    the same, and waits."""

    def __init__(
        self,
        *,
        store: Store,
        registry: Registry,
        artifacts: ArtifactStore,
        backends: Directory,
        preferences: Preferences,
        check_seconds: float,
        queues: bool,
        reason: Callable[[str], str],
        mint: Callable[[int], str],
        draw_seed: Callable[[], int],
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._registry = registry
        self._given = Given(store, artifacts)
        self._backends = backends
        self._preferences = preferences
        self._check_seconds = check_seconds
        self._queues = queues
        self._reason = reason
        self._mint = mint
        self._draw_seed = draw_seed
        self._clock = clock

    async def admit(self, owner: str, command: Create) -> Admitted:
        """Prepare a create. Raises StoreTrouble; what is wrong with the request is
        raised later, inside the transaction, and only if it would make a new task."""
        admitted = self._prepared(owner, command)
        if command.asked.inputs and not admitted.refused:
            missing = await self._given.missing(owner, command.asked.inputs)
            if missing is not None:
                admitted.refuse(missing)
        wanted = admitted.prediction
        if wanted is not None:
            await self._settle(admitted, wanted, owner)
        return admitted

    def admit_now(self, owner: str, command: Create) -> Admitted | None:
        """The same where nothing has to be looked up or asked; None where it has."""
        admitted = self._prepared(owner, command)
        return None if command.asked.inputs or admitted.prediction else admitted

    def _prepared(self, owner: str, command: Create) -> Admitted:
        now = self._clock()
        uid = self._mint(now)
        resolution: Resolution | Refused
        preferred = self._preferences.backend(owner)
        try:
            resolution = self._registry.resolve(
                command.asked, draw_seed=self._draw_seed, preferred=preferred
            )
        except Refused as refused:
            resolution = refused
        reg, reason = self._registry, self._reason
        return Admitted(uid, now, owner, command, resolution, reg, reason, preferred)

    async def _settle(self, admitted: Admitted, wanted: Prediction, owner: str) -> None:
        """What only a request for a backend meets: a choice of the owner's that is ignored,
        and, if it would make a new task, the backend's own word on it."""
        ignored = self._preferences.ignored(owner)
        if ignored is not None and admitted.left_open:
            admitted.note(ignored)
        if not await self._is_new(admitted):
            return
        assert wanted.backend is not None, "it is wanted of a backend"
        try:
            await self._backends.check(wanted.backend, wanted, self._check_seconds)
        except Refused as refused:
            if self._queues and refused.code.name == "backend_unreachable":
                admitted.note(f"{refused.message} The task waits for it.")
            else:
                admitted.refuse(refused)

    async def _is_new(self, admitted: Admitted) -> bool:
        """Whether the request would make a task. One that attaches has done so by now, and
        does it again."""
        try:
            await self._store.put(admitted.asked_about())
        except Unborn:
            return True
        except StoreTrouble:
            raise
        except Refused:
            return False  # the same is raised when it is put
        return False

    def put(
        self,
        admitted: Admitted,
        settled: Callable[[], None],
        tell: Callable[[BaseException | None], None],
    ) -> None:
        """Write it. Where the commit is learnt `settled` is called, whoever still waits;
        `outcome` is set by then, unless nothing was made. After that its end is told: Refused
        or StoreTrouble if nothing was made."""

        def learn(came_to: Created | BaseException) -> None:
            trouble = came_to if isinstance(came_to, BaseException) else None
            if isinstance(trouble, StoreTrouble) and trouble.unknown and admitted.step:
                return finish(self._look_up(admitted, settled, trouble), tell)
            admitted.outcome = came_to if isinstance(came_to, Created) else None
            try:
                settled()
            except Exception as defect:
                trouble = defect
            tell(trouble)

        try:
            self._store.hand(admitted.creation(), learn)
        except BaseException:
            settled()
            raise

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

    async def files(self, task: Task) -> tuple[InputFile | None, ...]:
        """The files a task starts from; None for each that has been deleted meanwhile."""
        return await self._given.files(task)
