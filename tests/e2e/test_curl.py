"""The curl cookbook, run as it stands against a real server.

Its blocks are run in their order by one shell, as a reader would; what each prints is
compared with the block that follows it, in which `…` stands for anything.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.doubles.process import ServerProcess, clean_environment, server_process

COOKBOOK = Path(__file__).parents[2] / "clients/curl/README.md"
BLOCK = re.compile(r"```sh\n(.*?)```\n\n```\w*\n(.*?)```", re.DOTALL)
MARK = "=== end of a recipe ==="
WAIT_SECONDS = 120.0

pytestmark = [pytest.mark.needs("curl"), pytest.mark.slow]


class Recipe(NamedTuple):
    """A heading of the cookbook with its commands and what they print."""

    title: str
    commands: str
    printed: str


def recipes() -> Iterator[Recipe]:
    """Every recipe, in order."""
    for section in re.split(r"^#+ ", COOKBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE):
        title, _, text = section.partition("\n")
        for number, (commands, printed) in enumerate(BLOCK.findall(text), start=1):
            yield Recipe(f"{title} {number}", commands, printed)


RECIPES = list(recipes())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("curl") / "data", local_pace_seconds=0) as running:
        yield running


@pytest.fixture(scope="module")
def outputs(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each recipe printed."""
    script = "".join(f"{recipe.commands}\necho\necho '{MARK}'\n" for recipe in RECIPES)
    done = subprocess.run(
        ["bash"],
        input=script.encode(),
        capture_output=True,
        cwd=tmp_path_factory.mktemp("kitchen"),
        env=clean_environment() | {"SERVER": server.url},
        timeout=WAIT_SECONDS,
    )
    assert done.stderr == b""
    printed = done.stdout.decode().split(MARK)
    return dict(zip([recipe.title for recipe in RECIPES], printed, strict=False))


def as_pattern(printed: str) -> re.Pattern[str]:
    """A block of the cookbook as a pattern. Where two answers meet without a line break
    (curl adds none), the cookbook breaks the line all the same."""
    told = printed.strip().split("…")
    return re.compile(
        ".*?".join(r"\s*".join(map(re.escape, part.split("\n"))) for part in told), re.S
    )


def test_the_cookbook_is_all_recipes() -> None:
    """Every block of commands is followed by what it prints."""
    assert len(RECIPES) == COOKBOOK.read_text(encoding="utf-8").count("```sh\n")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
def test_a_recipe_prints_what_it_says(recipe: Recipe, outputs: dict[str, str]) -> None:
    """The output begins, goes on and ends as the cookbook shows it."""
    output = outputs[recipe.title].strip()
    ends_open = recipe.printed.rstrip().endswith("…")
    pattern = as_pattern(recipe.printed)
    matched = pattern.match(output) if ends_open else pattern.fullmatch(output)
    assert matched, f"printed:\n{output}\n\nexpected:\n{recipe.printed}"
