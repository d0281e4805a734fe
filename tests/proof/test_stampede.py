"""A short stampede: what `python -m tests.proof.stampede` runs a thousand times."""

from __future__ import annotations

from pathlib import Path

from tests.doubles.served import served
from tests.proof.stampede import DOORS, stampede


async def test_fifty_creators_at_three_doors_make_one_task(tmp_path: Path):
    """In each round one creator makes the task, all others attach, and it runs once."""
    async with served(tmp_path) as house:
        tally = await stampede(house, rounds=10)
    assert tally.broken == []
    assert (tally.tasks, tally.runs, tally.creates) == (10, 10, 500)
    assert set(tally.answers) <= set(DOORS)
