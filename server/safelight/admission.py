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
from safelight_protocol.identity import shown
from safelight_protocol.quotes import Quote
from safelight_protocol.task import Hook, Task

from .admitted import Admitted, Met, Unborn
from .artifacts import ArtifactStore
from .backends import Directory
from .checks import Checks
from .given import Given
from .insist import finish, insist
from .patience import Outlook
from .preferences import Preferences
from .providers.base import InputFile
from .purse import Purse
from .quoting import quote_of, quote_of_task
from .registry import Registry, Resolution
from .store import Created, Store, StoreTrouble
from .webhooks.guarded import Forbidden, host_in, refuse_private

WARNINGS = {
    "backend_unreachable": "The task waits for it.",
    "provider_unreachable": "The task waits for it.",
    "provider_refused": "The task is tried all the same.",
}
"""Refusals after which a task may be made all the same, and what its owner is told then."""


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
        checks: Checks,
        preferences: Preferences,
        purse: Purse,
        check_seconds: float,
        queues: bool,
        outlook: Callable[[str, str, str, int], Outlook],
        mint: Callable[[int], str],
        draw_seed: Callable[[], int],
        clock: Callable[[], int],
        private_webhooks: bool = False,
    ) -> None:
        self._store = store
        self._registry = registry
        self._given = Given(store, artifacts)
        self._backends = backends
        self._checks = checks
        self._preferences = preferences
        self._purse = purse
        self._check_seconds = check_seconds
        self._queues = queues
        self._outlook = outlook
        self._mint = mint
        self._draw_seed = draw_seed
        self._clock = clock
        self._private_webhooks = private_webhooks

    async def admit(self, owner: str, command: Create) -> Admitted:
        """Prepare a create. Raises StoreTrouble; what is wrong with the request is
        raised later, inside the transaction, and only if it would make a new task."""
        admitted = self._prepared(owner, command)
        if command.asked.inputs and not admitted.refused:
            try:
                admitted.inputs = await self._given.sorts(owner, command.asked.inputs)
            except Refused as missing:
                admitted.refuse(missing)
        if self._is_checked(admitted):
            await self._settle(admitted, owner)
        return admitted

    def admit_now(self, owner: str, command: Create) -> Admitted | None:
        """The same where nothing has to be looked up or asked; None where it has."""
        admitted = self._prepared(owner, command)
        return None if command.asked.inputs or self._is_checked(admitted) else admitted

    def _is_checked(self, admitted: Admitted) -> bool:
        """Whether somebody is to be asked what he thinks of it."""
        ran = admitted.ran
        return ran is not None and (ran.backend is not None or ran.provider in self._checks)

    def _prepared(self, owner: str, command: Create) -> Admitted:
        now = self._clock()
        preferred = self._preferences.backend(owner)
        resolution = self._resolved(command, preferred)
        quote = None
        if not isinstance(resolution, Refused) and resolution.priced is not None:
            quote = quote_of(resolution, self._purse, owner, command.max_micros)
        admitted = Admitted(
            uid=self._mint(now),
            now=now,
            owner=owner,
            command=command,
            resolution=resolution,
            registry=self._registry,
            outlook=self._outlook,
            preferred=preferred,
            purse=self._purse,
            quote=quote,
        )
        if command.webhook is not None and not self._private_webhooks:
            _check_webhook(admitted, command.webhook)
        return admitted

    def _resolved(self, command: Create, preferred: str | None) -> Resolution | Refused:
        """What it is taken to mean; or why not, which is kept back."""
        try:
            return self._registry.resolve(
                command.asked, draw_seed=self._draw_seed, preferred=preferred
            )
        except Refused as refused:
            return refused

    async def _settle(self, admitted: Admitted, owner: str) -> None:
        """What only a request meets that somebody is asked about: of a backend's, a choice of
        the owner's that is ignored; and, if it would make a new task, the word on it of the
        backend itself, or of its provider."""
        ran, wanted = admitted.ran, admitted.prediction
        assert ran is not None and wanted is not None, "it is not refused"
        ignored = None if ran.backend is None else self._preferences.ignored(owner)
        if ignored is not None and admitted.left_open:
            admitted.note(ignored)
        if not await self._is_new(admitted):
            return
        try:
            if ran.backend is not None:
                await self._backends.check(ran.backend, wanted, self._check_seconds)
            else:
                await self._checks.check(ran.provider, wanted)
        except Refused as refused:
            warning = WARNINGS.get(refused.code.name) if self._queues else None
            if warning is not None:
                admitted.note(f"{refused.message} {warning}")
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

    async def quote(self, owner: str, command: Create) -> Quote:
        """What a create of it would cost. Makes and binds nothing; raises what the create
        would raise, but for want of an agreement, and StoreTrouble."""
        try:
            await self._store.put(self._prepared(owner, command).compared())
        except Met as met:
            return quote_of_task(met.task, self._purse)
        except Unborn:
            pass
        admitted = await self.admit(owner, command)
        resolution = admitted.resolution
        if isinstance(resolution, Refused):
            raise resolution
        return quote_of(resolution, self._purse, owner, command.max_micros)

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
            if admitted.outcome is None or not admitted.outcome.fresh:
                admitted.let_go()
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
            admitted.let_go()
            raise trouble

    async def files(self, task: Task) -> tuple[InputFile | None, ...]:
        """The files a task starts from; None for each that has been deleted meanwhile."""
        return await self._given.files(task)


def _check_webhook(admitted: Admitted, hook: Hook) -> None:
    """What can be said of an address without asking anybody: the rest is told when it is."""
    try:
        refuse_private(host_in(hook.url))
    except Forbidden as forbidden:
        expected = "a receiver in the open internet (the setting webhook_allow_private allows more)"
        told = {"field": "webhook", "found": shown(hook.url), "expected": expected}
        admitted.refuse(Refused("invalid", f"webhook: {forbidden}.", [dict(told)]))
