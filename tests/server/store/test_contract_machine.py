"""Random histories of a store: whatever is asked of it, it and a dictionary agree.

Creates, moves, removals, sweeps, restarts and crashes come in any order. The dictionary
knows the decision table only by its words (design, section 3.1), not by our code. A crash
is a copy of the files while the store is open, which is what a power cut would leave.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from safelight.store import Created, Fenced, LiveRow, Removal, Store, Sweep, Swept, open_store
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from safelight_protocol.codes import Refused
from safelight_protocol.events import TERMINAL, decode_event
from safelight_protocol.identity import Reuse
from safelight_protocol.task import State, Task
from tests.doubles.lives import NOW, asked, example, fresh
from tests.doubles.writes import change, creation

OWNERS = st.sampled_from(["ann", "bob"])
IDS = st.none() | st.sampled_from(["x", "y", "z"])
KEYS = st.none() | st.sampled_from(["k", "l"])
PROMPTS = st.sampled_from(["a cat", "a dog"])
REUSES: st.SearchStrategy[Reuse] = st.sampled_from(["never", "inflight", "completed"])
TERMS: tuple[happened.Happening, ...] = (
    example(happened.Finished),
    example(happened.GaveUp),
    happened.Stopped(),
)
MOVES: dict[State, tuple[happened.Happening, ...]] = {
    State.QUEUED: (happened.Claimed(NOW + 60_000, "http://here"), happened.CancelAsked()),
    State.STARTING: (happened.Wrote("a"), happened.HandleSaved("p"), *TERMS),
    State.RUNNING: (happened.Wrote("b"), happened.CancelAsked(), *TERMS),
    State.CANCELING: (happened.Wrote("c"), *TERMS),
}

TALKING = (State.STARTING, State.RUNNING)


def left_of(task: Task) -> LiveRow:
    """What a start is told of a live task."""
    ran = task.ran
    times = (task.created_at, task.not_before)
    where = (ran.provider, ran.backend, task.place)
    return LiveRow(task.uid, task.state, *times, *where, task.owner, ran.model)


class Kept:
    """What the dictionary knows of a task; `first` is the first event that is kept."""

    def __init__(self, task: Task, changed: int) -> None:
        self.task = task
        self.changed = changed
        self.first = 1
        self.swept = False
        self.past: list[Task] = []

    def alike(self, owner: str, prompt: str) -> bool:
        return self.task.owner == owner and self.task.asked.prompt == prompt


class StoreMachine(RuleBasedStateMachine):
    """A store, opened again and again, beside a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="store-machine-"))
        self.lives = 0
        self.now = NOW
        self.born = 0
        self.tasks: dict[str, Kept] = {}  # by uid, in the order of creation
        self.keys: dict[tuple[str, str], str] = {}
        self.gone: dict[tuple[str, str], int] = {}
        self.position = 0
        self.runs: list[tuple[int, str]] = []

    @initialize()
    def begin(self) -> None:
        self.open()

    def open(self) -> None:
        self.context: AbstractAsyncContextManager[Store] = open_store(
            self.folder / str(self.lives), NOW
        )
        self.store = self.runner.run(self.context.__aenter__())
        self.runs.append((self.store.run, self.store.log))

    def close(self) -> None:
        self.runner.run(self.context.__aexit__(None, None, None))

    def teardown(self) -> None:
        with suppress(AttributeError):
            self.close()
        self.runner.close()
        shutil.rmtree(self.folder)

    def put(self, *items: Any) -> list[Any]:
        async def together() -> list[Any]:
            return await asyncio.gather(*map(self.store.put, items), return_exceptions=True)

        return self.runner.run(together())

    def read(self, name: str, *arguments: Any) -> Any:
        return self.runner.run(getattr(self.store.read, name)(*arguments))

    # -- creations -----------------------------------------------------------

    @rule(asks=st.lists(st.tuples(OWNERS, IDS, KEYS, PROMPTS, REUSES), min_size=1, max_size=3))
    def create(self, asks: list[tuple[str, str | None, str | None, str, Reuse]]) -> None:
        """Several creators in one instant are decided one after the other."""
        uids = [f"u{self.born + place}" for place in range(len(asks))]
        self.born += len(asks)
        outcomes = self.put(*map(self._asked, uids, asks))
        for uid, ask, outcome in zip(uids, asks, outcomes, strict=True):
            expected = self._expected(uid, *ask)
            if isinstance(outcome, Refused):
                assert outcome.code.name == expected
                continue
            assert isinstance(outcome, Created), outcome
            assert (outcome.task.uid, outcome.fresh) == (expected, expected == uid)
            if outcome.fresh:
                self.position += 1
                self.tasks[uid] = Kept(outcome.task, self.position)
            if ask[2] is not None:
                self.keys[ask[0], ask[2]] = expected

    def _asked(self, uid: str, ask: tuple[str, str | None, str | None, str, Reuse]) -> Any:
        owner, id, key, prompt, reuse = ask
        task = fresh(uid, owner=owner, asked=asked(prompt=prompt))
        return creation(task, id=id, key=key, reuse=reuse)

    def _expected(
        self, uid: str, owner: str, id: str | None, key: str | None, prompt: str, reuse: Reuse
    ) -> str:
        """The uid that it comes to, or the code of the refusal: the table, in words."""
        by_id = next(
            (u for u, k in self.tasks.items() if (k.task.owner, k.task.id) == (owner, id)), None
        )
        by_key = self.keys.get((owner, key or ""))
        if (owner, id or "") in self.gone or (by_key is not None and by_key not in self.tasks):
            return "gone"
        if by_id is not None and by_key not in (None, by_id):
            return "key_reused"
        found = by_id or by_key
        if found is not None:
            same = self.tasks[found].alike(owner, prompt)
            return found if same else "id_conflict" if by_id else "key_reused"
        if id is not None or reuse == "never":
            return uid
        like = {u: k.task for u, k in self.tasks.items() if k.alike(owner, prompt)}
        running = [u for u, t in like.items() if not t.ended and t.state is not State.CANCELING]
        done = [u for u, t in like.items() if t.state is State.COMPLETED]
        return (running[:1] or (done[-1:] if reuse == "completed" else []) or [uid])[0]

    # -- changes -------------------------------------------------------------

    def alive(self) -> list[Kept]:
        return [kept for kept in self.tasks.values() if not kept.task.ended]

    def ended(self) -> list[Kept]:
        """In the order of their ends."""
        found = [kept for kept in self.tasks.values() if kept.task.ended]
        return sorted(found, key=lambda kept: kept.task.ended_at or 0)

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """A step of the lifecycle is written as it is, and never twice from one place."""
        kept = data.draw(st.sampled_from(self.alive()))
        happening = data.draw(st.sampled_from(MOVES[kept.task.state]))
        self._move(kept, happening)

    def _move(self, kept: Kept, happening: happened.Happening) -> None:
        self.now += 1
        step = lifecycle.step(kept.task, happening, self.now)
        if step.late:
            return
        moving = change(kept.task, step, happening)
        first, second = self.put(moving, moving)
        assert first == step.task and isinstance(second, Fenced)
        kept.past.append(kept.task)
        kept.task = step.task
        self.position += 1
        kept.changed = self.position

    @precondition(lambda self: any(k.task.state in TALKING for k in self.tasks.values()))
    @rule(data=st.data(), words=st.integers(1, 5))
    def talk(self, data: st.DataObject, words: int) -> None:
        """Several events of one task, one after the other."""
        kept = data.draw(st.sampled_from([k for k in self.alive() if k.task.state in TALKING]))
        for _ in range(words):
            self._move(kept, happened.Wrote("a"))

    @precondition(lambda self: any(kept.past for kept in self.tasks.values()))
    @rule(data=st.data())
    def come_too_late(self, data: st.DataObject) -> None:
        """Whoever goes by what the task once was is fenced."""
        kept = data.draw(st.sampled_from([k for k in self.tasks.values() if k.past]))
        past = data.draw(st.sampled_from(kept.past))
        wrong = msgspec.structs.replace(past, seq=past.seq + 1, progress=0.99)
        (outcome,) = self.put(change(past, lifecycle.Step(wrong)))
        assert isinstance(outcome, Fenced)

    # -- what goes -----------------------------------------------------------

    def _removed(self, kept: Kept) -> None:
        del self.tasks[kept.task.uid]
        self.position += 1
        self.gone[kept.task.owner, kept.task.id] = self.position

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Only what has ended goes, and only once."""
        kept = data.draw(st.sampled_from(list(self.tasks.values())))
        outcomes = self.put(Removal(kept.task), Removal(kept.task))
        if not kept.task.ended:
            assert [type(outcome) for outcome in outcomes] == [Fenced, Fenced]
            return
        assert outcomes[0] == [] and isinstance(outcomes[1], Fenced)
        self._removed(kept)

    @precondition(lambda self: self.ended())
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """What has ended by a time is found, the first to end first, and goes."""
        before = data.draw(st.sampled_from([kept.task.ended_at or 0 for kept in self.ended()]))
        due = [kept for kept in self.ended() if (kept.task.ended_at or 0) <= before][:2]
        assert self.read("expired", before, 2) == [kept.task for kept in due]
        for kept in due:
            assert self.put(Removal(kept.task)) == [[]]
            self._removed(kept)

    @precondition(lambda self: self.ended())
    @rule(data=st.data(), tasks=st.integers(1, 3), events=st.integers(1, 3))
    def sweep(self, data: st.DataObject, tasks: int, events: int) -> None:
        """A step takes the oldest events of the logs that ended first, within its bounds."""
        before = data.draw(st.sampled_from([kept.task.ended_at or 0 for kept in self.ended()]))
        due = [k for k in self.ended() if not k.swept and (k.task.ended_at or 0) <= before]
        assert self.read("has_due_log", before) is bool(due)
        took, done = 0, 0
        for kept in due[:tasks]:
            gone = min(kept.task.seq - kept.first, events - took)
            kept.first, took = kept.first + gone, took + gone
            kept.swept = kept.first == kept.task.seq
            done += kept.swept
        uids = tuple(kept.task.uid for kept in due[:tasks])
        assert self.put(Sweep(before, tasks, events)) == [Swept(uids, done, took)]

    # -- restarts ------------------------------------------------------------

    @rule()
    def reopen(self) -> None:
        """Stopped and started."""
        self.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """What a power cut would leave is opened; the store of before is never heard again."""
        here, there = self.folder / str(self.lives), self.folder / str(self.lives + 1)
        there.mkdir()
        for name in ("safelight.sqlite3", "safelight.sqlite3-wal"):
            if (here / name).exists():
                shutil.copy(here / name, there / name)
        self.close()
        shutil.rmtree(here)
        self.lives += 1
        self.open()

    # -- what always holds ---------------------------------------------------

    @invariant()
    def rows_and_logs_agree(self) -> None:
        """Each task is as it was left; its log is dense up to its end, which is kept."""
        assert self.read("tasks", list(self.tasks)) == {
            uid: kept.task for uid, kept in self.tasks.items()
        }
        for uid, kept in self.tasks.items():
            assert self.read("task", kept.task.owner, kept.task.id) == kept.task
            rows = self.read("events", uid, 0, 1000)
            assert [row.seq for row in rows] == list(range(kept.first, kept.task.seq + 1))
            ends = [decode_event(row.body).status in TERMINAL for row in rows]
            assert ends == [False] * (len(rows) - 1) + [kept.task.ended]
            assert bool(self.read("snapshots", [uid])) is kept.task.ended
        assert self.read("live") == [left_of(kept.task) for kept in self.alive()]

    @invariant()
    def positions_count_changes(self) -> None:
        """The newest change is the position, and each owner's changes are in order."""
        assert self.store.position == self.position
        for owner in ("ann", "bob"):
            told = [(row.uid, row.id, row.changed) for row in self.read("changes", owner, 0, 1000)]
            mine = [k for k in self.tasks.values() if k.task.owner == owner]
            expected = [(k.task.uid, k.task.id, k.changed) for k in mine]
            expected += [(None, id, n) for (who, id), n in self.gone.items() if who == owner]
            assert told == sorted(expected, key=lambda row: row[2])

    @invariant()
    def what_is_gone_says_so(self) -> None:
        """Every tombstone stays."""
        assert all(self.read("is_gone", owner, id) for owner, id in self.gone)

    @invariant()
    def every_start_has_a_log(self) -> None:
        """Runs count up, and no two logs have one id."""
        assert [run for run, _ in self.runs] == list(range(1, len(self.runs) + 1))
        assert len({log for _, log in self.runs}) == len(self.runs)


StoreMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, print_blob=True
)


@pytest.mark.timeout(120)
class TestStore(StoreMachine.TestCase):
    """Any history of the store."""
