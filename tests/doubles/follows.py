"""What must follow from the rows of a database's deliveries and ledger, worked out from them.

Independent of the store: plain sums over all rows, as slow as that is. `holds` compares them
with the tables that are kept beside the rows (migration 0013).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

PAIRS = {
    "delivery_lines": (
        "SELECT owner, host, next_at FROM delivery_lines ORDER BY 1, 2",
        """SELECT owner, host, min(next_at) FROM deliveries WHERE state = 'waiting'
        GROUP BY owner, host ORDER BY 1, 2""",
    ),
    "day_sums": (
        """SELECT owner, day, model, provider, lines, amount, charges, estimated, unknown
        FROM day_sums WHERE lines > 0 ORDER BY 1, 2, 3, 4""",
        """SELECT owner, day, model, provider, count(*), sum(amount * (currency = 'USD')),
            sum(entry = 'charge'), coalesce(sum(verdict = 'estimated'), 0),
            coalesce(sum((entry = 'charge' AND verdict = 'unknown')
                - (entry = 'correction' AND verdict <> 'unknown')), 0)
        FROM ledger WHERE entry IN ('charge', 'correction')
            AND (currency = 'USD' OR entry = 'correction')
        GROUP BY owner, day, model, provider ORDER BY 1, 2, 3, 4""",
    ),
    "what counts": (
        "SELECT owner, day, sum(counts) FROM day_sums GROUP BY owner, day ORDER BY 1, 2",
        """SELECT owner, day, sum(counts) FROM ledger WHERE entry IN ('charge', 'correction')
        GROUP BY owner, day ORDER BY 1, 2""",
    ),
    "open_charges": (
        """SELECT n, uid, attempt, owner, day, provider, due_at IS NULL
        FROM open_charges ORDER BY n""",
        """SELECT n, uid, attempt, owner, day, provider, EXISTS (
            SELECT 1 FROM tasks t WHERE t.uid = l.uid AND t.ended_at IS NULL)
        FROM ledger l WHERE entry = 'charge' AND verdict = 'unknown' AND NOT EXISTS (
            SELECT 1 FROM ledger c
            WHERE c.uid = l.uid AND c.attempt = l.attempt AND c.entry = 'correction')
        ORDER BY n""",
    ),
}


def holds(folder: Path) -> dict[str, int]:
    """Assert that each table is what follows from the rows; returns how many rows it has."""
    counted = {}
    with closing(sqlite3.connect(folder / "safelight.sqlite3")) as database:
        database.execute("BEGIN")
        for name, (kept, follows) in PAIRS.items():
            found, expected = (
                database.execute(kept).fetchall(),
                database.execute(follows).fetchall(),
            )
            assert found == expected, name
            counted[name] = len(found)
    return counted
