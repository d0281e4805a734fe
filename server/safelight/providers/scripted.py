"""A provider that does what its script says: for demonstrations and for every test.

The script is the parameter `script`, a list of steps `{"do": …}`, so that a task's
behaviour can be read at the call that makes it:

    progress to [steps]     report progress
    text delta              write text
    image / preview         make a one-pixel PNG
    sleep seconds           wait in real time (demonstrations)
    wait gate               wait until a test opens the gate
    fault code message after_seconds   fail, to be tried again
    conflict repeated       refuse the seed (`repeated`: only one that was started before)
    never code message      fail for good
    lost / unclear / hang   be lost, be lost in doubt, never end
    answer_lost             the start arrives, its answer does not
    unreached               the start does not arrive, and fails in doubt
    start_hangs gate        the start arrives and is answered when a test opens the gate

The last three happen before anything is played, wherever they stand. A step with
`attempt` is played in that attempt only. One that ends the attempt, or a last one `done`,
may say its cost: `used`, by unit, or `charge` in millionths of a dollar; and `bill`, what
it is later accounted as. Without a script it makes what its kind asks
for and is done.
"""

from __future__ import annotations

from collections import deque
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import anyio
import msgspec

from safelight_protocol.events import Charge
from safelight_protocol.prices import used

from .base import (
    Account,
    Again,
    Delta,
    Done,
    Ended,
    Failure,
    Gone,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Report,
    Shown,
    Unclear,
    Unknowable,
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
    repeated: bool = False
    used: dict[str, int | str] | None = None
    charge: int | None = None
    bill: int | None = None


class Scripted:
    """Plays scripts. `started`, `seeds`, `looked_up` and `canceled` list what it was asked,
    in order; while `deaf` it notes a cancel and plays on.

    `answers` are given to the next look-ups, one each. After them it says what it knows:
    the handle of a request that arrived, Gone of one that did not; and of one it never
    heard of (it is another process now) Unclear where that could be billed, else Gone.

    `bills` is its own count: what each attempt that it began has come to, in millionths of a
    dollar. An attempt that was begun costs what its script says, or `each`. `account` tells
    it while `tells` is set.
    """

    def __init__(
        self,
        *,
        name: str = "scripted",
        resumable: bool = False,
        billed: bool = False,
        answers: tuple[str | Gone | Unclear | Unknowable | Exception, ...] = (),
        each: int = 0,
    ) -> None:
        self.name = name
        self.resumable = resumable
        self.billed = billed
        self.started: list[tuple[str, int]] = []
        self.seeds: list[int] = []
        self.looked_up: list[tuple[str, int]] = []
        self.canceled: list[str] = []
        self.deaf = False
        self.answers = deque(answers)
        self.each = each
        self.bills: dict[tuple[str, int], int] = {}
        self.accounted: list[tuple[str, int]] = []
        self.tells = False
        self._unreached: set[tuple[str, int]] = set()
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
        steps = {step.do: step for step in _steps(prediction)}
        if "unreached" in steps:
            self._unreached.add(_marks(prediction))
            raise Failure(Unclear("the script says that the request was lost"))
        self.started.append(_marks(prediction))
        self.bills[_marks(prediction)] = _bill(prediction, self.each)
        self.seeds.append(prediction.seed)
        if "answer_lost" in steps:
            raise Failure(Unclear("the script says that the answer was lost"))
        if "start_hangs" in steps:
            await self.gate(steps["start_hangs"].gate).wait()
        return _handle(prediction)

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear | Unknowable:
        """Say what the test says, or what is known."""
        marks = _marks(prediction)
        self.looked_up.append(marks)
        if self.answers:
            answer = self.answers.popleft()
            if isinstance(answer, Exception):
                raise answer
            return answer
        if marks in self.started:
            return _handle(prediction)
        if self.billed and marks not in self._unreached:
            return Unclear("the provider has forgotten")
        return Gone("the provider never heard of it")

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

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """What its own count says; None while it does not tell."""
        self.accounted.append(_marks(prediction))
        if not self.tells:
            return None
        amount = self.bills.get(_marks(prediction), 0)
        reason = "by the script's own count"
        return Account(Charge("charged" if amount else "free", amount, reason=reason))

    async def _play(self, prediction: Prediction, report: Report) -> Outcome:
        for step in _steps(prediction):
            outcome = self._verdict(step, prediction)
            if outcome is not None:
                return outcome
            await self._act(step, prediction, report)
        last = next((step for step in _steps(prediction) if step.do == "done"), Step(do="done"))
        return Done(**_cost(last))

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

    def _verdict(self, step: Step, prediction: Prediction) -> Outcome | None:
        message = step.message or "the script says so"
        match step.do:
            case "fault":
                return Again(step.code, message, step.after_seconds, **_cost(step))
            case "conflict":
                if step.repeated and self.seeds.count(prediction.seed) < 2:
                    return None
                return Again("seed_conflict", message, step.after_seconds, fresh_seed=True)
            case "never":
                return Never(step.code, message, **_cost(step))
            case "lost":
                return Gone(message)
            case "unclear":
                return Unclear(message)
        return None


def _cost(step: Step) -> dict[str, Any]:
    """What an outcome says of its cost."""
    charge = None if step.charge is None else Charge("charged", step.charge, reason="by script")
    return {"charge": charge, "usage": None if step.used is None else used(step.used)}


def _bill(prediction: Prediction, each: int) -> int:
    """What the attempt comes to in the end, going by its script."""
    said = (one for step in _steps(prediction) for one in (step.bill, step.charge))
    return next((amount for amount in said if amount is not None), each)


def _marks(prediction: Prediction) -> tuple[str, int]:
    return prediction.uid, prediction.attempt


def _handle(prediction: Prediction) -> str:
    return f"scripted-{prediction.uid}-{prediction.attempt}"


def _steps(prediction: Prediction) -> list[Step]:
    """The steps of this attempt."""
    return [s for s in _script(prediction) if s.attempt in (None, prediction.attempt)]


def _script(prediction: Prediction) -> list[Step]:
    plain: Any = prediction.params.get("script")
    if plain is not None:
        return msgspec.convert(plain, list[Step])
    if prediction.kind == "text":
        return [Step(do="text", delta=prediction.prompt)]
    return [Step(do="progress", to=0.5), Step(do=prediction.kind)]
