"""The table of Anthropic: what a client sees of each fault, how often a model really ran, and
what the ledger says of it. Real sockets on both sides; the emulator counts for itself.

Nothing is kept there, so a stream that is lost cannot be taken up or looked up again: its
task ends as outcome_unknown at once, and is not sent a second time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.streaming_house import ended, spent
from tests.doubles.streaming_table import ANTHROPIC, Row, hold

pytestmark = pytest.mark.slow

ROWS = [
    Row("late=0.05", None, 1, 1, "charged"),
    Row("lost-answer@1", "outcome_unknown", 1, 1, "unknown"),
    Row("lost-request@1", "outcome_unknown", 0, 1, "unknown"),
    Row("cut@1", "outcome_unknown", 1, 1, "unknown"),
    Row("hang@1", "outcome_unknown", 0, 1, "unknown"),
    Row("hang=stream@1", "outcome_unknown", 1, 1, "unknown"),
    Row("throttle=0@1", None, 1, 2, "charged"),
    Row("throttle=0", "throttled", 0, 3, "free"),
    Row("http-529@1", None, 1, 2, "charged"),
    Row("http-500@1", "outcome_unknown", 0, 1, "unknown"),
    Row("http-503@1", "outcome_unknown", 0, 1, "unknown"),
    Row("http-504@1", "outcome_unknown", 1, 1, "unknown"),
    Row("unauthorized", "provider_refused", 0, 1, "free"),
    Row("no-credit", "provider_refused", 0, 1, "free"),
    Row("no-credit=400", "provider_refused", 0, 1, "free"),
    Row("moderated@1", "content_refused", 0, 1, "free"),
    Row("moderated=run@1", "content_refused", 1, 1, "charged"),
    Row("no-usage@1", None, 1, 1, "unknown"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
async def test_the_table(row: Row, tmp_path: Path) -> None:
    """Each fault ends its task in the one way that is true, whatever really ran is on the
    ledger or said to be unknown, and nothing runs twice."""
    await hold(row, ANTHROPIC, tmp_path)


async def test_a_run_that_fails_is_made_again(tmp_path: Path) -> None:
    """An error in the middle of a stream is the provider's own word that this run is over, so
    another one is begun; that it did not say what the first cost is told."""
    async with ANTHROPIC.rig(tmp_path) as (emulator, house):
        emulator.arm("fail@1")
        last = await ended(house, await house.create(**ANTHROPIC.text))
        money = await spent(house)
    assert last["status"] == "completed"
    assert [run["outcome"] for run in emulator.runs()] == ["failed", "succeeded"]
    assert last["charge"]["verdict"] == "unknown"
    assert money["total_micros"] == emulator.cost()
