"""One backend under observation: asked again and again, each time for a bounded while.

Whoever wants to know how it is reads `health`, at once and from memory; only this asks.
A silence is told apart from a death: a backend that loads a model may not answer for a
minute, and what runs there goes on. Knows nothing of tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.events import timestamp

from ..stray import spared
from ..telemetry import log
from .base import Backend, Health, Unreachable, Wanted

MAX_ERROR = 200
"""Characters of a backend's own words that are kept."""


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """When a backend is asked: every `up_seconds` while it is up; else after `first_seconds`,
    then twice that, at most `most_seconds`. One question takes `patience_seconds` at most,
    and after `silences` of them in a row without an answer it counts as down."""

    up_seconds: float = 15.0
    first_seconds: float = 1.0
    most_seconds: float = 30.0
    patience_seconds: float = 10.0
    silences: int = 3


class Watch:
    """Looks after one backend. `news` is called after each answer, good or bad."""

    def __init__(
        self,
        backend: Backend,
        rhythm: Rhythm,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        news: Callable[[str], None],
    ) -> None:
        self.backend = backend
        self.health = Health()
        self.checkpoints: tuple[str, ...] = ()
        self.flips = 0
        self._rhythm = rhythm
        self._clock = clock
        self._monotonic = monotonic
        self._news = news
        self._failures = 0
        self._silences = 0
        self._was_up = False
        self._looking = False
        self._nudge = asyncio.Event()
        self._looked = asyncio.Event()

    @property
    def reason(self) -> str | None:
        """Why nothing should be sent there now, as a plain sentence; None if something may."""
        name, health = self.backend.name, self.health
        if health.checked_at is None:
            return f"{name} has not been asked yet how it is"
        if health.status != "down":
            return None
        pause = self._pause()
        if pause >= self._rhythm.most_seconds:
            return f"{name} is down, asked again every {pause:g} s"
        return (
            f"{name} is down, asked again at {timestamp(health.checked_at + round(pause * 1000))}"
        )

    def nudge(self) -> None:
        """Ask it soon: something went wrong there, or somebody wants to know."""
        self._nudge.set()

    async def look(self) -> None:
        """Have it asked now, and return when it has answered, or not in its time. Several
        who want to know share one question."""
        if not self._looking:
            self.nudge()
        await self._looked.wait()

    async def run(self) -> None:
        """Ask for ever; runs as a task of the group."""
        while True:
            await self._look()
            with anyio.move_on_after(self._pause()):
                await self._nudge.wait()

    async def check(self, wanted: Wanted) -> None:
        """Hold what is wanted against what it has. Raises Refused or Unreachable."""
        await spared(self.backend.check(wanted))

    async def _look(self) -> None:
        self._looking, self._nudge = True, asyncio.Event()
        began = self._monotonic()
        try:
            found = await self._ask()
        finally:
            self._looking = False
        taken = round((self._monotonic() - began) * 1000, 1)
        self._learn(msgspec.structs.replace(found, checked_at=self._clock(), latency_ms=taken))
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()
        self._news(self.backend.name)

    async def _ask(self) -> Health:
        try:
            with anyio.fail_after(self._rhythm.patience_seconds):
                found = await spared(self.backend.health())
                if found.status == "up":
                    self.checkpoints = tuple(await spared(self.backend.checkpoints()))
                self._silences = 0
                return found
        except TimeoutError:
            self._silences += 1
            return self._silent()
        except (Unreachable, Refused) as trouble:
            self._silences = 0
            return Health(status="down", error=str(trouble)[:MAX_ERROR])
        except Exception as defect:
            log("backend.defect", backend=self.backend.name, exc=defect)
            return Health(status="down", error="our code for it met a bug, which was logged")

    def _silent(self) -> Health:
        """No answer: of one that was up that proves nothing until it has lasted."""
        error = f"it did not answer within {self._rhythm.patience_seconds:g} s"
        lasting = self._silences >= self._rhythm.silences
        if lasting or not self._was_up:
            return Health(status="down", error=error)
        return msgspec.structs.replace(self.health, status="unknown", error=error)

    def _learn(self, found: Health) -> None:
        before, self.health = self.health, found
        self._was_up = found.status == "up" or (self._was_up and found.status != "down")
        self._failures = 0 if found.status == "up" else self._failures + 1
        if found.status == before.status:
            return
        self.flips += 1
        named = {"backend": self.backend.name, "url": self.backend.url}
        if found.status == "up":
            log("backend.up", **named, version=found.version)
        elif found.status == "down":
            log("backend.down", **named, error=found.error)
        else:
            log("backend.silent", **named, error=found.error)

    def _pause(self) -> float:
        """Seconds until it is asked again."""
        if self._failures == 0:
            return self._rhythm.up_seconds
        doubled = self._rhythm.first_seconds * 2.0 ** min(self._failures - 1, 30)
        return min(doubled, self._rhythm.most_seconds)
