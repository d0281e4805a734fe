"""The providers' side of a simulated world: what becomes of each attempt, and its bill.

A prediction lives on while our server is down, as a remote one does. The books of what
was begun are kept here, outside of the server: the second start of one attempt, and a
start while an earlier attempt may still be billed, are breaches at once. A `blind`
provider (planted) is billed and says that it is not.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from random import Random

import anyio

from safelight.providers.base import (
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
)
from safelight.providers.scripted import PIXEL
from safelight_protocol.events import Charge
from tests.simulation.ledger import Ledger

PAID = Charge(verdict="charged", amount_micros=1000)

OUTCOMES = (
    ["done"] * 12 + ["again"] * 4 + ["never", "gone", "unclear", "hang", "hang", "defect", "ended"]
)
STARTS = ["well"] * 16 + ["again", "never", "gone", "unclear", "defect", "hang", "lost answer"]


class Job:
    """One attempt at the provider: `free` once we were told that it costs nothing."""

    def __init__(self, prediction: Prediction, dice: Random) -> None:
        self.handle = f"{prediction.uid}.{prediction.attempt}"
        self.dice = dice
        self.outcome = dice.choice(OUTCOMES if prediction.attempt < 4 else ["done"])
        self.start = dice.choice(STARTS)
        self.steps = [_step(prediction, dice, n) for n in range(dice.randint(0, 4))]
        self.begun = False
        self.free = False
        self.stopped = asyncio.Event()


class Fates:
    """A provider whose predictions outlive the server's lives."""

    name = "scripted"

    def __init__(
        self,
        ledger: Ledger,
        seed: int,
        *,
        resumable: bool,
        billed: bool,
        blind: bool = False,
    ) -> None:
        self._ledger = ledger
        self._seed = seed
        self.resumable = resumable
        self.billed = billed and not blind
        self._costs = billed
        self._jobs: dict[str, list[Job]] = {}

    def open(self) -> AbstractAsyncContextManager[None]:
        """Nothing is held."""
        return nullcontext()

    async def start(self, prediction: Prediction) -> str:
        """Begin; the answer may come late, wrong or never."""
        uid, attempt = prediction.uid, prediction.attempt
        job = Job(prediction, Random(f"{self._seed} {uid} {attempt}"))
        await anyio.sleep(_pause(job.dice))
        earlier = self._jobs.setdefault(uid, [])
        self._ledger.counts["starts"] += 1
        if any(one.handle == job.handle for one in earlier):
            self._ledger.breach("no attempt is started twice", job.handle)
        if self._costs and any(one.begun and not one.free for one in earlier):
            self._ledger.breach("nothing is billed twice", job.handle)
        earlier.append(job)
        if job.start in ("again", "never", "gone"):
            raise Failure(_failed(job, job.start))
        job.begun = True
        await anyio.sleep(_pause(job.dice))
        match job.start:
            case "unclear":
                raise Failure(Unclear("the connection broke"))
            case "defect":
                job.free = not self._costs
                raise RuntimeError("a provider's code broke at its start")
            case "hang":
                await anyio.sleep_forever()
            case "lost answer":
                await anyio.sleep(job.dice.random() * 20)
        return job.handle

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear:
        """What became of a start."""
        dice = Random(f"{self._seed} {prediction.uid} {prediction.attempt} look")
        await anyio.sleep(_pause(dice))
        handle = f"{prediction.uid}.{prediction.attempt}"
        found = [job for job in self._jobs.get(prediction.uid, []) if job.handle == handle]
        if not found:
            # Our request may be on its way for as long as a start may take.
            return Unclear("not seen yet")
        (job,) = found
        if not job.begun:
            job.free = True
            return Gone("it never began")
        return Unclear("cannot be told") if dice.random() < 0.3 else handle

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Play the steps from the first, then the end; a cancel may come between."""
        (job,) = [one for one in self._jobs[prediction.uid] if one.handle == handle]
        for step in job.steps:
            await self._wait(job)
            if job.stopped.is_set():
                return Ended(PAID)
            await report(step)
        await self._wait(job)
        if job.stopped.is_set() and job.dice.random() < 0.7:
            return Ended(PAID)
        return await self._end(job)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Some do it, some fail to, some say nothing."""
        (job,) = [one for one in self._jobs[prediction.uid] if one.handle == handle]
        await anyio.sleep(_pause(job.dice))
        kind = job.dice.random()
        if kind < 0.7:
            job.stopped.set()
        elif kind < 0.8:
            raise RuntimeError("a provider's code broke at a cancel")
        elif kind < 0.9:
            await anyio.sleep_forever()

    async def _wait(self, job: Job) -> None:
        with anyio.move_on_after(_pause(job.dice)):
            await job.stopped.wait()

    async def _end(self, job: Job) -> Outcome:
        match job.outcome:
            case "done":
                deltas = [step.text for step in job.steps if isinstance(step, Delta)]
                files = [step for step in job.steps if isinstance(step, Made)]
                self._ledger.made[job.handle] = ("".join(deltas), len(files))
                return Done(PAID)
            case "ended":
                return Ended(PAID)
            case "unclear":
                return Unclear("it stopped answering")
            case "defect":
                job.free = not self._costs
                raise RuntimeError("a provider's code broke")
            case "hang":
                await job.stopped.wait()
                return Ended(PAID)
            case outcome:
                return _failed(job, outcome)


def _failed(job: Job, outcome: str) -> Again | Never | Gone:
    job.free = True
    match outcome:
        case "again":
            wish = job.dice.choice([None, 0.0, 7.0])
            return Again("provider_failed", "busy", wish, fresh_seed=job.dice.random() < 0.3)
        case "never":
            return Never("provider_failed", "refused")
        case _:
            return Gone("it was lost")


def _step(prediction: Prediction, dice: Random, number: int) -> Moved | Delta | Made | Shown:
    kind = dice.random()
    if prediction.kind == "text" and kind < 0.7:
        return Delta(f"word {number} ")
    if kind < 0.8:
        return Moved(dice.choice([None, dice.random()]), number, 4)
    if kind < 0.9:
        return Shown(number, "image/png", PIXEL)
    return Made("image", "image/png", PIXEL + bytes([number]))


def _pause(dice: Random) -> float:
    kind = dice.random()
    if kind < 0.3:
        return 0.0
    return dice.random() * (0.05 if kind < 0.6 else 3.0)
