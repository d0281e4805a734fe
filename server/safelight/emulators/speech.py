"""One text being said, piece by piece: what the runs of text models have in common.

The whole text is known before its first piece, and a piece is a token; so what a run that
was stopped half-way has used is what it had said. Providers dress the pieces in their own
events. What goes wrong with a run is given when it begins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .bench import Bench
from .faults import Fault
from .prose import answer, pieces
from .tape import Tape

LATE = 2.0
"""Seconds that a late run takes longer where the fault does not say how many."""


class Speech:
    """What will be said to `prompt`, in at most `most` tokens and up to the first of `stops`.

    `why` is known from the beginning: `stop`, `length`, `stopped` (by `stopped_by`), and with
    a mishap `filter` or `error`; after a cancel it is `cancel`.
    """

    def __init__(
        self,
        prompt: str,
        *,
        most: int | None = None,
        stops: Sequence[str] = (),
        mishap: Fault | None = None,
    ) -> None:
        text, self.stopped_by = _until(answer(prompt), stops)
        self.pieces = pieces(text)
        self.why = "stop" if self.stopped_by is None else "stopped"
        if most is not None and len(self.pieces) > most:
            self.pieces, self.why, self.stopped_by = self.pieces[:most], "length", None
        self.late = mishap.seconds(LATE) if mishap and mishap.name == "late" else 0.0
        if mishap is not None and mishap.name in ("moderated", "fail"):
            self.why = "filter" if mishap.name == "moderated" else "error"
            self.pieces, self.stopped_by = self.pieces[: (len(self.pieces) + 1) // 2], None
        self.tape: Tape[str] = Tape()
        self._cancelled = asyncio.Event()

    @property
    def said(self) -> str:
        """The text so far."""
        return "".join(self.pieces[: self.used])

    @property
    def used(self) -> int:
        """How many tokens were said so far."""
        return len(self.tape)

    def cancel(self) -> None:
        """Say no more than what is said already; no change after the end."""
        self._cancelled.set()

    async def say(self, bench: Bench) -> None:
        """Say it, at the bench's pace, to its end or until it is cancelled."""
        await self._wait(bench, self.late)
        for piece in self.pieces:
            if self._cancelled.is_set():
                break
            self.tape.tell(piece)
            await self._wait(bench, bench.pace)
        if self._cancelled.is_set() and self.used < len(self.pieces):
            self.why = "cancel"
        self.tape.end()

    async def _wait(self, bench: Bench, seconds: float) -> None:
        """Sleep; a cancel wakes."""
        if seconds <= 0:
            await bench.sleep(0)
            return
        sleeping = asyncio.ensure_future(bench.sleep(seconds))
        cancelled = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({sleeping, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            cancelled.cancel()


def _until(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    """The text before the first of these, and which one it was."""
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop
