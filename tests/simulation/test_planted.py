"""Each planted bug is found within a few seeds, and by the rule that it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.world import simulate

FEW = 60


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, tmp_path: Path) -> None:
    """One of the first seeds breaks one of the rules that the bug is against."""
    bug, rules = PLANTED[name]
    for seed in range(FEW):
        directory = tmp_path / str(seed)
        directory.mkdir()
        broken = {told.partition(": ")[0] for told in simulate(seed, directory, bug).breaches}
        if broken & rules:
            print(f"{name}: seed {seed}: {', '.join(sorted(broken & rules))}")
            return
    pytest.fail(f"{name} was not found in {FEW} seeds")
