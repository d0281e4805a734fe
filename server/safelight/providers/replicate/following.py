"""One prediction, followed to its end: webhooks and polls race, and whoever is first wins.

Both bring the whole prediction, and both are taken in by the same rules, so it does not
matter which of them comes, how often, or in which order. Polls come close together at
first and whenever something moves; where webhooks arrive they become rare, and often again
as soon as one of them was lost.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import msgspec

from safelight_protocol.codes import Refused

from ...telemetry import log as record
from ..base import Delta, Moved, Outcome, Prediction, Report, Unclear
from ..http import Trouble
from ..pace import away
from .client import Client
from .course import Course
from .pace import Pace
from .results import files_of, outcome_of
from .wire import Snapshot

WAITS = "waits for its turn at Replicate"


class _Told(msgspec.Struct, frozen=True):
    """What the last report of progress said."""

    progress: float | None = None
    step: int | None = None
    steps: int | None = None
    message: str | None = None


class Following:
    """One follow of one prediction."""

    def __init__(
        self,
        client: Client,
        course: Course,
        prediction: Prediction,
        report: Report,
        pace: Pace,
        name: str,
        overhear: Callable[[Trouble], None] = lambda trouble: None,
    ) -> None:
        self._client = client
        self._course = course
        self._prediction = prediction
        self._report = report
        self._pace = pace
        self._name = name
        self._overhear = overhear
        self._unknown: str | None = None
        self._told = _Told()
        self._text = ""
        self._polls = 0
        self._troubles = 0
        self._wish: float | None = None
        self._missing = False

    async def run(self) -> Outcome:
        """Until it ends; exactly one outcome."""
        if self._course.latest is None:
            await self._ask()
        while True:
            await self._tell()
            latest = self._course.latest
            if latest is not None and latest.ended:
                return await self._end(latest)
            if self._missing:
                return Unclear("Replicate no longer knows the prediction")
            if await self._pace.wait(self._course.news, self._pause()):
                self._polls = self._troubles = 0
            else:
                await self._ask()

    def _pause(self) -> float:
        """How long to wait for a webhook before it is asked for."""
        if self._troubles:
            return self._pace.again(self._troubles, self._wish)
        return self._pace.poll(self._polls, hooked=self._course.hooked)

    async def _ask(self) -> None:
        try:
            told = await self._client.prediction(self._course.id)
        except Trouble as trouble:
            if not self._troubles:
                self._overhear(trouble)
            self._missing = trouble.status == 404
            self._troubles += 1
            self._wish = trouble.fault.wait
            return
        self._troubles = 0
        if self._course.learn(told):
            # A call should have told this: do not count on the next one.
            self._course.hooked = False
            self._polls = 0
        else:
            self._polls += 1

    async def _tell(self) -> None:
        """Report what is new."""
        course = self._course
        course.news = anyio.Event()
        if course.unknown != self._unknown:
            self._unknown = course.unknown
            self._note_status()
        if self._prediction.kind == "text":
            await self._tell_text()
        if course.ended:
            return
        step, steps = course.steps or (None, None)
        waits = None if course.begun else WAITS
        now = _Told(course.progress, step, steps, away(self._name, self._troubles) or waits)
        if now != self._told:
            # Progress that is known already would be left out as an echo, with what is said.
            moved = now.progress if now.progress != self._told.progress else None
            await self._report(Moved(moved, now.step, now.steps, now.message))
        self._told = now

    def _note_status(self) -> None:
        record(
            "provider.status",
            uid=self._prediction.uid,
            attempt=self._prediction.attempt,
            provider=self._name,
            status=str(self._unknown)[:80],
        )

    async def _tell_text(self) -> None:
        """More of the text. What was told cannot be taken back: a text that has become
        another one goes on where it is longer."""
        text = self._course.text
        if len(text) > len(self._text):
            news, self._text = text[len(self._text) :], text
            await self._report(Delta(news))

    async def _end(self, latest: Snapshot) -> Outcome:
        """Its files first, whatever became of it: what was made is kept."""
        kind = self._prediction.kind
        if kind == "text":
            return outcome_of(self._course, latest, 0, kind)
        files = files_of(latest, kind, self._client.credentials)
        for one in files:
            try:
                await self._report(one)
            except Refused:
                if latest.status == "succeeded":
                    raise
                break  # how it ended is worth more than what is left of it
        return outcome_of(self._course, latest, len(files), kind)
