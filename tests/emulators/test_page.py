"""docs/emulators.md, done as it is printed, and held against the code."""

from __future__ import annotations

import json
import re
import subprocess
from argparse import _SubParsersAction
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from safelight.cli import build_parser
from safelight.emulators import PORTS, emulator
from safelight.emulators.faults import COMMON
from safelight.settings import load
from tests.doubles.emulated import Emulated
from tests.doubles.process import ServerProcess, started

PAGE = (Path(__file__).parents[2] / "docs/emulators.md").read_text(encoding="utf-8")
TRY = PAGE.partition("## Try it")[2].partition("\n## ")[0]
SERVERS = (".venv/bin/safelight emulate replicate", ".venv/bin/safelight serve")


def commands() -> list[str]:
    """What is typed in the third terminal."""
    blocks = re.findall(r"```sh\n(.*?)```", TRY, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert [line for line in lines if line.startswith(SERVERS)] == lines[:2]
    return lines[2:]


class FromFile(ServerProcess):
    """Safelight as the page starts it: what it needs to know is in safelight.toml."""

    def place(self) -> list[str]:
        """Where it keeps its files."""
        return ["--data-dir", "data"]


@contextmanager
def both(folder: Path) -> Iterator[tuple[str, str]]:
    """The two servers of the page, on free ports; their addresses."""
    with ExitStack() as stack:
        log = {"log": folder / "replicate.log", "pace": 0.02}
        first = stack.enter_context(started(Emulated(folder, "replicate", **log)))
        [toml] = re.findall(r"```toml\n(.*?)```", TRY, re.DOTALL)
        there = first.url.rpartition(":")[2]
        (folder / "safelight.toml").write_text(toml.replace("8194", there))
        second = stack.enter_context(started(FromFile(folder / "data")))
        yield first.url, second.url


@pytest.mark.slow
@pytest.mark.needs("curl")
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    """Every command succeeds, every task completes, and three runs cost what the usage says."""
    said = []
    with both(tmp_path) as (replicate, safelight):
        for line in commands():
            line = line.replace("http://127.0.0.1:8194", replicate)
            line = line.replace("http://127.0.0.1:4747", safelight)
            line = line.replace("curl ", "curl --silent --show-error --fail-with-body -m 60 ", 1)
            done = subprocess.run(
                ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=90
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            said.append(done.stdout)
    streams = [text for text in said if text.startswith((":", "id:", "event:", "retry:"))]
    assert len(streams) == 3 and all('"type":"completed"' in text for text in streams), said
    [runs] = [json.loads(text)["runs"] for text in said if text.startswith('{"runs"')]
    assert len(runs) == 3 and {run["outcome"] for run in runs} == {"succeeded"}


def test_the_settings_are_those_of_the_greeting() -> None:
    """The lines to paste are what the emulator says, and Safelight takes them."""
    [toml] = re.findall(r"```toml\n(.*?)```", TRY, re.DOTALL)
    address = f"http://127.0.0.1:{PORTS['replicate']}"
    assert emulator("replicate").settings(address, "emulated").strip() == toml.strip()


@pytest.mark.parametrize("name", PORTS)
def test_every_emulator_can_be_pasted(name: str, tmp_path: Path) -> None:
    """What each says first is a provider that the settings take, under its own name."""
    file = tmp_path / "safelight.toml"
    file.write_text(emulator(name).settings("http://127.0.0.1:1", "emulated"))
    settings = load(str(file), {}, {}).settings
    assert settings.providers[name].url.startswith("http://127.0.0.1:1")


@pytest.mark.parametrize("name", PORTS)
def test_every_emulator_is_told(name: str) -> None:
    """It has a row with its port, and each of its faults is on the page."""
    [row] = re.findall(rf"^\| `{name}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert row.startswith(f"{PORTS[name]} | ")
    told = set(re.findall(r"`([a-z0-9-]+)(?:=[^`]*)?`", PAGE))
    assert set(emulator(name).FAULTS) - told == set()


def test_every_common_fault_has_its_place() -> None:
    """The table tells each with the place where it strikes by default."""
    table = PAGE.partition("| Fault | Place |")[2].partition("\n\n")[0]
    for name, place in COMMON.items():
        [row] = [line for line in table.splitlines() if re.search(rf"`{name}(=|`)", line)]
        assert f"| `{place}` |" in row


def test_every_option_is_told() -> None:
    """The table of options has each long option of the command."""
    (commands,) = (a for a in build_parser()._actions if isinstance(a, _SubParsersAction))
    options = {o for a in commands.choices["emulate"]._actions for o in a.option_strings}
    assert [o for o in options - {"-h", "--help"} if f"`{o}`" not in PAGE] == []
