"""A few tasks at every paid provider while things go wrong; the long run is by hand.

And the judge itself: what it must find is planted into logs that are written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.proof.bills import Told, judged
from tests.proof.hosts import HOSTS
from tests.proof.providers import Plan, prove


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTS)
def test_a_provider_on_a_bad_day(name: str, tmp_path: Path) -> None:
    """Every task ends once, nothing runs twice, and the ledger has what the provider counts."""
    plan = Plan(name=name, tasks=12, seed=11, share=0.2, kills=1)
    figures, broken = prove(plan, tmp_path, print)
    print(figures)
    assert broken == []
    assert figures.runs > 0 and figures.settled > 0


def told(
    number: int, amount: int, verdict: str = "charged", attempts: int = 1, most: int = 99
) -> Told:
    charge = {"verdict": verdict, "at_most_micros": most}
    events = [{"type": "completed", "seq": 1, "attempt": attempts, "charge": charge}]
    line = {"entry": "charge", "attempt": attempts, "verdict": verdict, "amount_micros": amount}
    return Told(number, f"id-{number}", events, [line])


def run(id: str, number: int, at: float, cost: int, outcome: str = "succeeded") -> list[Any]:
    marks = {"prompt": f"#{number:06d}", "metadata": {"safelight_attempt": "1"}}
    begun = {"event": "begun", "run": id, "at": at, "model": "m", "marks": marks}
    ended = {"event": "ended", "run": id, "at": at + 1, "outcome": outcome, "cost_micros": cost}
    return [begun, ended]


def test_nothing_is_found_where_all_is_well() -> None:
    """A task with its one run and its bill breaks no rule; an unknown bill is no wrong one."""
    tasks = [told(1, 70), told(2, 0, "unknown"), told(3, 0, "free")]
    log = [*run("a", 1, 0.0, 70), *run("b", 2, 0.0, 9)]
    figures, broken = judged(tasks, log, 0)
    assert broken == []
    assert (figures.settled, figures.unknown, figures.ledger_micros) == (2, 1, 70)


@pytest.mark.parametrize(
    ("tasks", "log", "found"),
    [
        ([told(1, 70)], [*run("a", 1, 0.0, 60)], "the ledger has 70"),
        ([told(1, 0, "free")], [*run("a", 1, 0.0, 60)], "the emulator 60"),
        ([told(1, 9)], [*run("a", 1, 0.0, 9), *run("b", 1, 5.0, 0)], "2 runs in 1 attempts"),
        (
            [told(1, 9, attempts=2)],
            [*run("a", 1, 0.0, 0, "failed"), *run("b", 1, 5.0, 9)],
            "attempt 1 ran 2 times",
        ),
        (
            [told(1, 9, attempts=2)],
            [*run("a", 1, 0.0, 9), *run("b", 1, 5.0, 0)],
            "run again after a had succeeded",
        ),
        (
            [told(1, 9, attempts=2)],
            [*run("a", 1, 0.0, 9, "failed")[:1], *run("b", 1, 0.5, 9)],
            "run again while a went on",
        ),
        ([told(1, 8, "estimated")], [*run("a", 1, 0.0, 7)], "8 are said to be known"),
        ([told(1, 0, "unknown", most=5)], [*run("a", 1, 0.0, 7)], "cost 5 at most"),
        ([], [*run("a", 1, 0.0, 9)], "#1: ran, and is no task"),
        ([Told(1, "id-1")], [], "ended 0 times"),
    ],
)
def test_what_is_wrong_is_found(tasks: list[Told], log: list[Any], found: str) -> None:
    """Each rule, broken, is named."""
    _, broken = judged(tasks, log, 0)
    assert any(found in line for line in broken), broken
