"""Every model that is shipped for three providers, asked for at its emulator by a real server.

What a newcomer would do first: the settings that the emulators print, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from safelight.emulators import emulator
from safelight.registry.catalog import read_catalog
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.process import ServerProcess, started
from tests.emulators.test_price_lists import ENDED

NAMES = ("openai", "anthropic", "gemini")
ROWS = [row for row in read_catalog().models if row.provider in NAMES and row.name not in ENDED]


class FromFile(ServerProcess):
    """What it needs to know is in safelight.toml."""

    def place(self) -> list[str]:
        """Where it keeps its files."""
        return ["--data-dir", "data"]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Emulated]]]:
    """The address of the server, and the three emulators."""
    folder: Path = tmp_path_factory.mktemp("shipped")
    with ExitStack() as stack:
        there = {name: stack.enter_context(emulated(folder, name)) for name in NAMES}
        said = [emulator(name).settings(one.url, one.key) for name, one in there.items()]
        (folder / "safelight.toml").write_text("\n".join(said))
        yield stack.enter_context(started(FromFile(folder / "data"))).url, there


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_shipped_model_can_be_tried(both: tuple[str, dict[str, Emulated]], row) -> None:
    """It completes, it ran once, and not somewhere else in its place."""
    url, there = both
    before = len(there[row.provider].runs())
    asked = {"kind": row.kind, "model": row.name, "prompt": "in 12 words", "max_cost": 5}
    with httpx2.Client(base_url=url, timeout=30) as door:
        made = door.post("/api/tasks", json=asked)
        assert made.status_code == 202, made.text
        with door.stream("GET", f"/api/tasks/{made.json()['data']['task_id']}/events") as stream:
            told = [json.loads(line[6:]) for line in stream.iter_lines() if line[:5] == "data:"]
    assert told[-1]["type"] == "completed", told[-1]
    assert told[-1]["result_data"]["provider"] == row.provider
    assert len(there[row.provider].runs()) == before + 1
