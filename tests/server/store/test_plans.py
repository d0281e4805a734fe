"""No statement of the store reads its way through a table, whatever the tables hold.

The statements are taken from the modules themselves, so a new one is covered as soon as it is
written. A plan is asked for on a populated database, as it is and after ANALYZE, which an
operator may run and which lets SQLite choose another way.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import scale
from safelight.store import deliveries, filing, ledger, ledger_sums, statements

ALLOWED = {
    "LIVE": {"SCAN t USING INDEX tasks_live": "the index holds live tasks only"},
    "RUN_TIMES": {"SCAN t": "the last that ended, up to a limit, by their index"},
    "MEETABLE_TASKS": {"SCAN tasks USING INDEX tasks_live": "the index holds live tasks only"},
    "LEFTOVERS": {"SCAN leftovers": "by its key, up to a limit; most often it is empty"},
    "LAST_CHANGE": {"SCAN owners": "the recursion's own row"},
    "CHANGES": {
        "SCAN (subquery)": "at most three limits of rows",
        "USE TEMP B-TREE FOR ORDER BY": "of at most three limits of rows",
    },
    "PAGE": {
        "SCAN (subquery)": "at most two limits of numbers",
        "SCAN page": "a limit of numbers",
        "USE TEMP B-TREE FOR ORDER BY": "of at most two limits of numbers, then of a page",
    },
    "ARTIFACTS_OF": {"USE TEMP B-TREE FOR ORDER BY": "of one task's few files"},
    "HELD": {"SCAN t USING INDEX tasks_live": "the index holds live tasks only"},
    "SPENT": {"SCAN owners": "the recursion's own rows: one for each owner"},
    "LINES": {
        "SCAN (subquery)": "at most two limits of numbers",
        "SCAN page": "a limit of numbers",
        "USE TEMP B-TREE FOR ORDER BY": "of a page",
    },
    "OPEN_AT": {"SCAN providers": "the recursion's own rows: one for each provider"},
    "ANY_OPEN": {"SCAN open_charges": "its first row"},
    "OWNERS": {"SCAN owners": "the recursion's own rows, up to a limit"},
    "INSERT_TASKS": {"USE TEMP B-TREE FOR ORDER BY": "of the rows of one batch"},
}
"""What a plan may have all the same, by the statement's name, with the reason."""

HARMLESS = re.compile(r"VIRTUAL TABLE|CONSTANT ROW|SCAN (m|due|u|named|wanted|alike|asked|busy)$")
"""A batch's own JSON, and what is made of it."""

FRAGMENTS = {"TASK": "the beginning of others, which say which task"}


def written() -> Iterator[tuple[str, str]]:
    """Every statement of the modules with its name; one that gets its rows later gets one."""
    for name, value in [
        *vars(statements).items(),
        *vars(filing).items(),
        *vars(ledger).items(),
        *vars(ledger_sums).items(),
        *vars(deliveries).items(),
    ]:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", text):
                if name not in FRAGMENTS:
                    yield name, _whole(text)


def _whole(text: str) -> str:
    if not re.search(r"VALUES\s*(\)|$)", text):
        return text
    columns = re.search(r"\(([^()]*)\)\s*VALUES\s*$", text)
    used = map(int, re.findall(r"m\.column(\d+)", text))
    width = max(used) if columns is None else columns[1].count(",") + 1
    return text.replace("VALUES", f"VALUES ({', '.join('?' * width)})")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some thousands of rows in every large table."""
    return scale.build(tmp_path_factory.mktemp("plans"), tasks=1_000, live=50, others=3)


@pytest.fixture(scope="module", params=["plain", "analyzed"])
def connection(request: pytest.FixtureRequest, database: Path) -> Iterator[sqlite3.Connection]:
    """The database as it is, and as ANALYZE leaves it."""
    opened = sqlite3.connect(database)
    if request.param == "analyzed":
        opened.execute("ANALYZE")
        opened.close()
        opened = sqlite3.connect(database)
    yield opened
    opened.close()


def faults(connection: sqlite3.Connection, name: str, text: str) -> list[str]:
    """The steps of a plan that go through all rows, or sort them."""
    numbered = [int(number) for number in re.findall(r"\?(\d+)", text)]
    bound = (None,) * (max(numbered) if numbered else text.count("?"))
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", bound)]
    heavy = [
        re.sub(r"subquery-\d+", "subquery", step)
        for step in plan
        if re.search(r"^SCAN|TEMP B-TREE|ANY\(", step)
    ]
    allowed = ALLOWED.get(name, {})
    return [step for step in heavy if not HARMLESS.search(step) and step not in allowed]


@pytest.mark.parametrize("name", sorted({name for name, _ in written()}))
def test_a_statement_goes_by_an_index(connection: sqlite3.Connection, name: str) -> None:
    """No table and no index is gone through, and nothing is sorted but what is named above."""
    for text in (text for own, text in written() if own == name):
        assert faults(connection, name, text) == [], text


def test_the_watch_is_awake(connection: sqlite3.Connection) -> None:
    """A scan of a table, one of an index, and a sort are all found; and there are statements
    to look at, those that it has always been about among them."""
    assert faults(connection, "x", "SELECT * FROM tasks WHERE updated_at = 1")
    assert faults(connection, "x", "SELECT count(*) FROM tasks WHERE changed + 0 > 1")
    assert faults(connection, "x", "SELECT uid FROM tasks WHERE owner = ?1 ORDER BY claim")
    names = {name for name, _ in written()}
    assert {"PAGE", "CHANGES", "EXPIRED", "DUE_LOGS", "LAST_CHANGE", "LIVE", "REMOVE"} <= names
    assert names >= ALLOWED.keys()
