"""Thousands of simulated worlds: whatever the order of things, every rule holds.

A seed that fails is named; `python -m tests.simulation --start SEED --seeds 1` plays it
again, and `--seeds 100000` plays many more.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.world import Outcome, simulate

FEW = 100
MANY = 240
BLOCKS = 8
"""With the few, two thousand worlds and a little more."""


def play(seed: int, directory: Path) -> Outcome:
    """One world, in a folder of its own."""
    folder = directory / f"{seed}"
    folder.mkdir()
    return simulate(seed, folder)


def play_block(start: int, count: int, directory: Path) -> Counter[str]:
    """A block of worlds; fails with every seed that broke a rule."""
    counts: Counter[str] = Counter()
    broken: dict[int, list[str]] = {}
    for seed in range(start, start + count):
        outcome = play(seed, directory)
        counts.update(outcome.counts)
        if outcome.breaches:
            broken[seed] = outcome.breaches
    assert broken == {}
    return counts


def test_every_rule_holds(tmp_path: Path) -> None:
    """In the first worlds nothing is lost, doubled, hidden or left, and much happens."""
    counts = play_block(0, FEW, tmp_path)
    for what in ("lives", "answers lost", "disk failures", "deleted", "visits cut", "told"):
        assert counts[what] > 5, what
    for what in ("heard by lines", "heard with lanes", "lines full"):
        assert counts[what] > 50, what
    for end in ("completed", "failed", "canceled"):
        assert counts[f"tasks {end}"] > 5, end


@pytest.mark.parametrize("seed", [1214, 2166, 2967])
def test_a_world_that_once_broke_holds(seed: int, tmp_path: Path) -> None:
    """Worlds in which one task's bad moment once ended the process, or broke a rule."""
    assert play(seed, tmp_path).breaches == []


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_rule_holds_in_many_worlds(block: int, tmp_path: Path) -> None:
    """The same in many more."""
    play_block(FEW + block * MANY, MANY, tmp_path)


def test_a_seed_is_one_story(tmp_path: Path) -> None:
    """Played again, a world comes to the same end by the same steps."""
    for seed in range(0, 40, 4):
        again = tmp_path / "again"
        again.mkdir(exist_ok=True)
        assert play(seed, tmp_path) == play(seed, again)
