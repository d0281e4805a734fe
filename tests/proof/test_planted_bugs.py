"""A checker that cannot fail proves nothing: three bugs, each named within half a minute.

The bugs are planted in the real server (tests/doubles/bugs.py); what has to be named is the
sentence of the promise that each of them breaks.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .campaign import Plan, campaign
from .verdict import Rule

TRIES = 4
LOAD_SECONDS = 5.0

EXPECTED = {
    "acknowledge-before-commit": {Rule.DIFFERS, Rule.PHANTOM},
    "subscribe-after-read": {Rule.UNFINISHED},
    "reuse-seq": {Rule.DIFFERS},
}
"""Any of these names the bug: a told event that a crash took back is not stored, or another
one has its seq; a follower that was registered too late waits for an end that was told."""


@pytest.mark.slow
@pytest.mark.parametrize("bug", EXPECTED)
async def test_a_planted_bug_is_named(bug: str, tmp_path: Path) -> None:
    """A campaign against a server with this bug finds the rule that it breaks, and keeps
    the history that shows it."""
    for seed in range(TRIES):
        directory = tmp_path / str(seed)
        outcome = await campaign(
            Plan(seed=seed, directory=directory, seconds=0, bug=bug, load_seconds=LOAD_SECONDS)
        )
        if outcome.report.rules() & EXPECTED[bug]:
            assert outcome.history is not None and outcome.history.exists()
            return
    raise AssertionError(f"{TRIES} campaigns did not name {bug}")
