"""What a benchmark hands over: one table, printed and kept as a file.

    from benchmarks.tables import Table, goal, publish

A bench ends with `publish(Table(...))`: the table goes to standard output and, with facts
about the machine, to `benchmarks/results/<name>.json`, from which `python -m benchmarks.report`
makes docs/performance.md. Nothing of a clock is in the file. BENCH_RESULTS names another folder
for trial runs, so that short phases do not replace what is committed.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from benchmarks.machine import facts

RESULTS = Path(__file__).with_name("results")

Cell = str | int | float | None
"""None is printed as a dash: not measured, or without meaning in that row."""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table of medians. `name` is also the file's name.

    `goal` has one line per goal (see `goal`), `notes` what a reader must know to judge the
    figures, `versions` the peers' versions. Numbers in `rows` stay numbers: `cell` prints them.
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str] = []
    goal: list[str] = []
    versions: dict[str, str] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A table with the machine it was measured on, as it is kept."""

    table: Table
    machine: dict[str, str]


def goal(
    name: str,
    measured: float | None,
    at: float,
    floor: float,
    *,
    unit: str = "x",
    most: bool = False,
) -> str:
    """One line: name, measured, goal, floor, met or missed. `most`: less is better.

    None is "not measured", as when a peer could not be installed.
    """
    sign = "<=" if most else ">="
    asked = f"goal {sign} {at:g} {unit} (floor {floor:g})"
    if measured is None:
        return f"{name}: not measured, {asked}"
    factor = -1 if most else 1
    held = [factor * measured >= factor * limit for limit in (at, floor)]
    verdict = "met" if held[0] else "missed, but the floor holds" if held[1] else "missed"
    return f"{name}: {_rounded(measured)} {unit}, {asked}: {verdict}"


def publish(table: Table) -> Path:
    """Print the table and write its file; returns the file's path."""
    assert all(len(row) == len(table.columns) for row in table.rows), table.name
    result = Result(table=table, machine=facts())
    folder = Path(os.environ.get("BENCH_RESULTS", RESULTS))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    print(aligned(table), flush=True)
    return path


def read(path: Path) -> Result:
    """What `publish` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Result)


def aligned(table: Table) -> str:
    """The table for a terminal: numbers to the right, goals and notes below."""
    lines = [table.columns, *([cell(value) for value in row] for row in table.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    text = [f"\n{table.title}", ""]
    for line in lines:
        first = line[0].ljust(widths[0])
        text.append(
            "  ".join([first, *(w.rjust(n) for w, n in zip(line[1:], widths[1:], strict=True))])
        )
    text += [f"  goal  {line}" for line in table.goal]
    text += [f"  note  {line}" for line in table.notes]
    return "\n".join(text)


def cell(value: Cell) -> str:
    """A figure with as many digits as it deserves."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else _rounded(value)


def _rounded(value: float) -> str:
    """Three digits that mean something, thousands separated; integers as they are."""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if value else "0"
