"""A short campaign in CI: the same as `make proof`, with a fixed number of kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from .campaign import Plan, campaign

KILLS = 5
SECONDS = 200.0
"""Five kills end it, in a quarter of a minute; so long they may take on a busy machine."""


@pytest.mark.slow
async def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    """Kills, drains, freezes and a bad network under load break no rule, and the campaign
    was one: tasks were made, followed and attached to while the server died."""
    plan = Plan(seed=20_261, directory=tmp_path, kills=KILLS, seconds=0, load_seconds=SECONDS)
    outcome = await campaign(plan)
    assert outcome.report.violations == [], outcome.history
    figures = outcome.figures
    assert figures.kills == KILLS
    assert figures.tasks > 50 and figures.ends > figures.tasks
    assert min(figures.attached, figures.reconnects, figures.runs, figures.snapshots) > 20
    assert figures.gaps > 0  # told to those who came with a cursor of another history
