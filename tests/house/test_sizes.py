"""How big files and functions may grow, measured over the whole tree.

A file past the limit holds two ideas; the tail of the function lengths is where
readers get lost, so the 90th percentile is watched and not the mean. Docstrings
do not count as length. What is left out, or allowed to be long, stands in the
two lists below with its reason, and an entry that is no longer needed fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("server", "protocol", "clients", "tests", "benchmarks")
SUFFIXES = (".py", ".js", ".mjs", ".swift")
MAX_FILE = 350
MAX_FUNCTION = 50
P90_BELOW = 25

# Written by a program or recorded, never by hand.
NOT_WRITTEN_BY_HAND = (
    "*/node_modules/*",
    "*/.build/*",
    "*/vectors/*",
    "*/generated/*",
)

# "path:function": "reason why it may be longer than MAX_FUNCTION lines".
LONG_FUNCTIONS: dict[str, str] = {}


class Function(NamedTuple):
    place: str
    lines: int


def files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = f"/{path.relative_to(ROOT).as_posix()}"
            foreign = "/." in name or any(fnmatchcase(name, p) for p in NOT_WRITTEN_BY_HAND)
            if path.suffix in SUFFIXES and not foreign:
                yield path


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(node, clean=False) is None:
        return 0
    first = node.body[0]
    return (first.end_lineno or first.lineno) - first.lineno + 1


def functions(path: Path) -> Iterator[Function]:
    """Every function of a Python file with its lines from `def` to its end, less docstring."""
    where = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
            yield Function(f"{where}:{node.name}", lines)


def percentile_90(lengths: list[int]) -> int:
    return sorted(lengths)[int(len(lengths) * 0.9)]


def test_no_file_holds_two_ideas(capsys: pytest.CaptureFixture[str]) -> None:
    """No file written by hand is longer than the limit."""
    sizes = {path.relative_to(ROOT).as_posix(): length(path) for path in files()}
    largest = max(sizes, key=lambda name: sizes[name])
    with capsys.disabled():
        print(f"\nlargest of {len(sizes)} files: {largest}, {sizes[largest]} lines")
    assert {name: size for name, size in sizes.items() if size > MAX_FILE} == {}


@pytest.mark.parametrize("folders", [("server", "protocol"), FOLDERS], ids=["product", "all"])
def test_nine_functions_of_ten_are_short(
    folders: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The 90th percentile of function lengths stays below its limit."""
    found = [
        function
        for path in files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders
        for function in functions(path)
    ]
    tail = percentile_90([function.lines for function in found])
    longest = max(found, key=lambda function: function.lines)
    with capsys.disabled():
        print(
            f"\n{len(found)} functions in {'+'.join(folders)}: p90 {tail} lines, "
            f"longest {longest.lines} ({longest.place})"
        )
    assert tail < P90_BELOW


def test_no_function_is_long_without_a_reason() -> None:
    """The functions past the limit are exactly the listed ones."""
    long = {
        function.place
        for path in files()
        if path.suffix == ".py"
        for function in functions(path)
        if function.lines > MAX_FUNCTION
    }
    assert long == LONG_FUNCTIONS.keys()


def test_docstrings_do_not_count(tmp_path: Path) -> None:
    """A function's length is that of its code: signature and body without the docstring."""
    path = ROOT / "tests/house/test_sizes.py"
    measured = {function.place.split(":")[1]: function.lines for function in functions(path)}
    assert measured["functions"] == 6
    assert measured["length"] == 2
