"""`python -m tests.proof`: a campaign, its seed first and its figures last.

--minutes 20 --seed 7      load and blows for so long
--kills 200                kills at random times instead, in quick succession
--bug NAME                 with a planted bug, which must be found
--replay FILE              the checker alone, over a history that was kept
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.doubles.bugs import BUGS

from .campaign import Outcome, Plan, campaign
from .checker import check, summary
from .history import load
from .verdict import Figures, Report

ROWS = {
    "tasks": "tasks",
    "requests to create": "creates",
    "  accepted": "accepted",
    "  of these attached": "attached",
    "  refused": "refused",
    "  answer lost, asked again": "unknown",
    "provider runs": "runs",
    "kills (SIGKILL)": "kills",
    "drains (SIGTERM)": "drains",
    "freezes (SIGSTOP)": "freezes",
    "cuts, resets, drips": "cuts",
    "connections of witnesses": "connections",
    "  of these reconnects": "reconnects",
    "frames recorded": "frames",
    "events checked": "events",
    "  of these told folded": "folded",
    "snapshots checked": "snapshots",
    "ends told": "ends",
    "gaps declared": "gaps",
}


def main() -> int:
    """0 if every rule held. Ended early, it takes its server with it."""
    given = _arguments()
    if given.replay is not None:
        report = check(load(given.replay))
        print(table(report.figures, report))
        return 1 if report.violations else 0
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    directory = given.directory or Path(tempfile.mkdtemp(prefix="safelight-proof-"))
    outcome = asyncio.run(campaign(_plan(given, seed, directory)))
    print(table(outcome.figures, outcome.report))
    print(_costs(outcome))
    if outcome.history is not None:
        print(f"history: {outcome.history}\nserver's errors: {directory / 'data.stderr'}")
        return 1
    if given.directory is None:
        shutil.rmtree(directory)
    return 0


def _plan(given: argparse.Namespace, seed: int, directory: Path) -> Plan:
    plan = Plan(seed=seed, directory=directory, bug=given.bug, say=_say)
    if given.kills is not None:
        plan.kills, plan.kills_only, plan.load_seconds = given.kills, True, 30.0
    else:
        plan.seconds = given.minutes * 60
        plan.load_seconds = min(plan.load_seconds, plan.seconds)
    return plan


def table(figures: Figures, report: Report) -> str:
    """The figures, one a line, and the first violations."""
    lines = [f"{label:<28}{getattr(figures, name):>9,}" for label, name in ROWS.items()]
    lines.append(f"{'violations':<28}{len(report.violations):>9,}")
    for rule in sorted(report.rules(), key=lambda rule: rule.name):
        count = sum(violation.rule is rule for violation in report.violations)
        lines.append(f"  {count} x {rule.name}: {rule}")
    return "\n".join([*lines, *summary(report)])


def _costs(outcome: Outcome) -> str:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    largest = outcome.largest_history / 2**20
    return (
        f"{outcome.rounds} rounds in {outcome.seconds:.0f} s; the largest history of a round "
        f"was {largest:.1f} MiB, this process never above {peak} MiB"
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--bug", choices=BUGS)
    parser.add_argument("--directory", type=Path, help="kept; default: a temporary one")
    parser.add_argument("--replay", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
