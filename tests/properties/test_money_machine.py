"""Random lives of priced tasks: what the ledger comes to is what the provider counted.

Everything between the doors and the provider is real, the file on disk included; the
provider keeps a count of its own and outlives the server. After each act the ledger is read
from the file and held against the tasks and the purse; at the end, once what was unknown
could be asked, its sum for every attempt must be the provider's.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import UNSET

from safelight.providers.scripted import Scripted
from safelight.purse import day_of
from safelight.reckoning import LONGEST_SECONDS, Reckoning
from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_native
from tests.doubles.follows import holds
from tests.doubles.priced import EACH, models_file
from tests.doubles.turns import until
from tests.properties.test_orchestrator_machine import House

BUDGET = 5 * EACH

SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "tells what it used": [{"do": "image"}, {"do": "done", "used": {"image": 1}}],
    "is counted by us": [{"do": "image"}],
    "says nothing and makes nothing": [{"do": "progress", "to": 0.4}],
    "names a charge": [{"do": "image"}, {"do": "done", "charge": 1200}],
    "waits": [{"do": "wait", "gate": "a"}, {"do": "image"}, {"do": "done", "used": {"image": 1}}],
    "fails once, paid": [{"do": "fault", "attempt": 1, "used": {"image": 1}}, {"do": "image"}],
    "fails once, for nothing": [
        {"do": "fault", "attempt": 1, "used": {"image": 0}, "bill": 0},
        {"do": "image"},
    ],
    "fails in silence": [{"do": "fault", "bill": 700}],
    "gives up, and is billed less": [{"do": "never", "bill": 10}],
    "loses the answer": [{"do": "answer_lost", "attempt": 1}, {"do": "image"}],
    "does not arrive": [{"do": "unreached", "attempt": 1}, {"do": "image"}],
    "answers late": [{"do": "start_hangs", "gate": "b"}, {"do": "image"}],
    "is lost": [{"do": "lost", "attempt": 1}, {"do": "image"}],
    "is in doubt": [{"do": "unclear", "attempt": 1}, {"do": "image"}],
    "lasts": [{"do": "wait", "gate": "end"}, {"do": "image"}],
}

LINES = "SELECT entry, uid, attempt, amount, counts, day FROM ledger ORDER BY n"
TASKS = "SELECT uid, ended_at IS NULL FROM tasks"

Marks = tuple[str, int]


class Money(RuleBasedStateMachine):
    """One directory, one provider that bills, one owner with a budget."""

    house: House
    waited = 0

    @initialize(resumable=st.booleans())
    def opens(self, resumable: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        provider = Scripted(billed=True, resumable=resumable, each=EACH)
        prices = {"models_file": models_file(Path(self.folder.name))}
        self.house = House(provider, **prices, budgets={"local": BUDGET / 1_000_000})

    @rule(
        scripts=st.lists(st.sampled_from(sorted(SCRIPTS)), min_size=1, max_size=4),
        max_cost=st.sampled_from([None, 0.003, 0.006, 0.02]),
        id=st.none() | st.sampled_from(["one", "two"]),
    )
    def create(self, scripts: list[str], max_cost: float | None, id: str | None) -> None:
        """Several at once: each is taken, attaches, or is refused for want of money."""
        bodies = [
            {"kind": "image", "prompt": name, "model": "scripted/image", "max_cost": max_cost}
            | {"params": {"script": SCRIPTS[name]}}
            | ({"reuse": "never"} if id is None else {"id": id})
            for name in scripts
        ]

        async def several() -> list[Any]:
            create = self.house.context.orchestrator.create
            asked = (create("local", read_native(body)) for body in bodies)
            return await asyncio.gather(*asked, return_exceptions=True)

        for answer in self.house.loop.run(several()):
            if isinstance(answer, BaseException):
                assert isinstance(answer, Refused), answer
                assert answer.code.name in ("payment_required", "id_conflict", "gone"), answer

    @rule(pick=st.integers(0, 30))
    def cancel(self, pick: int) -> None:
        """A cancel of any task there is."""
        tasks = self.house.stored()
        if tasks:
            id = tasks[pick % len(tasks)][0].id
            self.house.loop.run(self._cancel(id))

    async def _cancel(self, id: str) -> None:
        await self.house.context.orchestrator.cancel("local", id)

    @rule(pick=st.integers(0, 30))
    def delete(self, pick: int) -> None:
        """The task goes, its lines stay."""
        ended = [task for task, *_ in self.house.stored() if task.ended]
        if ended:
            self.house.loop.run(self._delete(ended[pick % len(ended)].id))

    async def _delete(self, id: str) -> None:
        """One whose end is on disk may not have been told of it yet."""
        try:
            await self.house.context.orchestrator.delete("local", id)
        except Refused as refused:
            assert refused.code.name == "still_running"

    @rule(gate=st.sampled_from("ab"))
    def a_gate_opens(self, gate: str) -> None:
        """What waits there goes on, now and later."""
        self.house.provider.gate(gate).set()

    @rule(deaf=st.booleans(), tells=st.booleans())
    def the_provider_changes(self, deaf: bool, tells: bool) -> None:
        """It hears no cancel; it can be asked what something cost, or not yet."""
        self.house.provider.deaf, self.house.provider.tells = deaf, tells

    @rule(turns=st.integers(1, 40))
    def time_passes(self, turns: int) -> None:
        """The server goes on while its store answers so often, and is cut off there."""
        self.house.loop.run(self.house.turn(turns))

    @rule()
    def reckon(self) -> None:
        """What is unknown is asked about, if the provider tells by now."""
        self.house.loop.run(self._reckon())

    @rule()
    def restart(self) -> None:
        """Down and up again on the same file."""
        self.house.close()
        self.house.open()

    @invariant()
    def the_ledger_is_whole(self) -> None:
        if hasattr(self, "house"):
            self.house.loop.run(self._check())

    async def _check(self) -> None:
        """In one turn of the loop: whatever is committed was booked, but for what is told in
        the next; so the purse may be ahead by holds and behind by charges, never the other
        way about."""
        live, lines = self._stored()
        held: Counter[str] = Counter()
        charges: Counter[Marks] = Counter()
        corrections: Counter[Marks] = Counter()
        for entry, uid, attempt, amount, _, _ in lines:
            if entry in ("hold", "release"):
                held[uid] += amount
            counted = {"charge": charges, "correction": corrections}.get(entry)
            if counted is not None:
                counted[uid, attempt] += 1
        assert all(count == 1 for count in (charges | corrections).values())
        assert all(held[uid] == EACH * (uid in live) for uid in held), "held as long as it lives"
        assert self._purse().left("local") >= 0, "a budget is never overdrawn"
        holds(self.house.path)

    def _purse(self) -> Any:
        return self.house.context.accounts.purse

    def _stored(self) -> tuple[set[str], list[tuple[str, str, int, int, int, int]]]:
        with closing(sqlite3.connect(self.house.path / "safelight.sqlite3")) as database:
            database.execute("BEGIN")
            live = {uid for uid, is_live in database.execute(TASKS) if is_live}
            lines = list(database.execute(LINES))
        return live, lines

    async def _reckon(self) -> None:
        context = self.house.context
        accounts, providers = context.accounts, {"scripted": self.house.provider}
        self.waited += round(LONGEST_SECONDS * 1000)  # past any pause, short of giving up
        reckoning = Reckoning(
            accounts.store,
            providers,
            accounts.purse,
            context.log,
            lambda: context.clock() + self.waited,
            anyio.sleep,
        )
        await reckoning.look()

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        try:
            self._come_to_rest()
            self._settles()
            self.house.close()
        finally:
            self.house.leave()
            self.folder.cleanup()

    def _come_to_rest(self) -> None:
        provider = self.house.provider
        provider.deaf, provider.tells = False, True
        for gate in ("a", "b", "end"):
            provider.gate(gate).set()
        self.house.loop.run(self._all_end())

    async def _all_end(self) -> None:
        names = ("live", "waiting", "running", "predictions", "in_doubt")
        counts = self.house.context.orchestrator.statistics
        await until(lambda: not any(map(counts().get, names)), 60.0)

    def _settles(self) -> None:
        """Nothing is held, the purse agrees with the file, and every attempt with its bill."""
        self.house.loop.run(self._reckon())
        live, lines = self._stored()
        assert not live and self._purse().held("local") == 0
        spent: Counter[Marks] = Counter()
        today = day_of(self.house.context.clock())
        counted = 0
        for entry, uid, attempt, amount, counts, day in lines:
            if entry in ("charge", "correction"):
                spent[uid, attempt] += amount
                counted += counts if day == today else 0
        bills = self.house.provider.bills
        assert {marks: spent[marks] for marks in spent.keys() | bills.keys()} == {
            marks: bills.get(marks, 0) for marks in spent.keys() | bills.keys()
        }
        assert self._purse().left("local") == BUDGET - counted
        for task, *_ in self.house.stored():
            terms = task.resolved.terms
            assert terms is not UNSET
            if terms.cap is not None:
                costs = sum(amount for (uid, _), amount in spent.items() if uid == task.uid)
                assert costs <= terms.cap


TestMoney = Money.TestCase
TestMoney.pytestmark = pytest.mark.slow
TestMoney.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
