"""Every door has its page, and every door and option that a page names is there.

What is generated (docs/schema) cannot differ; here is what people write in sentences, tables
and lines to type.
"""

from __future__ import annotations

import re
from argparse import _SubParsersAction
from pathlib import Path

import pytest
from starlette.routing import Route

from safelight.app import ROUTES
from safelight.cli import build_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted(ROOT.glob("clients/*/README.md"))
ELSEWHERE = ("/api/experiment",)
"""What pages tell of other servers."""

NAMED = re.compile(
    r"(?:\b(GET|POST|PATCH|DELETE) )?(?<![\w>])(/api/[\w{}<>…:-](?:[\w{}<>…:/-]|\.\.\.)*)"
)
TYPED = re.compile(r"\bsafelight ([a-z]+)((?:\\\n|[^\n`#|])*)")
THE_SAME = "/api/video"
"""Views of videos are told as `the same` as those of pictures."""


def text_of(page: Path) -> str:
    """A page."""
    return page.read_text(encoding="utf-8")


def spelt(route: Route, part: str, rest: str) -> str:
    """Its path as a pattern, with these for what is filled in."""
    path = re.escape(route.path)
    return re.sub(r"\\\{\w+(:path)?\\\}", lambda found: rest if found[1] else part, path)


DOORS = [route for route in ROUTES if isinstance(route, Route) and route.path.startswith("/api/")]
PATTERNS = [(re.compile(spelt(route, "[^/]+", ".+") + r"\Z"), route.methods) for route in DOORS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_door_that_is_told_is_there(page: Path) -> None:
    """With the method that stands before it, if one does."""
    unknown = []
    for method, path in NAMED.findall(text_of(page)):
        meant = {path.rstrip("…:"), re.sub(r"…|\.\.\.", "x", path)}
        methods = [known for pattern, known in PATTERNS if any(map(pattern.match, meant))]
        there = any(not method or method in (known or ()) for known in methods)
        if not there and not path.startswith(ELSEWHERE):
            unknown.append(f"{method} {path}".strip())
    assert unknown == []


def test_every_door_is_told() -> None:
    """Some page has its address, whatever stands for what is filled in."""
    told = "\n".join(text_of(page) for page in PAGES)
    untold = [
        route.path
        for route in DOORS
        if not re.search(spelt(route, r"[^\s/`|]+", r"[^\s`|]+"), told)
        and not route.path.startswith(THE_SAME)
    ]
    assert untold == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_option_that_is_told_is_there(page: Path) -> None:
    """Each line to type names a command that there is, with options that it takes."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a, _SubParsersAction))
    wrong = []
    for name, rest in TYPED.findall(text_of(page)):
        if name not in commands.choices:
            continue
        taken = {option for a in commands.choices[name]._actions for option in a.option_strings}
        wrong += [(name, o) for o in re.findall(r"(?<!\S)--[a-z-]+", rest) if o not in taken]
    assert wrong == []


def test_the_table_of_commands_names_no_other_option() -> None:
    """Each option in a row of docs/operations.md is one of that command."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a, _SubParsersAction))
    rows = re.findall(r"^\| `safelight (\w+)` \|(.*)$", text_of(ROOT / "docs/operations.md"), re.M)
    assert {name for name, _ in rows} == set(commands.choices)
    for name, row in rows:
        taken = {option for a in commands.choices[name]._actions for option in a.option_strings}
        assert set(re.findall(r"`(--?[a-z-]+)`", row)) - taken == set(), name
