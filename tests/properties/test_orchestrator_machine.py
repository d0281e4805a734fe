"""Random lives of the orchestrator: creates, outcomes, cancels, restarts, in any order.

Everything between the doors and the provider is real, the file on disk included; the
provider is a service that outlives the server and remembers. After each act the database
is read in one transaction, and what must hold of every task in it is checked.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from safelight.app import running
from safelight.edges.context import Context
from safelight.providers.base import Unclear
from safelight.providers.scripted import Scripted
from safelight.settings import Settings
from safelight.store.records import task_of
from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_native
from safelight_protocol.events import TERMINAL, Retrying, Started, TaskEvent, decode_event
from safelight_protocol.snapshot import Snapshot, fold, opening
from safelight_protocol.task import Task
from tests.doubles.turns import until

SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "paints": [{"do": "progress", "to": 0.4}, {"do": "image"}],
    "waits": [{"do": "progress", "to": 0.4}, {"do": "wait", "gate": "a"}, {"do": "image"}],
    "answers late": [{"do": "start_hangs", "gate": "b"}, {"do": "image"}],
    "fails once": [{"do": "fault", "attempt": 1}, {"do": "image"}],
    "always fails": [{"do": "progress", "to": 0.4}, {"do": "fault"}],
    "gives up": [{"do": "never"}],
    "conflicts": [{"do": "conflict", "attempt": 1}, {"do": "wait", "gate": "a"}],
    "loses the answer": [{"do": "answer_lost", "attempt": 1}, {"do": "wait", "gate": "b"}],
    "does not arrive": [{"do": "unreached", "attempt": 1}, {"do": "image"}],
    "is lost": [{"do": "lost", "attempt": 1}, {"do": "image"}],
    "is in doubt": [{"do": "unclear", "attempt": 1}, {"do": "image"}],
    "lasts": [{"do": "progress", "to": 0.4}, {"do": "wait", "gate": "end"}],
}
DOUBTFUL = ("answers late", "loses the answer", "is in doubt", "lasts", "waits")
"""Scripts that never tell us that the attempt is over and nothing runs."""

IDS = st.none() | st.sampled_from(["one", "two", "three"])
KEYS = st.none() | st.sampled_from(["k1", "k2"])
LIMITS: dict[str, Any] = {
    "scripted": True,
    "log_level": "error",
    "retry_base_seconds": 0.001,
    "retry_max_seconds": 0.004,
    "attempt_timeout_seconds": 0.2,
    "cancel_timeout_seconds": 0.03,
}
LIVE = """SELECT t.*, r.asked, r.resolved FROM tasks t JOIN requests r ON r.n = t.n"""


class House:
    """One server at a time on one directory; its loop turns only while something is asked."""

    def __init__(self, provider: Scripted, **more: Any) -> None:
        self.provider = provider
        self.more = more
        self.loop = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)
        self.context: Context
        self._stop: asyncio.Event
        self._life: asyncio.Task[None]
        self.open()

    def open(self) -> None:
        """Start the server and return once it has recovered."""
        self.loop.run(self._open())

    async def _open(self) -> None:
        ready, self._stop = asyncio.Event(), asyncio.Event()

        async def live() -> None:
            limits = Settings(**LIMITS | self.more | {"data_dir": str(self.path)})
            async with running(limits, {"scripted": self.provider}) as self.context:
                ready.set()
                await self._stop.wait()

        self._life = asyncio.create_task(live())
        await asyncio.wait(
            [self._life, asyncio.create_task(ready.wait())], return_when="FIRST_COMPLETED"
        )
        assert ready.is_set(), self._life.exception()

    def close(self) -> None:
        """End the server where it stands: nothing that runs is waited for."""
        self.loop.run(self._close())

    async def _close(self) -> None:
        self._stop.set()
        await asyncio.wait_for(self._life, 10)

    async def turn(self, times: int) -> None:
        """Let it go on for as long as its store takes to answer so many questions."""
        for _ in range(times):
            await self.context.accounts.store.read.tasks(["nobody"])

    def leave(self) -> None:
        """Give everything back."""
        self.loop.close()
        self._folder.cleanup()

    def stored(self) -> list[tuple[Task, list[TaskEvent], Snapshot | None]]:
        """Every task with its log and its final snapshot, as of one moment."""
        with closing(sqlite3.connect(self.path / "safelight.sqlite3")) as database:
            database.row_factory = sqlite3.Row
            database.execute("BEGIN")
            tasks = [task_of(row) for row in database.execute(LIVE)]
            logs: dict[str, list[TaskEvent]] = {task.uid: [] for task in tasks}
            for row in database.execute("SELECT uid, seq, body FROM events ORDER BY uid, seq"):
                logs[row["uid"]].append(decode_event(row["body"].encode()))
            ends = {
                row["uid"]: msgspec.json.decode(row["body"], type=Snapshot)
                for row in database.execute("SELECT uid, body FROM snapshots")
            }
        return [(task, logs[task.uid], ends.get(task.uid)) for task in tasks]


class Orchestra(RuleBasedStateMachine):
    """One directory, one provider, and whatever happens to both."""

    house: House

    @initialize(billed=st.booleans(), resumable=st.booleans())
    def opens(self, billed: bool, resumable: bool) -> None:
        self.house = House(Scripted(billed=billed, resumable=resumable))

    @rule(
        id=IDS,
        key=KEYS,
        script=st.sampled_from(sorted(SCRIPTS)),
        seed=st.none() | st.just(7),
        times=st.integers(1, 3),
    )
    def create(self, id: Any, key: Any, script: str, seed: Any, times: int) -> None:
        """The same request, at once, from several callers: one task or the same refusal."""
        asked = {"id": id, "request_id": key, "seed": seed, "params": {"script": SCRIPTS[script]}}
        given = {name: value for name, value in asked.items() if value is not None}
        command = read_native({"kind": "image", "prompt": "x", "model": "scripted/image"} | given)

        async def several() -> list[Any]:
            create = self.house.context.orchestrator.create
            return await asyncio.gather(
                *(create("local", command) for _ in range(times)), return_exceptions=True
            )

        answers = self.house.loop.run(several())
        refused = {one.code.name for one in answers if isinstance(one, Refused)}
        made = {one.task.uid for one in answers if not isinstance(one, Exception)}
        assert len(refused) + len(made) == 1
        assert refused <= {"id_conflict", "key_reused"}

    @rule(scripts=st.lists(st.sampled_from(sorted(SCRIPTS)), min_size=2, max_size=6))
    def a_crowd_comes(self, scripts: list[str]) -> None:
        """Different tasks at once, more than there are places."""
        bodies = [
            {"kind": "image", "prompt": "x", "model": "scripted/image", "reuse": "never"}
            | {"params": {"script": SCRIPTS[name]}}
            for name in scripts
        ]

        async def several() -> list[Any]:
            create = self.house.context.orchestrator.create
            return await asyncio.gather(*(create("local", read_native(body)) for body in bodies))

        assert len({answer.task.uid for answer in self.house.loop.run(several())}) == len(bodies)

    @rule(pick=st.integers(0, 30), times=st.integers(1, 2))
    def cancel(self, pick: int, times: int) -> None:
        """A cancel, perhaps twice at once, of any task there is."""
        tasks = self.house.stored()
        if not tasks:
            return
        id = tasks[pick % len(tasks)][0].id

        async def several() -> list[Snapshot]:
            asking = self.house.context.orchestrator.cancel
            return await asyncio.gather(*(asking("local", id) for _ in range(times)))

        for snapshot in self.house.loop.run(several()):
            assert snapshot.canceling or snapshot.status in TERMINAL

    @rule(gate=st.sampled_from("ab"))
    def a_gate_opens(self, gate: str) -> None:
        """What waits there goes on, now and later."""
        self.house.provider.gate(gate).set()

    @rule(deaf=st.booleans(), silent=st.integers(0, 3))
    def the_provider_is_ill(self, deaf: bool, silent: int) -> None:
        """It hears no cancel, or cannot be asked what it knows for some times."""
        self.house.provider.deaf = deaf
        self.house.provider.answers.extend([Unclear("not now")] * silent)

    @rule(turns=st.integers(1, 40))
    def time_passes(self, turns: int) -> None:
        """The server goes on while its store answers so often, and is cut off there."""
        self.house.loop.run(self.house.turn(turns))

    @rule()
    def restart(self) -> None:
        """Down and up again on the same file."""
        self.house.close()
        self.house.open()

    @invariant()
    def every_task_is_whole(self) -> None:
        if hasattr(self, "house"):
            stored = self.house.stored()
            for task, log, end in stored:
                check_task(task, log, end)
            live = sum(not task.ended for task, *_ in stored)
            assert self.house.context.orchestrator.statistics()["live"] >= live
            check_starts(self.house.provider, stored)

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        try:
            provider = self.house.provider
            provider.deaf = False
            provider.answers.clear()
            for gate in ("a", "b", "end"):
                provider.gate(gate).set()
            self.house.loop.run(self._comes_to_rest())
            self.every_task_is_whole()
            assert all(task.ended for task, *_ in self.house.stored())
            self.house.close()
        finally:
            self.house.leave()

    async def _comes_to_rest(self) -> None:
        """Every task ends, and nothing of any is left: place, run, doubt, or care."""
        names = ("live", "waiting", "running", "predictions", "in_doubt")
        counts = self.house.context.orchestrator.statistics
        await until(lambda: not any(map(counts().get, names)), 60.0)


def check_task(task: Task, log: list[TaskEvent], end: Snapshot | None) -> None:
    """A dense log with at most one end, which is the last; the row and its fold agree."""
    assert [event.seq for event in log] == list(range(1, task.seq + 1))
    ends = [event.seq for event in log if event.status in TERMINAL]
    assert ends == ([task.seq] if task.ended else [])
    snapshot = opening(task)
    for event in log:
        snapshot = fold(snapshot, event)
    assert (snapshot.status, snapshot.attempt) == (task.status, task.attempt)
    assert (snapshot.progress, snapshot.canceling) == (task.progress, task.canceling)
    assert end == (snapshot if task.ended else None)


def check_starts(
    provider: Scripted, stored: list[tuple[Task, list[TaskEvent], Snapshot | None]]
) -> None:
    """No attempt reached the provider twice, and none that the log does not know; where a
    second start could be billed, a doubt leads to none."""
    assert all(count == 1 for count in Counter(provider.started).values())
    starts = Counter(uid for uid, _ in provider.started)
    attempts = {task.uid: task.attempt for task, *_ in stored}
    assert all(attempt <= attempts[uid] for uid, attempt in provider.started)
    for task, log, _ in stored:
        claims = sum(isinstance(event, Started) for event in log)
        ended_before = sum(isinstance(event, Retrying) for event in log)
        assert starts[task.uid] <= claims <= ended_before + 1
        doubtful = task.asked.params["script"] in [SCRIPTS[name] for name in DOUBTFUL]
        assert starts[task.uid] <= 1 or not (provider.billed and doubtful)


TestOrchestra = Orchestra.TestCase
TestOrchestra.pytestmark = pytest.mark.slow
TestOrchestra.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
