"""The mutants of tables and the verdict on survivors, without running any mutant."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import pytest

from tests.mutation import run, tables
from tests.mutation.run import Survivor

TABLE = '''
"""A module; this text has a character of two bytes: é."""
TABLE: dict[str, Row] = {
    "a": Row(X, f),  # a comment
    "b": Row(X, g, E),
}
GRID = {"c": (1, 2), "d": (3, 2)}
SETS = frozenset({p} | {q})


def untouched():
    return {"e": 1}
'''


def changes(mutants: Iterable[tables.Mutant], name: str) -> list[tuple[str, str]]:
    return [(mutant.was, mutant.becomes) for mutant in mutants if mutant.name == name]


def test_every_entry_and_every_cell_has_a_mutant() -> None:
    """An entry is dropped; a cell becomes what another row has in its column, if that differs."""
    assert changes(tables.mutants(TABLE), "TABLE") == [
        ('"a": Row(X, f),', ""),
        ('"b": Row(X, g, E),', ""),
        ('"a"[1]: f', "g"),
        ('"b"[1]: g', "f"),
    ]
    assert changes(tables.mutants(TABLE), "GRID")[2:] == [('"c"[0]: 1', "3"), ('"d"[0]: 3', "1")]


def test_every_operand_of_a_union_is_dropped() -> None:
    """Each side of a union of sets is tried alone."""
    assert changes(tables.mutants(TABLE), "SETS") == [("{p} | {q}", "{p}"), ("{p} | {q}", "{q}")]


def test_a_mutant_is_a_module_with_one_change() -> None:
    """Every mutant still parses, differs from the original, and leaves functions alone."""
    for mutant in tables.mutants(TABLE):
        ast.parse(mutant.source)
        assert mutant.source != TABLE
        assert mutant.source.endswith(TABLE[TABLE.index("def untouched") :])


KNOWN = Survivor("m.f", "a", "b")
NEW = Survivor("m.g", "c", "d")


@pytest.mark.parametrize(
    ("found", "exit_code", "said"),
    [
        ({KNOWN}, 0, "1 of them listed"),
        ({KNOWN, NEW}, 1, 'where = "m.g"'),
        (set(), 1, "does not survive any more"),
    ],
)
def test_only_listed_survivors_pass(
    found: set[Survivor], exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What survived must be exactly what is listed, and the difference is printed."""
    assert run.report(found, {KNOWN: "a reason"}) == exit_code
    assert said in capsys.readouterr().out


def test_each_listed_survivor_has_a_reason() -> None:
    """No entry of survivors.toml is without its sentence."""
    assert [entry for entry, reason in run.listed().items() if len(reason) < 20] == []
