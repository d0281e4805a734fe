"""The table of codes: well formed, and the only source of the codes that anyone uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from safelight_protocol.codes import CODES, Code, Refused, code

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol/safelight_protocol", "server/safelight")
NAMED_FIRST = {"Refused", "error_data", "Again", "Never", "code"}
"""Calls whose first argument is a code."""

TRY_AGAIN = {1001, 1009, 1011, 1012, 1013}
"""Close codes after which unmodified clients come back, or have learnt why not to."""


def used(path: Path) -> Iterator[tuple[str, str]]:
    """Every code that a file names in a call, with its place."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else None
        name = node.func.id if isinstance(node.func, ast.Name) else name
        first = node.args[0]
        if name in NAMED_FIRST and isinstance(first, ast.Constant):
            if isinstance(first.value, str):
                yield first.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_code_in_use_is_in_the_table() -> None:
    """No refusal and no error anywhere in the product has a code of its own invention."""
    files = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")]
    found = [one for path in files for one in used(path)]
    assert len(found) > 20
    assert [(name, place) for name, place in found if name not in CODES] == []


@pytest.mark.parametrize("row", CODES.values(), ids=list(CODES))
def test_a_row_is_whole(row: Code) -> None:
    """A code is lower case, says what it means in a sentence, and knows whether to retry."""
    assert row.name == row.name.lower() and row.name.replace("_", "").isalpha()
    assert row.meaning[0].isupper() and row.meaning.endswith(".")
    assert row.retry in ("no", "changed", "later")
    assert CODES[row.name] is row is code(row.name)


@pytest.mark.parametrize("row", CODES.values(), ids=list(CODES))
def test_doors_get_what_they_can_say(row: Code) -> None:
    """HTTP has error statuses only; a socket is never closed with 1000 or a 4xxx."""
    assert row.http is None or HTTPStatus(row.http) >= 400
    assert row.close is None or row.close in TRY_AGAIN


def test_a_client_may_come_back_after_our_failures() -> None:
    """What is our fault at HTTP may be tried again later; what is theirs may not, unchanged."""
    for row in CODES.values():
        if row.http is not None and row.http >= 500:
            assert row.retry == "later", row.name
        if row.http in (400, 401, 413, 416, 422):
            assert row.retry == "changed", row.name


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("id_conflict", 409),
        ("key_reused", 422),
        ("gone", 410),
        ("invalid", 400),
        ("not_found", 404),
    ],
)
def test_the_decision_table_has_its_statuses(name: str, status: int) -> None:
    """The refusals of a create keep the statuses that docs/wire.md promises."""
    assert code(name).http == status


@pytest.mark.parametrize(
    ("name", "close"),
    [("shutting_down", 1012), ("too_large", 1009), ("bad_frame", 1011), ("slow_reader", 1013)],
)
def test_sockets_are_closed_with_a_reason(name: str, close: int) -> None:
    """Each reason to close a socket has its own close code."""
    assert code(name).close == close


def test_names_are_unique() -> None:
    """No two rows share a name: the table would hide one of them."""
    source = (ROOT / PACKAGES[0] / "codes.py").read_text(encoding="utf-8")
    rows = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [node for node in rows if isinstance(node.func, ast.Name) and node.func.id == "Code"]
    assert len(names) == len(CODES)


def test_a_refusal_carries_its_row() -> None:
    """Message, details and what else the door should answer are had from the exception."""
    details: list[dict[str, object]] = [{"field": "n", "found": "9", "expected": "less"}]
    refused = Refused("invalid", "n: found 9, expected less", details, task_id="x")
    assert (refused.code, str(refused)) == (CODES["invalid"], "n: found 9, expected less")
    assert (refused.details, refused.extra) == (details, {"task_id": "x"})
    assert Refused("gone", "it is").details == []


def test_an_unknown_code_is_a_defect() -> None:
    """A refusal with a code that is not in the table cannot be made."""
    with pytest.raises(KeyError):
        Refused("no_such_code", "?")
