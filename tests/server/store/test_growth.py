"""What is asked again and again costs what it gives, not what has gathered: counted.

The same questions over a thousand rows and over ten thousand, each by the steps that SQLite's
machine makes for it. The rows are put in by hand into the store's own schema, with the order
in which they are worst to meet. Nothing here is timed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.store import Entry, open_store
from safelight.store import deliveries as sent
from safelight.store import ledger as money
from safelight.store.deliveries import Deliveries
from safelight.store.ledger import Ledger
from tests.doubles.lives import NOW

SMALL, LARGE = 1_000, 10_000
DAY = NOW // 86_400_000
LATE = NOW + 10**9

FOLLOWS = """
INSERT INTO delivery_lines SELECT owner, host, min(next_at) FROM deliveries
    WHERE state = 'waiting' GROUP BY owner, host;
INSERT INTO day_sums SELECT owner, day, model, provider, count(*), sum(amount), count(*), 0, 0,
    sum(counts) FROM ledger GROUP BY owner, day, model, provider;
INSERT INTO open_charges SELECT n, uid, attempt, owner, day, provider, 0, at FROM ledger
    WHERE verdict = 'unknown' AND uid GLOB 'open*';
"""


def _notices(rows: int) -> list[tuple[Any, ...]]:
    """One hanging receiver of eve's, as many names of mallory's, what died, and ann's one."""
    made = []
    for n in range(rows):
        for owner, host, state, at in (
            ("eve", "hangs", "waiting", NOW),
            ("mallory", f"h{n}.example", "waiting", LATE),
            ("eve", "hangs", "dead", NOW),
        ):
            id = f"{owner}-{state}-{n:06}"
            made.append((id, owner, "t", 1, "x", "u", host, "{}", state, 0, at + n, None, n, n))
    good = ("eve", "good", "waiting", LATE - 1)
    made.append(("good", good[0], "t", 1, "x", "u", good[1], "{}", good[2], 0, good[3], None, 0, 0))
    return made


def _lines(rows: int) -> list[tuple[Any, ...]]:
    """An old day, a long today, charges that were learnt, and charges that were not."""
    plain = Entry(
        entry="charge",
        uid="",
        owner="eve",
        id="",
        attempt=1,
        amount=1,
        counts=1,
        kind="image",
        model="m",
        provider="p",
        at=NOW,
        day=DAY,
    )
    made: list[tuple[Any, ...]] = []

    def add(**more: Any) -> None:
        made.append(msgspec.structs.astuple(msgspec.structs.replace(plain, **more)))

    for n in range(rows):
        add(uid=f"old-{n}", day=DAY - 20)
        add(uid=f"open-{n}", verdict="unknown", day=DAY - 3)
        add(uid=f"learnt-{n}", verdict="unknown", day=DAY - 3)
        add(uid=f"learnt-{n}", verdict="charged", entry="correction", day=DAY - 3)
        add(uid=f"new-{n}")
    return made


async def _made(folder: Path) -> None:
    async with open_store(folder, NOW):
        pass


def _filled(folder: Path, rows: int) -> sqlite3.Connection:
    asyncio.run(_made(folder))
    connection = sqlite3.connect(folder / "safelight.sqlite3", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    for insert, made in ((sent.INSERT, _notices(rows)), (money.INSERT, _lines(rows))):
        connection.executemany(f"{insert} ({', '.join('?' * len(made[0]))})", made)
    connection.execute("COMMIT")
    connection.executescript(FOLLOWS)
    return connection


class Counted:
    """Asks one connection, and counts the steps."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.steps = 0

    def _step(self) -> int:
        self.steps += 1
        return 0

    async def ask(self, statement: str, *bound: Any) -> list[sqlite3.Row]:
        """As the reader does."""
        self._connection.set_progress_handler(self._step, 1)
        try:
            return self._connection.execute(statement, bound).fetchall()
        finally:
            self._connection.set_progress_handler(None, 1)


Ask = Callable[[Deliveries, Ledger], Awaitable[Any]]
HANGING = [f"eve-waiting-{n:06}" for n in range(4)]

QUESTIONS: dict[str, Ask] = {
    "what is due": lambda d, _: d.due("eve", LATE, hosts=[], but=[], limit=4),
    "what is due behind a host that hangs": lambda d, _: d.due(
        "eve", LATE, hosts=["hangs"], but=HANGING, limit=4
    ),
    "what is due of many hosts": lambda d, _: d.due("mallory", LATE * 2, hosts=[], but=[], limit=4),
    "nothing is due of many hosts": lambda d, _: d.due("mallory", NOW, hosts=[], but=[], limit=4),
    "when the next is due": lambda d, _: d.next_at("eve", NOW, ["hangs"]),
    "when the next of many hosts is due": lambda d, _: d.next_at("mallory", NOW, []),
    "whose turn it may be": lambda d, _: d.owners("", 100),
    "a page of the dead": lambda d, _: d.page("eve", "dead", (2**62, ""), 51),
    "a deep page of the dead": lambda d, _: d.page("eve", "dead", (500, ""), 51),
    "whether an old one is dead": lambda d, _: d.has_old(LATE),
    "a page of the newest lines": lambda _, m: m.lines("eve", DAY - 30, DAY, 2**62, 50),
    "a page of an old day": lambda _, m: m.lines("eve", DAY - 20, DAY - 20, 2**62, 50),
    "a deep page of lines": lambda _, m: m.lines("eve", DAY - 30, DAY, 2_501, 50),
    "the sums of a month": lambda _, m: m.totals("eve", DAY - 30, DAY),
    "what was spent today": lambda _, m: m.spent(DAY),
    "what is unknown": lambda _, m: m.unknown("eve", DAY - 30, DAY, 50),
    "when a provider is to be asked": lambda _, m: m.open_at(),
    "what a provider is to be asked": lambda _, m: m.unsettled("p", LATE, 100),
    "nothing is due of a provider": lambda _, m: m.unsettled("p", NOW - 1, 100),
    "whether anything is open": lambda _, m: m.has_open(),
}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Counted]]:
    """A small database and one of ten times its size."""
    folders = [tmp_path_factory.mktemp("growth") for _ in range(2)]
    made = [_filled(folder, rows) for folder, rows in zip(folders, (SMALL, LARGE), strict=True)]
    yield [Counted(connection) for connection in made]
    for connection in made:
        connection.close()


@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_question_costs_what_it_gives(counted: list[Counted], name: str) -> None:
    """The answer is as long over ten times the rows, and takes as many steps, but for a few."""
    costs, lengths = [], []
    for one in counted:
        one.steps = 0
        answer = await QUESTIONS[name](Deliveries(one.ask), Ledger(one.ask))
        costs.append(one.steps)
        lengths.append(len(answer) if isinstance(answer, list | dict) else answer is not None)
    assert lengths[0] == lengths[1]
    assert costs[0] > 0
    assert costs[1] <= costs[0] + 20, costs


WRITES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "one is sent": (sent.SENT, ("eve-waiting-000000",)),
    "a line gets its next": (sent.LINE_UP, ("eve", "hangs")),
    "a line may be empty": (sent.LINE_DOWN, ("eve", "hangs")),
    "some old dead go": (sent.FORGET, (LATE, 50)),
}


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_costs_what_it_writes(counted: list[Counted], name: str) -> None:
    """Whatever waits beside the rows that it touches."""
    statement, bound = WRITES[name]
    costs = []
    for one in counted:
        one.steps = 0
        await one.ask("BEGIN")
        await one.ask(statement, *bound)
        await one.ask("ROLLBACK")
        costs.append(one.steps)
    assert costs[1] <= costs[0] + 20, costs


async def test_the_watch_is_awake(counted: list[Counted]) -> None:
    """A statement that goes through what waits is found."""
    costs = []
    for one in counted:
        one.steps = 0
        await one.ask("SELECT count(*) FROM deliveries WHERE owner = 'eve'")
        costs.append(one.steps)
    assert costs[1] > 5 * costs[0]
