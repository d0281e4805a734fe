"""A part of a document, done as it is printed: its files written, its servers started, its
commands typed, one after another.

    with typed(folder, "docs/openai.md", "Servers of your own") as page:
        assert page.outputs[0].startswith("…")

A block of TOML whose first line is `# name.toml` is that file; files of other languages are
handed in by name. Servers get free ports instead of those that are printed. Installing is
left out. Unrealistic: there is one terminal, and no make.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from tests.doubles.emulated import Emulated
from tests.doubles.kernie import Kernie
from tests.doubles.process import ServerProcess, clean_environment, started

ROOT = Path(__file__).parents[2]
SAFELIGHT = ".venv/bin/safelight "
INSTALLING = ".venv/bin/pip install "
WAIT_SECONDS = 90.0


class Typed(msgspec.Struct):
    """What came of it: what each command printed, in order, and where the server is."""

    outputs: list[str]
    url: str


class _FromFile(ServerProcess):
    """Safelight with nothing but what is in safelight.toml."""

    def place(self) -> list[str]:
        return ["--data-dir", "data"]


def blocks(page: str, heading: str, language: str) -> list[str]:
    """The blocks of a language below a heading of a document, up to the next one."""
    text = (ROOT / page).read_text(encoding="utf-8")
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert part, f"{page} has no part {heading}"
    return re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)


@contextmanager
def typed(folder: Path, page: str, heading: str, **json: str) -> Iterator[Typed]:
    """Do it in a folder; `json` has the names of the blocks of JSON, in their order, by any
    word. The servers run until the end."""
    ports: dict[str, str] = {}
    told = Typed([], "")
    with ExitStack() as servers:
        _write(folder, page, heading, list(json.values()))
        for line in "".join(blocks(page, heading, "sh")).splitlines():
            command = line.partition("#")[0].strip()
            if command.startswith(f"{SAFELIGHT}serve"):
                _swap(folder, ports)
                told.url = servers.enter_context(started(_FromFile(folder / "data"))).url
            elif command.startswith((f"{SAFELIGHT}emulate", f"{SAFELIGHT}kerniegen")):
                printed, server = _stand_in(folder, command)
                servers.enter_context(started(server))
                ports[printed] = server.url
            elif command and not command.startswith(INSTALLING):
                told.outputs.append(_said(folder, command, told.url))
        yield told


def _write(folder: Path, page: str, heading: str, names: list[str]) -> None:
    files = dict(zip(names, blocks(page, heading, "json"), strict=True))
    for block in blocks(page, heading, "toml"):
        name = block.partition("\n")[0].removeprefix("# ")
        assert name.endswith(".toml"), f"which file is this? {block}"
        files[name] = block
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def _stand_in(folder: Path, command: str) -> tuple[str, ServerProcess]:
    """The server that a command starts, and the address that it would have by itself."""
    from safelight.emulators import PORTS

    words = shlex.split(command)
    if words[1] == "kerniegen":
        return "http://127.0.0.1:8189", Kernie(folder / "kerniegen-data")
    return f"http://127.0.0.1:{PORTS[words[2]]}", Emulated(folder, words[2])


def _swap(folder: Path, ports: dict[str, str]) -> None:
    """The addresses that the servers really have, in place of those that are printed."""
    file = folder / "safelight.toml"
    text = file.read_text(encoding="utf-8")
    for printed, real in ports.items():
        assert printed in text, f"nothing leads to {printed}"
        text = text.replace(printed, real)
    file.write_text(text, encoding="utf-8")


def _said(folder: Path, command: str, url: str) -> str:
    """What a command printed. Raises AssertionError if it failed."""
    command = command.replace(SAFELIGHT, f"{shlex.quote(sys.executable)} -m safelight ")
    command = command.replace("http://127.0.0.1:4747", url)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=clean_environment() | {"SAFELIGHT_URL": url},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout
