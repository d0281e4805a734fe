"""The files of one create, followed to their end: whoever tells of one first is believed.

Their channels tell of progress and of the end; a look at each file, whenever a channel
opens or is lost and ever again besides, tells what no channel told. Files are reported in
their order, each once it is done, so that a second following reports the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import anyio

from safelight_protocol.prices import Usage

from ..base import Done, Found, Moved, Never, Outcome, Prediction, Report
from ..http import Trouble, is_same_origin, joined, redacted
from ..pace import away, grown
from .asking import usage_of
from .client import Client
from .listening import Mailbox
from .pace import Pace

MOST_MISSES = 3
"""Looks at a file that is not there, before it is believed to be gone."""

GROWTH = 1.5
"""By how much the pause between two looks grows."""

NAME = "SuperDuperAI"
UNSTOPPED = "it cannot be stopped there: it runs on, and is paid"


class Following:
    """One follow of one create."""

    def __init__(
        self,
        client: Client,
        pace: Pace,
        prediction: Prediction,
        ids: Sequence[str],
        report: Report,
        overhear: Callable[[Trouble], None] = lambda trouble: None,
    ) -> None:
        self._client = client
        self._pace = pace
        self._prediction = prediction
        self._report = report
        self._overhear = overhear
        self._news = anyio.Event()
        self.boxes = [Mailbox(id, self._news) for id in ids]
        self._told = 0
        self._progress: float | None = None
        self._looks = 0
        self._troubles = 0
        self._silent: str | None = None
        self.canceled = False

    def cancel(self) -> None:
        """Follow it no longer: there is no way to stop it."""
        self.canceled = True
        self._news.set()

    async def run(self) -> Outcome:
        """Until all have ended; exactly one outcome. A look that takes long keeps nobody from
        hearing what a channel tells."""
        looking: asyncio.Task[None] | None = None
        try:
            while True:
                self._listen_anew()
                await self._tell()
                if self.canceled:
                    return Never("outcome_unknown", UNSTOPPED, usage=self._usage())
                if all(box.over for box in self.boxes):
                    return self._outcome()
                if looking is not None and looking.done():
                    looking.result()
                    looking = None
                if looking is None and any(box.look and not box.over for box in self.boxes):
                    looking = asyncio.create_task(self._look())
                await self._rest(looking is not None)
        finally:
            if looking is not None:
                looking.cancel()
                with anyio.CancelScope(shield=True):
                    await asyncio.gather(looking, return_exceptions=True)

    async def _rest(self, looks: bool) -> None:
        """Until there is news, or it is time to look again."""
        if looks:
            await self._news.wait()
        elif not await self._pace.wait(self._news, self._patience()):
            for box in self.boxes:
                box.look = True

    def _listen_anew(self) -> None:
        """What is told from here on is news."""
        self._news = anyio.Event()
        for box in self.boxes:
            box.news = self._news

    def _patience(self) -> float:
        timings = self._pace.timings
        return grown(timings.poll, timings.poll_most, self._looks, GROWTH)

    async def _tell(self) -> None:
        """Report what is new: how far it is, then the files whose turn it is."""
        shares = [1.0 if box.over else box.progress for box in self.boxes]
        known = [share for share in shares if share is not None]
        now = sum(known) / len(shares) if known else None
        if now is not None and now < 1 and now > (self._progress or 0.0):
            self._progress, self._troubles, self._silent = now, 0, None
            await self._report(Moved(now))
        silent = away(NAME, self._troubles)
        if silent != self._silent:
            self._silent = silent
            await self._report(Moved(message=silent))
        while self._told < len(self.boxes) and self.boxes[self._told].over:
            file = self.boxes[self._told].file
            self._told += 1
            if file is not None and file.url is not None:
                await self._report(self._found(file.id, file.url))

    def _found(self, id: str, url: str) -> Found:
        """Where it lies; our key goes there only if that is the provider itself."""
        here = self._client.url
        whole = joined(here, url)
        headers = self._client.headers if is_same_origin(whole, here) else {}
        return Found(kind=self._prediction.kind, key=id, url=whole, headers=headers)

    async def _look(self) -> None:
        """Ask for each file that is not done. What cannot be asked now is asked again. However
        many files there are, one look in vain is one trouble."""
        self._looks += 1
        before = self._troubles
        try:
            for box in self.boxes:
                if box.look and not box.over:
                    box.look = False
                    await self._ask(box)
        finally:
            self._troubles = min(self._troubles, before + 1)
            self._news.set()

    async def _ask(self, box: Mailbox) -> None:
        try:
            file = await self._client.file(box.id)
        except Trouble as trouble:
            if trouble.status == 404:
                self._miss(box)
            else:
                self._troubles += 1
            self._overhear(trouble)
            return
        box.missed = self._troubles = 0
        box.see(file)

    def _miss(self, box: Mailbox) -> None:
        box.missed += 1
        if box.missed >= MOST_MISSES:
            box.failed = "the provider has its file no more"

    def _usage(self) -> Usage:
        seen = next((box.seen for box in self.boxes if box.seen is not None), None)
        return usage_of(self._prediction, len(self.boxes), seen)

    def _outcome(self) -> Outcome:
        why = [box.failed for box in self.boxes if box.failed is not None]
        if not why:
            return Done(usage=self._usage())
        part = f"{len(why)} of {len(self.boxes)}: " if len(self.boxes) > 1 else ""
        return Never("provider_failed", redacted(f"{part}{why[0]}"), usage=self._usage())
