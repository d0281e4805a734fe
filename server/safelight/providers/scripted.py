"""A provider that does what its script says: for demonstrations and for every test.

The script is the parameter `script`, a list of steps `{"do": …}`, so that a task's
behaviour can be read at the call that makes it:

    progress to [steps]     report progress
    text delta              write text
    image / preview         make a one-pixel PNG
    sleep seconds           wait in real time (demonstrations)
    wait gate               wait until a test opens the gate
    fault code message after_seconds   fail, to be tried again
    never code message      fail for good
    lost / unclear / hang   be lost, be lost in doubt, never end

A step with `attempt` is played in that attempt only. Without a script it makes
what its kind asks for and is done.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import anyio
import msgspec

from .base import (
    Again,
    Delta,
    Done,
    Ended,
    Gone,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Report,
    Shown,
    Unclear,
)

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)
"""A transparent PNG of one pixel."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a script."""

    do: str
    attempt: int | None = None
    to: float = 0.0
    step: int | None = None
    steps: int | None = None
    delta: str = ""
    seconds: float = 0.0
    gate: str = ""
    code: str = "provider_failed"
    message: str | None = None
    after_seconds: float | None = None


class Scripted:
    """Plays scripts. `started` and `canceled` list what it was asked, in order; while
    `deaf` it notes a cancel and plays on."""

    def __init__(
        self, *, name: str = "scripted", resumable: bool = False, billed: bool = False
    ) -> None:
        self.name = name
        self.resumable = resumable
        self.billed = billed
        self.started: list[tuple[str, int]] = []
        self.canceled: list[str] = []
        self.deaf = False
        self._gates: dict[str, anyio.Event] = {}
        self._cancels: dict[str, anyio.CancelScope] = {}

    def open(self) -> AbstractAsyncContextManager[None]:
        """A script needs nothing."""
        return nullcontext()

    def gate(self, name: str) -> anyio.Event:
        """The gate of that name; `set` opens it for good."""
        return self._gates.setdefault(name, anyio.Event())

    async def start(self, prediction: Prediction) -> str:
        """Note the request; the handle is made of its uid and attempt."""
        self.started.append((prediction.uid, prediction.attempt))
        return f"scripted-{prediction.uid}-{prediction.attempt}"

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Play the script."""
        with anyio.CancelScope() as scope:
            self._cancels[handle] = scope
            try:
                return await self._play(prediction, report)
            finally:
                del self._cancels[handle]
        return Ended()

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Stop a script that plays."""
        self.canceled.append(handle)
        scope = self._cancels.get(handle)
        if scope is not None and not self.deaf:
            scope.cancel()

    async def _play(self, prediction: Prediction, report: Report) -> Outcome:
        for step in _script(prediction):
            if step.attempt not in (None, prediction.attempt):
                continue
            outcome = _verdict(step)
            if outcome is not None:
                return outcome
            await self._act(step, prediction, report)
        return Done()

    async def _act(self, step: Step, prediction: Prediction, report: Report) -> None:
        match step.do:
            case "progress":
                await report(Moved(step.to, step.step, step.steps, step.message))
            case "text":
                await report(Delta(step.delta))
            case "image":
                await report(Made("image", "image/png", PIXEL))
            case "video":
                await report(Made("video", "image/png", PIXEL))
            case "preview":
                await report(Shown(step.step or 0, "image/png", PIXEL))
            case "sleep":
                await anyio.sleep(step.seconds)
            case "wait":
                await self.gate(step.gate).wait()
            case "hang":
                await anyio.sleep_forever()


def _verdict(step: Step) -> Outcome | None:
    message = step.message or "the script says so"
    match step.do:
        case "fault":
            return Again(step.code, message, step.after_seconds)
        case "never":
            return Never(step.code, message)
        case "lost":
            return Gone(message)
        case "unclear":
            return Unclear(message)
    return None


def _script(prediction: Prediction) -> list[Step]:
    plain: Any = prediction.params.get("script")
    if plain is not None:
        return msgspec.convert(plain, list[Step])
    if prediction.kind == "text":
        return [Step(do="text", delta=prediction.prompt)]
    return [Step(do="progress", to=0.5), Step(do=prediction.kind)]
