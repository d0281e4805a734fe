"""Run many simulated worlds, or one again: `python -m tests.simulation --help`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulation.world import simulate


def main() -> int:
    """Print each seed that breaks a rule; 1 if there was one."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--start", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--minutes", type=float, default=None, help="stop after this long")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    broken, done, began = 0, 0, time.monotonic()
    for seed in range(asked.start, asked.start + asked.seeds):
        if asked.minutes is not None and time.monotonic() - began > asked.minutes * 60:
            break
        with TemporaryDirectory() as directory:
            outcome = simulate(seed, Path(directory))
        counts.update(outcome.counts)
        done += 1
        if outcome.breaches:
            broken += 1
            print(f"seed {seed}:", *outcome.breaches, sep="\n  ", flush=True)
    seconds = time.monotonic() - began
    print(f"{done} worlds in {seconds:.1f} s ({done / seconds:.1f}/s), {broken} broken")
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
