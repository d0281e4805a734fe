"""What each owner has chosen once and for all devices: so far, a backend.

On disk before it counts, and in memory from then on: a create reads it without waiting.
Every change is told to the owner's other tabs, so that two of them agree. A choice that
the settings no longer have is kept and ignored, and said to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from .backends import Directory
from .insist import insist, see_through
from .store import Preference, Store, StoreTrouble


class Chosen(msgspec.Struct, frozen=True):
    """What an owner has chosen, null where nothing was; `warnings` say what of it is ignored."""

    backend: str | None
    warnings: tuple[str, ...] = ()


class Preferences:
    """`tell` is called with an owner whose choice has changed."""

    def __init__(self, store: Store, backends: Directory, tell: Callable[[str], None]) -> None:
        self._store = store
        self._backends = backends
        self._tell = tell
        self._chosen: dict[str, str] = {}
        self._versions: Counter[str] = Counter()

    async def load(self) -> None:
        """Read what was chosen before; to be awaited before any door opens."""
        self._chosen = await insist(self._store.read.preferences)

    def backend(self, owner: str) -> str | None:
        """The backend that the owner prefers, if there is such a one."""
        name = self._chosen.get(owner)
        return name if name is not None and name in self._backends else None

    def ignored(self, owner: str) -> str | None:
        """The sentence about a choice that is ignored; None if none is."""
        name = self._chosen.get(owner)
        if name is None or name in self._backends:
            return None
        return f"preferences.backend: {shown(name)} is ignored, no backend of that name is left"

    def of(self, owner: str) -> Chosen:
        """What the owner has chosen, as it is told."""
        ignored = self.ignored(owner)
        warnings = () if ignored is None else (ignored,)
        return Chosen(self._chosen.get(owner), warnings)

    def version(self, owner: str) -> int:
        """A number that changes whenever the choice does."""
        return self._versions[owner]

    async def choose(self, owner: str, backend: str | None) -> Chosen:
        """Make the choice; returns once it is on disk. Raises Refused `unknown_backend`, or
        StoreTrouble."""
        if backend is not None and backend not in self._backends:
            found, expected = shown(backend), self._backends.unknown(backend)
            message = f"backend: found {found}, expected {expected}"
            told = {"field": "backend", "found": found, "expected": expected}
            raise Refused("unknown_backend", message, [dict(told)])
        await see_through(self._write(Preference(owner, backend)))
        return Chosen(backend)  # another request may have chosen since: that is not this answer

    async def _write(self, made: Preference) -> None:
        try:
            await self._store.put(made)
        except StoreTrouble as trouble:
            if trouble.unknown:  # it may be on disk all the same: what is there counts
                await self.load()
                self._changed(made.owner)
            raise
        if made.backend is None:
            self._chosen.pop(made.owner, None)
        else:
            self._chosen[made.owner] = made.backend
        self._changed(made.owner)

    def _changed(self, owner: str) -> None:
        self._versions[owner] += 1
        self._tell(owner)
