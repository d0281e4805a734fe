"""One prompt, followed to its end: what the socket tells goes out, the history decides.

Begins anywhere: straight after the start, after a restart of ours, after one of theirs.
Looks for itself after silence, whenever the socket was away, and when told; waits as long
as the server cannot be asked. Decides the outcome from what was seen, and never takes
absence for success.
"""

from __future__ import annotations

import anyio
import msgspec

from safelight_protocol.codes import Refused

from ...telemetry import log as record
from ..base import (
    Again,
    Delta,
    Ended,
    Found,
    Gone,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Report,
    Shown,
)
from ..pace import away
from .answers import Entry, Waiting
from .backend import ComfyBackend
from .client import Trouble
from .graph import ROLLED_OUT, class_of
from .messages import Picture
from .outcome import end_of, ended_well, failure_of, outputs_of, reports_of
from .router import Job
from .sight import Absent, look

MOST_LOST = 3
"""Files of a failed prompt that are tried in vain before the rest is left: each may take
long, and the failure waits to be told."""


class _Told(msgspec.Struct, frozen=True):
    """What the last report said."""

    progress: float | None
    step: int | None
    steps: int | None
    message: str | None


NOTHING = _Told(None, None, None, None)


class Following:
    """One follow of one prompt."""

    def __init__(
        self, backend: ComfyBackend, job: Job, prediction: Prediction, report: Report
    ) -> None:
        self._backend = backend
        self._pace = backend.pace
        self._job = job
        self._prediction = prediction
        self._report = report
        self._told = NOTHING
        self._place: str | None = None  # in the queue, in words
        self._life = job.life  # of the server, when the prompt was last known to be there
        self._heard = 0
        self._heard_at = backend.monotonic()
        self._troubles = 0

    async def run(self) -> Outcome:
        """Until it ends; exactly one outcome."""
        if self._job.life is None:
            self._job.look = True
        while True:
            await self._tell()
            if self._job.over or self._job.look:
                outcome = await self._see()
                if outcome is not None:
                    return outcome
            elif not await self._pace.wait(self._job.news, self._patience()):
                self._job.look = True

    def _patience(self) -> float:
        """How long to wait for news before it is looked for."""
        timings = self._pace.timings
        if self._troubles:
            return min(timings.poll * 2.0 ** min(self._troubles, 8), timings.poll_most)
        deaf = self._job.life is None or not self._backend.socket.is_open
        if self._job.succeeded or deaf:
            return timings.poll
        return timings.silence

    async def _tell(self) -> None:
        """Report what is new: results first, then the state, then the newest preview."""
        job = self._job
        job.news = anyio.Event()
        for picture in job.take_results():
            await self._report(_made(picture))
        course = job.course
        silent = away(self._backend.name, self._troubles)
        message = silent or course.message or self._place
        now = _Told(course.fraction, course.step, course.steps, message)
        if now != self._told:
            # Progress that is known already would be left out as an echo, with what is said.
            moved = now.progress if now.progress != self._told.progress else None
            self._told = now
            await self._report(Moved(moved, now.step, now.steps, now.message))
        preview = job.take_preview()
        if preview is not None:
            await self._report(Shown(course.step or 0, preview.media_type, preview.data))

    async def _see(self) -> Outcome | None:
        """Look where it is; None while it has not ended, or that cannot be told."""
        job = self._job
        job.look = False
        try:
            if job.over:
                entry = await self._after_the_end()
                if entry is not None:
                    return await self._ended(entry)
            sight = await look(self._backend.client, job.prompt_id)
            match sight:
                case Entry():
                    return await self._ended(sight)
                case Waiting():
                    self._is_there(sight)
                    await self._tell()
                    await self._rest()
                    return None
                case Absent():
                    return await self._absent()
        except Trouble:
            self._troubles += 1
        await self._rest()
        return None

    async def _rest(self) -> None:
        """Nothing ended: the next look is by news or by time."""
        job = self._job
        if job.over:  # said to be over and not in the history: ask again, not at once
            await self._pace.sleep(self._pace.timings.poll)
        elif await self._pace.wait(job.news, self._patience()):
            return
        job.look = True

    async def _after_the_end(self) -> Entry | None:
        """The history once the server says that it is over: it may lag behind."""
        waited, pause = 0.0, 0.05
        while True:
            entry = await self._backend.client.history(self._job.prompt_id)
            if entry is not None or waited >= self._pace.timings.race:
                return entry
            await self._pace.sleep(pause)
            waited += pause
            pause = min(pause * 2, 0.5)

    def _is_there(self, waiting: Waiting) -> None:
        """It waits or runs: note what is known now, and mistrust a socket that is silent."""
        job, backend = self._job, self._backend
        self._troubles = 0
        self._life = backend.life
        if job.life is None and waiting.client_id == backend.client_id:
            job.life = backend.life  # an earlier process of ours sent it: we hear its news
        if not job.course.graph:
            job.course.know(waiting.graph, waiting.outputs)
        self._place = None if waiting.running else f"waits at the backend, {waiting.ahead} ahead"
        now = backend.monotonic()
        if job.heard != self._heard or not waiting.running or job.life is None:
            self._heard, self._heard_at = job.heard, now
        elif now - self._heard_at >= self._pace.timings.deaf:
            self._heard_at = now
            backend.hears_nothing()

    async def _absent(self) -> Outcome:
        """It is nowhere, and it was somewhere: stopped, removed, or lost with the server."""
        if self._job.canceled:
            return Ended()
        life = self._life
        if life is None or await self._backend.has_forgotten(life):
            return Gone("the backend restarted and has forgotten the prompt")
        if self._job.begun:
            return Gone("the backend has removed the prompt from its history")
        await self._report(Moved(message="removed from the backend's queue"))
        return Ended()

    async def _ended(self, entry: Entry) -> Outcome:
        """The history has it: report what it made, and say how it ended."""
        job, backend = self._job, self._backend
        backend.settled(job.prompt_id)
        if not job.course.graph:
            job.course.know(entry.graph)
        how = end_of(entry)
        if how == "error":
            await self._salvage(entry)
            return self._failed(entry)
        await self._tell()
        match how:
            case "interrupted":
                if not job.canceled:
                    await self._report(Moved(message="interrupted on the backend"))
                return Ended()
            case "success":
                missed = self._missed()
                if missed is not None:
                    return missed
                made = await self._files(entry) + sum(job.received.values())
                return ended_well(made, outputs_of(entry))

    async def _files(self, entry: Entry) -> int:
        """Report what the history names, in order; how many there were."""
        reports = self._named(entry)
        for report in reports:
            await self._report(report)
        return len(reports)

    def _named(self, entry: Entry) -> list[Found | Made | Delta]:
        kind, client = self._prediction.kind, self._backend.client
        return reports_of(outputs_of(entry), kind, client, self._backend.headers)

    async def _salvage(self, entry: Entry) -> None:
        """Report what was made before it failed; what cannot be had hides no failure."""
        lost = 0
        sent = [_made(picture) for picture in self._job.take_results()]
        for report in (*sent, *self._named(entry)):
            try:
                await self._report(report)
            except Refused:
                lost += 1
                if lost == MOST_LOST:
                    break
        await self._tell()

    def _failed(self, entry: Entry) -> Never:
        outcome, traceback = failure_of(entry)
        record(
            "prediction.traceback",
            uid=self._prediction.uid,
            attempt=self._prediction.attempt,
            code=outcome.code,
            trace=traceback[-20:],
        )
        return outcome

    def _missed(self) -> Again | None:
        """Pictures that are sent over the socket and kept nowhere are lost with it."""
        job = self._job
        graph = job.course.graph
        for node in graph:
            if class_of(graph, node) != ROLLED_OUT:
                continue
            if job.received.get(node, 0) < job.expected.get(node, 1):
                message = f"pictures of node {node} were sent while the socket was away"
                return Again("provider_failed", message)
        return None


def _made(picture: Picture) -> Made:
    return Made("image", picture.media_type, picture.data)
