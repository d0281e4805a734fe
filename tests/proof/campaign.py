"""A campaign: the real server under load and under a nemesis, round after round.

A round is load and blows, then calm until every task has ended and every witness was told,
then the verdict of the checker. The data directory goes on from round to round; a round's
history is deleted once it was found clean, so a long campaign stays as small as a short
one. The seed is the plan; `python -m tests.proof --seed S` repeats it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.doubles.child import Child, child_process
from tests.doubles.fault_proxy import FaultProxy, fault_proxy
from tests.doubles.remote import Fault, Remote, remote

from .checker import check
from .collect import RunLog, collect, last_change, live_tasks, newest
from .crowd import Crowd
from .history import AnyRecord, Recorder, Struck
from .nemesis import Nemesis
from .verdict import Figures, Report
from .witnesses import Stage

START_FAULTS: tuple[Fault, ...] = ("lost", "dropped", "429", "500", "hang")
SETTINGS = {
    "log_level": "error",
    "retry_base_seconds": 0.05,
    "attempts": 4,
    "attempt_timeout_seconds": 4,
    "cancel_timeout_seconds": 1,
    "drain_seconds": 0.3,
    "local_concurrency": 1,
    "png_text": False,
}
"""Files stay as the provider made them: the provider's own hashes are what they are held to."""
MODES = ((False, True), (True, True), (False, False), (True, False))
"""(billed, resumable) of the provider, in turns."""

END_SECONDS = 60.0
"""How long after the last blow the last task may take to end, on a busy machine: attempts
have 4 s, those in doubt are given up after that, and all wait for four places."""

TOLD_SECONDS = 8.0
"""How long after the last end a witness may take to be told. Less than the 10 s after
which a silent stream looks again by itself."""


LOOK_SECONDS = 0.1


class Plan(msgspec.Struct, kw_only=True):
    """What a campaign does. It is over after `kills`, or with the first round that ends
    after `seconds`, whichever is first; one of them must be given."""

    seed: int
    directory: Path
    seconds: float | None = None
    kills: int | None = None
    bug: str | None = None
    load_seconds: float = 18.0
    per_second: float = 6.0
    kills_only: bool = False
    say: Callable[[str], None] = print


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a campaign; `history` is the file of a round that was not clean."""

    figures: Figures
    report: Report
    rounds: int
    seconds: float
    largest_history: int = 0
    history: Path | None = None


async def campaign(plan: Plan) -> Outcome:
    """Rounds until the plan is fulfilled or a rule was broken."""
    began, total, largest, number = time.monotonic(), Figures(), 0, 0
    plan.directory.mkdir(parents=True, exist_ok=True)
    async with remote() as house:
        while True:
            number += 1
            left = None if plan.kills is None else plan.kills - total.kills
            path = plan.directory / f"round-{number}.history"
            report = await Round(plan, house, number, path).play(left)
            total += report.figures
            largest = max(largest, path.stat().st_size)
            spent = time.monotonic() - began
            plan.say(_line(number, spent, report))
            outcome = Outcome(
                figures=total,
                report=report,
                rounds=number,
                seconds=spent,
                largest_history=largest,
                history=path if report.violations else None,
            )
            if report.violations or _is_over(plan, total, spent):
                return outcome
            path.unlink()


def _is_over(plan: Plan, total: Figures, spent: float) -> bool:
    if plan.kills is not None and total.kills >= plan.kills:
        return True
    return plan.seconds is not None and spent >= plan.seconds


def _line(number: int, spent: float, report: Report) -> str:
    f = report.figures
    return (
        f"round {number:3} {spent:7.1f} s  {f.tasks} tasks, {f.kills} kills, {f.events} events, "
        f"{len(report.violations)} violations"
    )


class Round:
    """One round: its stage, its players, its end."""

    def __init__(self, plan: Plan, house: Remote, number: int, path: Path) -> None:
        self._plan = plan
        self._house = house
        self._number = number
        self._path = path
        self._data = plan.directory / "data"
        self._die = random.Random(f"{plan.seed}/{number}")
        self._billed, self._resumable = MODES[(number - 1) % len(MODES)]
        self._runs = RunLog(house)

    async def play(self, kills: int | None) -> Report:
        """From the first request to the verdict."""
        with closing(Recorder(self._path)) as recorder:
            await self._record(recorder, kills)
        return await asyncio.to_thread(check, recorder.records)

    async def _record(self, recorder: Recorder, kills: int | None) -> None:
        self._house.choose = lambda uid, attempt: self._meet(recorder, uid)
        async with self._server() as child, fault_proxy(child.url, self._plan.seed) as proxy:
            before, said = newest(self._data), len(child.stderr())
            address = urlsplit(proxy.url)
            where = (str(address.hostname), int(address.port or 0))
            stage = Stage(where, recorder, f"{self._plan.seed}/{self._number}")
            await self._act(stage, child, proxy, kills)
            await asyncio.to_thread(child.stop)
            for line in child.stderr()[said:].splitlines()[:1]:
                recorder.write(Struck(at=recorder.now, what="said", detail=line))
        for record in (*self._noted(recorder), *collect(self._data, recorder.now, before)):
            recorder.write(record)
        self._runs.forget()

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[Child]:
        tail = {"tail_events": self._die.choice((3, 1024))}
        running = child_process(
            self._data,
            self._house.url,
            billed=self._billed,
            resumable=self._resumable,
            start_seconds=1.0,
            bug=self._plan.bug,
            **SETTINGS | tail,
        )
        child = await asyncio.to_thread(running.__enter__)
        try:
            yield child
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)

    async def _act(self, stage: Stage, child: Child, proxy: FaultProxy, kills: int | None) -> None:
        plan = self._plan
        nemesis = Nemesis(
            child, proxy, stage.recorder, stage.die("nemesis"), kills_only=plan.kills_only
        )
        crowd = Crowd(stage, plan.per_second)
        loading = asyncio.create_task(crowd.come(f"s{plan.seed}r{self._number}"))
        try:
            await nemesis.strike(plan.load_seconds, kills)
            crowd.enough = True
            stage.calm = True
            await _bounded(loading, END_SECONDS)
            await self._wait_for_ends()
            await crowd.wait_until_told(TOLD_SECONDS, last_change(self._data))
        finally:
            stage.over = True
            loading.cancel()
            await crowd.leave()

    async def _wait_for_ends(self) -> None:
        """The database is asked, not the server: nobody tells us when it is so."""
        for _ in range(round(END_SECONDS / LOOK_SECONDS)):
            if live_tasks(self._data) == 0:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _meet(self, recorder: Recorder, uid: str) -> Fault:
        """What a start meets; asked before each, which is when runs before it are noted."""
        for record in self._runs.note(recorder.now, billed=self._billed, upto=uid):
            recorder.write(record)
        if self._die.random() < 0.12:
            return self._die.choice(START_FAULTS)
        return "none"

    def _noted(self, recorder: Recorder) -> list[AnyRecord]:
        noted = list(self._runs.note(recorder.now, billed=self._billed))
        return noted + list(self._runs.told(recorder.now, billed=self._billed))


async def _bounded(task: asyncio.Task[None], seconds: float) -> None:
    await asyncio.wait([task], timeout=seconds)
