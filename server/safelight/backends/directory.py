"""All named backends: which there are, where, and how each of them is.

The one place that is asked about backends. Every answer comes from memory, so that one
that hangs costs only those who ask for that very one, and those for a bounded while.
Which of them a request gets is the registry's business; what runs there, the dispatcher's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import anyio
import anyio.abc

from safelight_protocol.codes import Refused
from safelight_protocol.fields import one_of
from safelight_protocol.identity import shown

from .base import Backend, Health, Unreachable, Wanted
from .watch import Rhythm, Watch

FRESH_SECONDS = 1.0
"""An answer that is no older than this is not asked for again."""


class Directory:
    """The backends by name, none of them known to be up until `start`."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        *,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        rhythm: Rhythm | None = None,
    ) -> None:
        self._clock = clock
        self._news: Callable[[str], None] = lambda name: None
        self._watches = {
            name: Watch(one, rhythm or Rhythm(), clock, monotonic, self._tell)
            for name, one in backends.items()
        }

    def start(self, group: anyio.abc.TaskGroup, news: Callable[[str], None]) -> None:
        """Look after all of them in the group. `news` is called with a backend's name when
        there may be something new of it."""
        self._news = news
        for name, watch in self._watches.items():
            group.start_soon(watch.run, name=f"backend {name}")

    def __contains__(self, name: object) -> bool:
        return name in self._watches

    def __iter__(self) -> Iterator[Backend]:
        return (watch.backend for watch in self._watches.values())

    def backend(self, name: str) -> Backend:
        """One of them. Raises Refused `not_found`, naming those that are near."""
        return self._watch(name).backend

    def health(self, name: str) -> Health:
        """How it was when it was last asked."""
        return self._watches[name].health

    def checkpoints(self, name: str) -> tuple[str, ...]:
        """The checkpoints that it had when it was last up."""
        return self._watches[name].checkpoints

    def reason(self, name: str) -> str | None:
        """Why nothing should be sent there now; None if something may."""
        return self._watches[name].reason

    def url(self, name: str | None) -> str | None:
        """Where it is, None for one that is not configured."""
        watch = None if name is None else self._watches.get(name)
        return None if watch is None else watch.backend.url

    def suspect(self, name: str) -> None:
        """Something went wrong there: have a look soon."""
        if name in self._watches:
            self._watches[name].nudge()

    async def refresh(self, names: list[str], seconds: float) -> None:
        """Ask these now, all at once, and wait for so long at most."""
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as group:
                for name in names:
                    if not self._is_fresh(self._watches[name]):
                        group.start_soon(self._watches[name].look)

    async def check(self, name: str, wanted: Wanted, seconds: float) -> None:
        """Hold a request against what the backend has, for so long at most. Raises Refused:
        `invalid`, or `backend_unreachable` if it could not be asked in time."""
        watch = self._watches[name]
        try:
            with anyio.fail_after(seconds):
                if watch.reason is not None and not self._is_fresh(watch):
                    await watch.look()
                if watch.reason is not None:
                    raise Unreachable(watch.health.error or "it is down")
                await watch.check(wanted)
        except TimeoutError:
            raise _unreachable(name, f"it did not answer within {seconds:g} s") from None
        except Unreachable as trouble:
            watch.nudge()
            raise _unreachable(name, str(trouble)) from None

    def statistics(self) -> dict[str, int]:
        """How many of them are up and how many are down, and how often that has changed."""
        states = [watch.health.status for watch in self._watches.values()]
        return {
            "backends_up": states.count("up"),
            "backends_down": states.count("down"),
            "backend_flips": sum(watch.flips for watch in self._watches.values()),
        }

    def unknown(self, name: str) -> str:
        """What is expected instead of a name that is none of ours."""
        known = list(self._watches)
        return one_of(name, known) if known else "nothing: no backends are here"

    def _watch(self, name: str) -> Watch:
        watch = self._watches.get(name)
        if watch is None:
            expected = self.unknown(name)
            detail = {"field": "name", "found": shown(name), "expected": expected}
            message = f"There is no backend {shown(name)}; expected {expected}"
            raise Refused("not_found", message, [dict(detail)])
        return watch

    def _is_fresh(self, watch: Watch) -> bool:
        checked = watch.health.checked_at
        return checked is not None and abs(self._clock() - checked) < FRESH_SECONDS * 1000

    def _tell(self, name: str) -> None:
        self._news(name)


def _unreachable(name: str, why: str) -> Refused:
    return Refused("backend_unreachable", f"{name} cannot be reached now: {why}.", backend=name)
