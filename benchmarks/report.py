"""docs/performance.md, made of the files in benchmarks/results.

    python -m benchmarks.report [--check]

The text is `performance.md.in`, and what is said of a table is `remarks.toml`; this module
puts tables, goals and the machine into it and measures nothing. A result whose machine
differs from the others' says so below its table.
`--check` writes nothing and fails when the document is not what the files say.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from pathlib import Path
from string import Template

from benchmarks.tables import RESULTS, Result, cell, read

TEXT = Path(__file__).with_name("performance.md.in")
REMARKS = Path(__file__).with_name("remarks.toml")
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"

ORDER = (
    "fanout",
    "idle",
    "accept",
    "create",
    "status",
    "store",
    "latency",
    "backend",
    "replay",
    "resume",
    "storm",
    "startup",
    "pages",
    "sweeps",
    "crowd",
)
"""How tables follow each other, by the beginning of their names; others come last."""

NOTHING = "There are no results yet: `make bench` makes them."


def render(results: list[Result]) -> str:
    """The whole document."""
    ordered = sorted(results, key=lambda result: (_place(result.table.name), result.table.name))
    usual = _usual(ordered)
    return Template(TEXT.read_text(encoding="utf-8")).substitute(
        goals=_goals(ordered),
        machine=_facts(usual) if usual else NOTHING,
        tables="\n\n".join(_section(result, usual) for result in ordered) or NOTHING,
    )


def results(folder: Path = RESULTS) -> list[Result]:
    """Every result that is there."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def _place(name: str) -> int:
    found = (i for i, beginning in enumerate(ORDER) if name.startswith(beginning))
    return next(found, len(ORDER))


def _usual(all: list[Result]) -> dict[str, str]:
    """The machine that most results have, fact by fact, so that only exceptions are told."""
    found: dict[str, Counter[str]] = {}
    for result in all:
        for name, value in result.machine.items():
            found.setdefault(name, Counter())[value] += 1
    return {name: values.most_common(1)[0][0] for name, values in found.items()}


def _goals(all: list[Result]) -> str:
    lines = [
        f"| {where} | {_escaped(what)} | {_escaped(measured)} | {_verdict(verdict)} |"
        for result in all
        for where in [f"[{_escaped(result.table.title)}](#{anchor(result.table.title)})"]
        for what, measured, verdict in map(_parts, result.table.goal)
    ]
    if not lines:
        return NOTHING
    return "\n".join(["| table | what | measured, and asked | |", "|---|---|---|---|", *lines])


def _parts(line: str) -> tuple[str, str, str]:
    """A goal's line as its name, its figures and its verdict."""
    what, _, rest = line.partition(": ")
    measured, found, verdict = rest.rpartition(": ")
    return (what, measured, verdict) if found else (what, rest, "not measured")


def _verdict(text: str) -> str:
    return text if text == "met" else f"**{_escaped(text)}**"


def _section(result: Result, usual: dict[str, str]) -> str:
    """One table with its notes, as Markdown."""
    table = result.table
    head = [f"| {' | '.join(map(_escaped, table.columns))} |"]
    head.append(f"|---|{'---:|' * (len(table.columns) - 1)}")
    body = [f"| {' | '.join(_escaped(cell(value)) for value in row)} |" for row in table.rows]
    notes = [f"- {note}" for note in (*table.notes, *_remarks().get(table.name, ()))]
    if table.versions:
        notes.append(f"- versions: {_facts(table.versions)}")
    other = {name: value for name, value in result.machine.items() if usual[name] != value}
    if other:
        notes.append(f"- measured with another machine or version: {_facts(other)}")
    notes.append(f"- from [{table.name}.json](../benchmarks/results/{table.name}.json)")
    return "\n".join([f"## {table.title}", "", *head, *body, "", *notes])


def _remarks() -> dict[str, list[str]]:
    """What is said of a table beside its figures."""
    return tomllib.loads(REMARKS.read_text(encoding="utf-8"))


def _facts(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def anchor(title: str) -> str:
    """What a heading's link is called, as GitHub makes it."""
    kept = (char for char in title.lower() if char.isalnum() or char in " -_")
    return "".join(kept).replace(" ", "-")


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the document, or look whether it is right."""
    text = render(results())
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(text, encoding="utf-8")
    elif DOCUMENT.read_text(encoding="utf-8") != text:
        sys.exit("docs/performance.md differs from benchmarks/results: run benchmarks.report")


if __name__ == "__main__":
    main()
