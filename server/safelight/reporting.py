"""What a prediction reports while it is followed, on its way to the log.

Leaves out what was told before a restart, gathers the words of a stream, cuts long text
and sees to it that a file is safe before the event that names it. Calls no provider.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from safelight_protocol.events import Artifact, Eta
from safelight_protocol.inputs import Happening, Produced, Progressed, Wrote
from safelight_protocol.task import Task

from .echo import Echo
from .endings import Finishing
from .gathering import Gathering
from .production import may_be_told_as
from .providers.base import Delta, Found, Made, Moved, Reported, Shown

MAX_DELTA = 32 * 1024
"""Characters of one `text` event: what a provider tells at once is told in pieces that
fit into a frame of any socket whole, however they are escaped."""

Tell = Callable[[Task, "Happening | Finishing"], Awaitable[None]]
Keep = Callable[[Task, Made | Found], AbstractAsyncContextManager[Artifact | None]]
Show = Callable[[Task, Shown], None]
Expect = Callable[[Task, float | None], Eta | None]


class Hearers(msgspec.Struct, frozen=True):
    """Who takes in what is reported: `tell` writes an input and returns after its commit,
    `keep` puts a file on disk, `show` shows a preview, `expect` says when the attempt will
    have ended that has come so far."""

    tell: Tell
    keep: Keep
    show: Show
    expect: Expect


class Reporter:
    """One `follow` of one attempt; use as an async context around it: what still waits to be
    told is told at its end, unless that is a cancel."""

    def __init__(self, task: Task, echo: Echo, hearers: Hearers) -> None:
        self._task = task
        self._echo = echo
        self._to = hearers
        self._words = Gathering(self._write)

    async def __aenter__(self) -> Reporter:
        return self

    async def __aexit__(self, kind: object, trouble: BaseException | None, trace: object) -> None:
        self._words.close()
        if trouble is None or isinstance(trouble, Exception):
            await self._words.flush()

    async def hear(self, report: Reported) -> None:
        """Tell what is news; a prediction that is followed again begins at its beginning."""
        if isinstance(report, Delta) and report.part:
            return await self._words.add(self._echo.beyond(report.text))
        if self._words.waiting and not isinstance(report, Shown):
            await self._words.flush()  # what was said before is told before
        match report:
            case Moved():
                if not self._echo.has_progress(report.progress):
                    eta = self._to.expect(self._task, report.progress)
                    said = (report.progress, report.step, report.steps, report.message)
                    await self._to.tell(self._task, Progressed(*said, eta))
            case Delta(text=text):
                await self._write(self._echo.beyond(text))
            case Made() | Found():
                async with self._to.keep(self._task, report) as artifact:
                    if artifact is not None and not self._is_echo(report):
                        await self._to.tell(self._task, Produced(artifact))
            case Shown():
                self._to.show(self._task, report)

    async def _write(self, text: str) -> None:
        for start in range(0, len(text), MAX_DELTA):
            await self._to.tell(self._task, Wrote(text[start : start + MAX_DELTA]))

    def _is_echo(self, report: Made | Found) -> bool:
        """Whether bytes were told before; a file that was found is known by its key."""
        if isinstance(report, Found) or not self._echo.knows_files():
            return False
        return any(
            self._echo.has_file(sha256) for sha256 in may_be_told_as(self._task, report.data)
        )
