"""What is kept beside the rows of deliveries and ledger is what follows from them.

Whatever is written, and in whichever order; and a database of before gets it (migration 0013).
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.store import (
    Correction,
    Deferral,
    DeliveryRow,
    Forgetting,
    Postponed,
    Revived,
    Sent,
    Store,
    open_store,
)
from safelight.store import deliveries as sent
from safelight.store import ledger as money
from safelight_protocol import inputs as happened
from safelight_protocol import lifecycle
from tests.doubles.follows import holds
from tests.doubles.lives import NOW, example, fresh
from tests.doubles.writes import birth, change, create, creation, written
from tests.server.store.test_contract_ledger import CLAIMED, DAY, SPENT, line

MIGRATIONS = Path(__file__).parents[3] / "server/safelight/store/migrations"
FILE = "safelight.sqlite3"

owners = st.sampled_from(["ann", "bob"])
hosts = st.sampled_from(["", "a.example", "b.example"])
times = st.integers(NOW, NOW + 5)
ids = st.integers(0, 9)

notice_acts = st.one_of(
    st.tuples(st.just("give"), ids, owners, hosts, times),
    st.tuples(st.just("send"), ids),
    st.tuples(st.just("postpone"), ids, times),
    st.tuples(st.just("give up"), ids, times),
    st.tuples(st.just("revive"), ids, owners, times),
    st.tuples(st.just("drop"), ids, owners),
    st.tuples(st.just("forget"), times),
)


def _row(id: str, owner: str, host: str, at: int, state: Any = "waiting") -> DeliveryRow:
    return DeliveryRow(
        id=id,
        owner=owner,
        task_id="t",
        seq=1,
        type="task.completed",
        url="u",
        host=host,
        body="{}",
        state=state,
        next_at=at,
        created_at=at,
        updated_at=at,
    )


async def give(store: Store, row: DeliveryRow) -> None:
    """A notice comes with a move of a task of its own."""
    task = await create(store, fresh(row.id))
    move = change(task, lifecycle.step(task, CLAIMED, NOW), CLAIMED)
    await store.put(msgspec.structs.replace(move, notice=row))


async def act(store: Store, made: set[int], what: tuple[Any, ...]) -> None:
    """One thing that happens to notices."""
    match what:
        case ("give", number, owner, host, at) if number not in made:
            made.add(number)
            await give(store, _row(f"m{number}", owner, host, at))
        case ("send", number):
            await store.put(Sent(f"m{number}"))
        case ("postpone", number, at):
            await store.put(Postponed(f"m{number}", 1, at, "no", NOW))
        case ("give up", number, at):
            await store.put(Postponed(f"m{number}", 1, None, "no", at))
        case ("revive", number, owner, at):
            await store.put(Revived(f"m{number}", owner, at))
        case ("drop", number, owner):
            await store.put(Sent(f"m{number}", owner))
        case ("forget", before):
            await store.put(Forgetting(before, 2))


@given(st.lists(notice_acts, max_size=30))
@settings(max_examples=20, deadline=None)
def test_lines_follow_their_notices(acts: list[tuple[Any, ...]]) -> None:
    """Each line has its first one, and is there as long as something waits in it."""

    async def run(folder: Path) -> None:
        async with open_store(folder, NOW) as store:
            made: set[int] = set()
            for what in acts:
                await act(store, made, what)
                holds(folder)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


charge_acts = st.tuples(
    st.sampled_from(["u1", "u2", "u3"]),
    st.integers(1, 3),
    st.sampled_from(["charged", "estimated", "unknown", None]),
    st.sampled_from(["USD", "USD", "EUR"]),
    st.integers(0, 9),
    st.integers(DAY - 1, DAY),
    st.sampled_from(["m", "n"]),
)


@given(
    st.lists(charge_acts, max_size=9, unique_by=lambda one: one[:2]),
    st.lists(charge_acts, max_size=9),
    st.sets(st.sampled_from(["u1", "u2", "u3"])),
)
@settings(max_examples=20, deadline=None)
def test_sums_follow_the_lines(
    charges: list[tuple[Any, ...]], corrections: list[tuple[Any, ...]], ends: set[str]
) -> None:
    """Of each day and model, and what is open: whatever is charged, corrected twice, or of
    other money, and whichever tasks have ended."""

    async def run(folder: Path) -> None:
        async with open_store(folder, NOW) as store:
            lives = {
                uid: await written(store, uid, CLAIMED, task=fresh(uid, spent=SPENT))
                for uid in ("u1", "u2", "u3")
            }
            entries = tuple(_entry("charge", one) for one in charges)
            made = msgspec.structs.replace(birth(fresh("u9")), entries=entries)
            await store.put(creation(fresh("u9"), bear=lambda: made))
            holds(folder)
            for uid in sorted(ends):
                await lives[uid].move(example(happened.Finished))
                holds(folder)
            for one in corrections:
                await store.put(Deferral(one[0], one[1], 1, NOW))
                await store.put(Correction(_entry("correction", one)))
                holds(folder)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


def _entry(kind: str, one: tuple[Any, ...]) -> Any:
    uid, attempt, verdict, currency, amount, day, model = one
    more = {"attempt": attempt, "verdict": verdict, "currency": currency}
    return line(kind, amount, uid, counts=amount * 2, day=day, model=model, **more)


RUNNING = """
INSERT INTO tasks (n, uid, owner, id, fingerprint, state, attempt, faults, claim, seq, progress,
    handle_told, canceling, created_at, updated_at, changed)
VALUES (1, 'u3', 'ann', 'u3', 'f', 'running', 2, 1, 2, 3, 0, 0, 0, 1, 1, 1)
"""


def _before(folder: Path) -> None:
    """A database as the version before left it: its schema, and rows of every kind."""
    plain = sqlite3.connect(folder / FILE)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:12]:
        plain.executescript(file.read_text())
    rows = [
        _row("m1", "ann", "a.example", NOW + 2),
        _row("m2", "ann", "a.example", NOW + 1),
        _row("m3", "ann", "b.example", NOW),
        _row("m4", "bob", "a.example", NOW),
        _row("m5", "bob", "b.example", NOW, state="dead"),
    ]
    entries = [
        line("hold", 500),
        line("charge", 5, verdict="charged"),
        line("charge", 7, attempt=2, verdict="estimated", model="n"),
        line("charge", 0, attempt=3, counts=30, verdict="unknown", day=DAY - 1),
        line("correction", 20, attempt=3, counts=-10, verdict="charged", day=DAY - 1),
        line("charge", 0, attempt=4, counts=30, verdict="unknown"),
        line("charge", 9, attempt=5, verdict="charged", currency="EUR"),
        line("charge", 3, "u2", owner="bob"),
        line("release", -500),
        line("charge", 0, "u3", counts=30, verdict="unknown", day=DAY - 2),
    ]
    for insert, made in ((sent.INSERT, rows), (money.INSERT, entries)):
        values = [msgspec.structs.astuple(one) for one in made]
        plain.executemany(f"{insert} ({', '.join('?' * len(values[0]))})", values)
    plain.execute(RUNNING)
    plain.execute("PRAGMA user_version=12")
    plain.commit()
    plain.close()


async def test_a_database_of_before_gets_what_follows(tmp_path: Path) -> None:
    """Its notices are due as they were, its sums are those of its lines, and what was open is
    asked for at once; what is written then is taken in as ever."""
    _before(tmp_path)
    async with open_store(tmp_path, NOW) as store:
        assert holds(tmp_path) == {
            "delivery_lines": 3,
            "day_sums": 5,
            "what counts": 4,
            "open_charges": 2,
        }
        read = store.read
        due = await read.deliveries.due("ann", NOW + 9, hosts=[], but=[], limit=9)
        assert [row.id for row in due] == ["m3", "m2", "m1"]
        assert await read.deliveries.owners("", 9) == [("ann", NOW), ("bob", NOW)]
        assert [total.amount for total in await read.ledger.totals("ann", 0, DAY)] == [5, 7, 20, 0]
        assert await read.ledger.spent(DAY) == {"ann": 51, "bob": 3}
        ((tries, charge),) = await read.ledger.unsettled("p", NOW, 9)
        assert (tries, charge.attempt) == (0, 4)
        await store.put(Sent("m3"))
        await store.put(Correction(line("correction", 1, attempt=4, verdict="charged")))
        assert holds(tmp_path)["delivery_lines"] == 2


async def test_pages_of_lines_go_by_days(tmp_path: Path) -> None:
    """Every line once, the last day first and the newest of each first, in pages of any size;
    a correction is beside what it corrects. A number that is no line begins with the last day."""
    _before(tmp_path)
    async with open_store(tmp_path, NOW) as store:
        lines = store.read.ledger.lines
        whole = [n for n, _ in await lines("ann", DAY - 9, DAY, 2**62, 99)]
        assert whole == [9, 7, 6, 3, 2, 1, 5, 4, 10]
        for size in (1, 2, 3):
            found: list[int] = []
            before = 2**62
            while page := await lines("ann", DAY - 9, DAY, before, size):
                before = page[-1][0]
                found += [n for n, _ in page]
            assert found == whole
        assert [n for n, _ in await lines("ann", DAY - 1, DAY - 1, 9, 9)] == [5, 4]
        assert await lines("ann", DAY, DAY, 5, 9) == []
        assert [n for n, _ in await lines("ann", DAY, DAY, 8, 9)] == [7, 6, 3, 2, 1]
