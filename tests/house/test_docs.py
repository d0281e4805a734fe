"""The documents and the code say the same.

Generated parts cannot differ (tests/protocol/test_schema.py); here is what people
write: names and numbers in prose, links, the tests that a story claims, the form of
decisions. What is compared is the committed text.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from argparse import _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.cli import build_parser
from safelight.edges import channels, conversation, follow, socket, tasks
from safelight.gallery import TEXT_CHARACTERS
from safelight.settings import NAMED, NAMES, PREFIX, Settings
from safelight.subscriptions import MAX_PREVIEW
from safelight.vocabulary import EVENTS, STATISTICS
from safelight_protocol.codes import CODES
from safelight_protocol.events import TaskEvent
from safelight_protocol.session import Session

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
OURS = ("server", "protocol", "clients", "tests", "benchmarks", "docs")
CODE = (".py", ".js", ".mjs", ".toml", ".swift")


@functools.cache
def text_of(path: str) -> str:
    """A document of the checkout."""
    return (ROOT / path).read_text(encoding="utf-8")


def ours(*suffixes: str) -> Iterator[Path]:
    """Every file of ours with one of these endings, and those at the top."""
    yield from (path for path in ROOT.iterdir() if path.suffix in suffixes)
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "node_modules" not in path.parts:
                yield path


def rows(path: str) -> set[str]:
    """What stands as code in the first column of a document's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", text_of(path), re.MULTILINE))


def test_every_code_is_told() -> None:
    """The codes table of docs/wire.md has every code."""
    assert set(CODES) <= rows("docs/wire.md")


def test_every_event_is_told() -> None:
    """docs/wire.md has a row for every type of event."""
    assert {event.__struct_config__.tag for event in TaskEvent.__args__} <= rows("docs/wire.md")


def test_every_setting_is_told() -> None:
    """docs/settings.md has every setting and the variable that sets it."""
    page = text_of("docs/settings.md")
    fields = [(one.table, name) for one in NAMED for name in one.names]
    spelt = {f"{table}.<name>.{name}" for table, name in fields}
    assert rows("docs/settings.md") == set(NAMES) | spelt
    variables = [name for name in NAMES if name not in {one.table for one in NAMED}]
    variables += [f"{table}__<name>__{name}" for table, name in fields]
    assert [name for name in variables if f"`{PREFIX}{name.upper()}`" not in page] == []


def test_every_log_event_is_told() -> None:
    """docs/operations.md has every log event and every counter."""
    assert rows("docs/operations.md") >= EVENTS.keys() | STATISTICS.keys()


def test_every_command_is_told() -> None:
    """docs/operations.md has every command of the command line, with its long options."""
    page = text_of("docs/operations.md")
    (commands,) = (a for a in build_parser()._actions if isinstance(a, _SubParsersAction))
    for name, parser in commands.choices.items():
        line = re.search(rf"^\| `safelight {name}` .*$", page, re.MULTILINE)
        assert line is not None, name
        options = {option for action in parser._actions for option in action.option_strings}
        told = options - {"-h", "--help", "--server", "--url", "--token", "-o", "--output"}
        assert [option for option in told if f"`{option}`" not in line[0]] == []


CHANNELS = inspect.signature(Session).parameters["max_channels"].default

NUMBERS = [
    f"silent for {socket.IDLE_SECONDS:g} s",
    f"beyond {CHANNELS} |",
    f"takes nothing for {Settings().slow_reader_seconds:g} s",
    f"every {follow.HEARTBEAT_SECONDS:g} s of silence",
    f"(at most {tasks.MAX_WAIT_SECONDS} s)",
    f"above {conversation.MAX_TEXT_FRAME // 1024} KiB",
    f"the picture, at most {MAX_PREVIEW // 1024} KiB",
    f"cut to {TEXT_CHARACTERS:,} characters",
    f"gathered over {channels.GATHER_SECONDS:g} s",
]


@pytest.mark.parametrize("phrase", NUMBERS)
def test_numbers_in_prose_are_those_of_the_code(phrase: str) -> None:
    """A limit that docs/wire.md tells is the one that holds."""
    assert phrase in text_of("docs/wire.md")


def test_every_link_leads_somewhere() -> None:
    """A relative link in a document names a file or folder of the checkout."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in ours(".md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_document_that_code_names_is_there() -> None:
    """Docstrings and comments point at documents that exist."""
    named = re.compile(r"\bdocs/[A-Za-z0-9_/.-]+\.(?:md|json)")
    missing = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in ours(*CODE)
        for found in named.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / found).exists()
    }
    assert missing == set()


CLAIMS = re.findall(r"`(tests/[^`:]+)(?:::(\w+))?` \|$", text_of("docs/stories.md"), re.MULTILINE)


@pytest.mark.parametrize(("path", "test"), CLAIMS, ids=lambda part: part.rpartition("/")[2])
def test_a_claimed_test_is_there(path: str, test: str) -> None:
    """Every test that docs/stories.md names exists under that name."""
    tree = ast.parse(text_of(path))
    names = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not test or test in names


def test_every_story_is_told() -> None:
    """The five stories are there, and a complaint without a test says so."""
    page = text_of("docs/stories.md")
    assert len(re.findall(r"^## ", page, re.MULTILINE)) == 5
    unproved = [line for line in page.splitlines() if line.endswith("| |")]
    assert all("not answered yet" in line for line in unproved)


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_four_parts(path: Path) -> None:
    """Context, decision, alternatives, and what would change our mind."""
    parts = re.findall(r"^## (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert parts == ["Context", "Decision", "Alternatives", "What would change our mind"]


def test_decisions_are_numbered_without_a_hole() -> None:
    """File names and titles carry 1, 2, 3 …"""
    numbers = [int(path.name[:4]) for path in DECISIONS]
    titles = [int(path.read_text().split(".")[0].removeprefix("# ")) for path in DECISIONS]
    assert numbers == titles == list(range(1, len(DECISIONS) + 1))
