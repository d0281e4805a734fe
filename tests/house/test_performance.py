"""docs/performance.md says what the files in benchmarks/results say, and nothing else.

Also held here: how a goal's line gets its verdict. What the figures are is nobody's business
in a test.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import report
from benchmarks.tables import Result, Table, cell, goal, publish, read

TABLE = Table(
    name="create",
    title="Create: one, two",
    columns=["", "req/s", "p99 ms"],
    rows=[["safelight", 12_345, 4.56], ["a | b", None, "3-5"]],
    goal=[goal("to nothing", 0.5, 0.8, 0.4), goal("to a peer", None, 4, 3)],
    notes=["a note"],
    versions={"peer": "1.2"},
)
RESULT = Result(table=TABLE, machine={"cores": "2", "python": "CPython 3.11.7"})


def test_the_document_is_what_the_results_say() -> None:
    """Rendering the committed results gives the committed document."""
    text = report.DOCUMENT.read_text(encoding="utf-8")
    assert report.render(report.results()) == text, "run `python -m benchmarks.report`"


@pytest.mark.parametrize(
    "path", sorted(report.RESULTS.parent.glob("bench_*.py")), ids=lambda p: p.stem
)
def test_every_benchmark_can_be_loaded(path: Path) -> None:
    """A benchmark imports, so that a name it takes from the server has not gone."""
    importlib.import_module(f"benchmarks.{path.stem}")


def test_every_result_has_a_file_of_its_name() -> None:
    """A result is found under the name of its table."""
    found = {path.stem: read(path).table.name for path in report.RESULTS.glob("*.json")}
    assert {stem: name for stem, name in found.items() if stem != name} == {}


def test_a_table_is_shown_whole() -> None:
    """Cells, notes, versions and goals of a result are in the document."""
    text = report.render([RESULT])
    assert "| safelight | 12,345 | 4.56 |\n| a \\| b | - | 3-5 |" in text
    assert "- a note\n- Where it goes" in text  # remarks.toml has some for creates
    assert "\n- versions: peer 1.2\n" in text
    assert "| 0.50 x, goal >= 0.8 x (floor 0.4) | **missed, but the floor holds** |" in text
    assert "| not measured, goal >= 4 x (floor 3) | **not measured** |" in text
    assert "](#create-one-two)" in text and "## Create: one, two\n" in text
    assert "cores 2, python CPython 3.11.7" in text


def test_another_machine_is_told() -> None:
    """A result from elsewhere says so below its table, and the others do not."""
    odd = Result(
        table=msgspec.structs.replace(TABLE, name="status"),
        machine=RESULT.machine | {"cores": "64"},
    )
    more = Result(table=msgspec.structs.replace(TABLE, name="store"), machine=RESULT.machine)
    text = report.render([RESULT, odd, more])
    assert text.count("measured with another machine or version: cores 64\n") == 1


@pytest.mark.parametrize(
    ("measured", "most", "verdict"),
    [
        (2.0, False, "met"),
        (1.5, False, "missed, but the floor holds"),
        (0.9, False, "missed"),
        (0.9, True, "met"),
        (1.5, True, "missed"),
    ],
)
def test_a_goal_gets_its_verdict(measured: float, most: bool, verdict: str) -> None:
    """At the goal it is met, at the floor that holds, below it is missed; `most` turns it over."""
    line = goal("it", measured, 2.0 if not most else 1.0, 1.0, most=most)
    assert line.rpartition(": ")[2] == verdict


def test_what_is_published_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`publish` prints the table and writes it, with the machine, into the folder that is named."""
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path))
    kept = read(publish(TABLE))
    assert kept.table == TABLE
    assert kept.machine["cores"] and kept.machine["python"]
    assert "safelight  12,345    4.56" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.0, "0"),
        (7, "7"),
        (0.456, "0.46"),
        (45.67, "45.7"),
        (4567.8, "4,568"),
    ],
)
def test_a_figure_has_the_digits_it_deserves(value: float | None, text: str) -> None:
    """Three digits that mean something; whole numbers stay whole."""
    assert cell(value) == text


@pytest.mark.slow
@pytest.mark.needs("cc")
def test_a_benchmark_runs_to_its_tables(tmp_path: Path) -> None:
    """`bench_create` measures the real server beside a peer and leaves both tables, in a trial."""
    peer = "Starlette, no store"
    command = [sys.executable, "-m", "benchmarks.bench_create", "--rounds", "1", "--seconds", "0.2"]
    subprocess.run(
        [*command, "--only", "safelight", peer],
        cwd=report.DOCUMENT.parents[1],
        env=os.environ | {"BENCH_RESULTS": str(tmp_path)},
        check=True,
        timeout=120,
    )
    tables = {path.stem: read(path).table for path in tmp_path.iterdir()}
    assert tables.keys() == {"create", "status"}
    for table in tables.values():
        assert {row[0] for row in table.rows} == {"safelight", peer}
