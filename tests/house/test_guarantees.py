"""docs/guarantees.md says what is proved: its tests exist, its rules are the checker's."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.proof.verdict import Rule

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`:]+)::(\w+)`", PAGE)))
PROMISE = "tests/proof/test_promise.py"


def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.mark.parametrize(("path", "test"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_a_named_test_is_there(path: str, test: str) -> None:
    """Every test that docs/guarantees.md names exists under that name."""
    assert test in names_in(path)


def test_every_clause_has_its_test_and_its_limits() -> None:
    """Each section of the promise names one test of its own and says where it stops."""
    *sections, backends = PAGE.split("\n## ")[1:-1]
    assert backends.startswith("On a backend of your own\n")
    claimed = [re.findall(rf"`{PROMISE}::(\w+)`", section) for section in sections]
    assert [len(tests) for tests in claimed] == [1] * 6
    assert {tests[0] for tests in claimed} == names_in(PROMISE)
    assert all("**Where it stops.**\n- " in section for section in [*sections, backends])


def test_the_rules_are_those_of_the_checker() -> None:
    """The table has every rule with its sentence, and each clause names only such rules."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert dict(rows) == {rule.name: rule.value for rule in Rule}
    asserted = "".join(re.findall(r"\*\*The checker asserts\*\*[^\n]*", PAGE))
    assert set(re.findall(r"`([A-Z_]+)`", asserted)) == set(Rule.__members__)
