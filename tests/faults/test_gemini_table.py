"""The table of Gemini: what a client sees of each fault, how often a model really ran, and
what the ledger says of it. Real sockets on both sides; the emulator counts for itself.

Nothing is kept there, so a stream that is lost cannot be taken up or looked up again: its
task ends as outcome_unknown at once, and is not sent a second time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.streaming_house import AGREED, ended, spent
from tests.doubles.streaming_table import GOOGLE, Row, hold

pytestmark = pytest.mark.slow

PICTURE: dict[str, Any] = {
    "kind": "image",
    "model": "gemini-3.1-flash-image",
    "prompt": "a lighthouse",
    "params": {"aspect_ratio": "3:2"},
    **AGREED,
}


ROWS = [
    Row("late=0.05", None, 1, 1, "charged"),
    Row("lost-answer@1", "outcome_unknown", 1, 1, "unknown"),
    Row("lost-answer@1", "outcome_unknown", 1, 1, "unknown", PICTURE),
    Row("lost-request@1", "outcome_unknown", 0, 1, "unknown"),
    Row("cut@1", "outcome_unknown", 1, 1, "unknown"),
    Row("cut@1", "outcome_unknown", 1, 1, "unknown", PICTURE),
    Row("hang@1", "outcome_unknown", 0, 1, "unknown"),
    Row("hang=stream@1", "outcome_unknown", 1, 1, "unknown"),
    Row("throttle=0@1", None, 1, 2, "charged"),
    Row("throttle=0", "throttled", 0, 3, "free"),
    Row("http-500@1", None, 1, 2, "charged"),
    Row("http-503@1", None, 1, 2, "charged"),
    Row("http-503", "throttled", 0, 3, "free"),
    Row("http-504@1", "outcome_unknown", 1, 1, "unknown"),
    Row("unauthorized", "provider_refused", 0, 1, "free"),
    Row("no-credit", "throttled", 0, 3, "free"),  # it comes as a quota, and says no more
    Row("moderated@1", "content_refused", 1, 1, "charged"),
    Row("moderated=run@1", "content_refused", 1, 1, "charged"),
    Row("moderated=run@1", "content_refused", 1, 1, "charged", PICTURE),
    Row("no-usage@1", None, 1, 1, "unknown"),
    Row("huge=2@1", None, 1, 1, "charged", PICTURE),
]


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{(row.wanted or GOOGLE.text)['kind']} {row.fault}"
)
async def test_the_table(row: Row, tmp_path: Path) -> None:
    """Each fault ends its task in the one way that is true, whatever really ran is on the
    ledger or said to be unknown, and nothing runs twice."""
    await hold(row, GOOGLE, tmp_path)


async def test_a_long_prompt_is_cheaper_when_it_comes_again(tmp_path: Path) -> None:
    """Tokens that were cached are charged as such."""
    long = GOOGLE.text | {"prompt": "the lamp and the sea " * 400}
    async with GOOGLE.rig(tmp_path) as (emulator, house):
        for attempt in range(2):
            await ended(house, await house.create(**long, params={"top_p": 0.5 + attempt / 4}))
        money = await spent(house)
    first, second = (run["cost_micros"] for run in emulator.runs())
    assert second < first
    assert money["total_micros"] == emulator.cost()


async def test_a_picture_is_made_of_words_and_of_a_picture(tmp_path: Path) -> None:
    """The file is kept and has the ratio that was asked for; a second one is begun from it."""
    async with GOOGLE.rig(tmp_path) as (emulator, house):
        created = await house.create(**PICTURE)
        first = await ended(house, created)
        begins = {"inputs": [{"task": created["task_id"]}], "prompt": "the same at night"}
        second = await ended(house, await house.create(**PICTURE | begins))
        money = await spent(house)
    for last in (first, second):
        (made,) = last["result_data"]["artifacts"]
        assert made["kind"] == "image" and made["width"] > made["height"]
    assert money["total_micros"] == emulator.cost() > 0


@pytest.mark.parametrize(
    ("max_cost", "outcomes", "code"),
    [(1.0, ["failed", "succeeded"], None), (0.06, ["failed"], "cost_limit")],
)
async def test_a_run_that_fails_is_made_again_where_the_money_allows(
    tmp_path: Path, max_cost: float, outcomes: list[str], code: str | None
) -> None:
    """An error in the middle of a stream is the provider's own word that this run is over, so
    another one is begun; that it did not say what the first cost is told. Where that may have
    been most of what was agreed to, none is."""
    async with GOOGLE.rig(tmp_path) as (emulator, house):
        emulator.arm("fail@1")
        last = await ended(house, await house.create(**GOOGLE.text | {"max_cost": max_cost}))
        money = await spent(house)
    assert (last.get("error_data") or {}).get("code") == code
    assert [run["outcome"] for run in emulator.runs()] == outcomes
    assert last["charge"]["verdict"] == "unknown"
    assert money["total_micros"] == emulator.cost()
