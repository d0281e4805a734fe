"""What a proof with a paid provider is judged by: its emulator's own log, and our doors.

The emulator knows what was really run, when each run ended and what it costs; the events of
the tasks and the ledger are what we said. Every rule that is broken is one line.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from .hosts import attempt_of, number_of

TERMINAL = ("completed", "failed", "canceled")
Run = Mapping[str, Any]
Line = Mapping[str, Any]


class Told(msgspec.Struct):
    """One task as our doors tell it, and the lines of the ledger about it, oldest first."""

    number: int
    id: str
    events: list[dict[str, Any]] = []
    lines: list[Line] = []

    @property
    def ends(self) -> list[dict[str, Any]]:
        """The events that end it: there must be one, the last."""
        return [event for event in self.events if event["type"] in TERMINAL]

    @property
    def attempts(self) -> int:
        """How many attempts there were."""
        return max((int(event["attempt"]) for event in self.events), default=0)


class Figures(msgspec.Struct):
    """What came out."""

    tasks: int = 0
    ends: dict[str, int] = {}
    runs: int = 0
    kills: int = 0
    settled: int = 0
    estimated: int = 0
    unknown: int = 0
    ledger_micros: int = 0
    emulator_micros: int = 0

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {name}" for name, count in sorted(self.ends.items()))
        return (
            f"{self.tasks} tasks ({ends}), {self.kills} kills, {self.runs} runs;"
            f" {self.settled} settled at {self.ledger_micros} micros in the ledger,"
            f" {self.emulator_micros} at the emulator, {self.estimated} estimated,"
            f" {self.unknown} unknown"
        )


def judged(tasks: Sequence[Told], log: Iterable[Line], kills: int) -> tuple[Figures, list[str]]:
    """The figures, and every rule that was broken."""
    runs, ended = runs_of(log)
    by_number: dict[int, list[Run]] = defaultdict(list)
    for run in runs:
        by_number[number_of(run)].append(run)
    figures = Figures(tasks=len(tasks), runs=len(runs), kills=kills)
    broken: list[str] = []
    for task in tasks:
        own = by_number.pop(task.number, [])
        figures.ends[_end_of(task)] = figures.ends.get(_end_of(task), 0) + 1
        broken += _wrong_ends(task)
        broken += _wrong_runs(task, own, ended)
        broken += _wrong_bill(task, own, figures)
    broken += [f"#{number}: ran, and is no task" for number in by_number]
    return figures, broken


def runs_of(log: Iterable[Line]) -> tuple[list[Run], dict[str, float]]:
    """The runs of an emulator's log in order, and when each ended."""
    runs: dict[str, dict[str, Any]] = {}
    ended: dict[str, float] = {}
    for line in log:
        if line["event"] == "begun":
            runs[line["run"]] = dict(line) | {"outcome": None, "cost_micros": 0}
        elif line["event"] == "ended":
            ended[line["run"]] = line["at"]
            runs[line["run"]] |= {name: line[name] for name in ("outcome", "cost_micros")}
    return list(runs.values()), ended


def _end_of(task: Told) -> str:
    if not task.ends:
        return "stuck"
    end = task.ends[-1]
    code = end.get("error_data", {}).get("code")
    return f"failed {code}" if code else str(end["type"])


def _wrong_ends(task: Told) -> Iterator[str]:
    kinds = [event["type"] for event in task.ends]
    if len(kinds) != 1 or task.events[-1]["type"] not in TERMINAL:
        yield f"#{task.number}: ended {len(kinds)} times: {kinds}"
    if [event["seq"] for event in task.events] != list(range(1, len(task.events) + 1)):
        yield f"#{task.number}: its events have a gap"


def _wrong_runs(task: Told, runs: Sequence[Run], ended: Mapping[str, float]) -> Iterator[str]:
    """No attempt was begun twice; none was begun before the one before had ended in vain."""
    if len(runs) > task.attempts:
        yield f"#{task.number}: {len(runs)} runs in {task.attempts} attempts"
    marked = Counter(mark for run in runs if (mark := attempt_of(run)) is not None)
    for mark, count in marked.items():
        if count > 1:
            yield f"#{task.number}: attempt {mark} ran {count} times"
    for one, following in pairwise(runs):
        at = ended.get(one["run"])
        if at is None or at > following["at"]:
            yield f"#{task.number}: run again while {one['run']} went on"
        elif one["outcome"] == "succeeded":
            yield f"#{task.number}: run again after {one['run']} had succeeded"


def _wrong_bill(task: Told, runs: Sequence[Run], figures: Figures) -> Iterator[str]:
    """What is settled is what the emulator counts; whatever is not is said to be unknown."""
    verdicts: dict[int, str] = {}
    amount = 0
    for line in task.lines:
        if line["entry"] in ("charge", "correction"):
            verdicts[line["attempt"]] = line["verdict"]
            amount += line["amount_micros"]
    cost = sum(run["cost_micros"] for run in runs)
    if not set(verdicts.values()) <= {"free", "charged"}:
        figures.estimated += "unknown" not in verdicts.values()
        figures.unknown += "unknown" in verdicts.values()
        yield from _wrong_bounds(task, amount, cost)
        return
    figures.settled += 1
    figures.ledger_micros += amount
    figures.emulator_micros += cost
    if amount != cost:
        said = ", ".join(f"{attempt}: {verdict}" for attempt, verdict in verdicts.items())
        yield f"#{task.number}: the ledger has {amount} ({said}), the emulator {cost}"


def _wrong_bounds(task: Told, amount: int, cost: int) -> Iterator[str]:
    """What is known of a bill is no more than the bill, and the most it can be no less."""
    most = task.events[-1].get("charge", {}).get("at_most_micros") if task.events else None
    if amount > cost:
        yield f"#{task.number}: {amount} are said to be known, the emulator counts {cost}"
    if most is not None and most < cost:
        yield f"#{task.number}: it is said to cost {most} at most, the emulator counts {cost}"
