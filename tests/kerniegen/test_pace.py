"""How often progress is told, which the two releases do otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.kernie import kerniegen
from tests.kerniegen.asker import Asker, asker
from tests.kerniegen.graphs import steps

COUNT = 40


def told(client: Asker, preview: str) -> list[int]:
    """The values of all progress messages of quick steps."""
    client.run(steps(count=COUNT, delay_ms=10, preview=preview))
    return [m["data"]["value"] for m in client.heard if m["type"] == "progress"]


def test_the_newer_release_holds_quick_steps_back(tmp_path: Path) -> None:
    """Without a preview the first and the last are told, and few between; with one, all are."""
    with kerniegen(tmp_path / "kernie", version="0.33") as kernie:
        with asker(kernie.url) as client:
            values = told(client, "none")
            assert (values[0], values[-1]) == (1, COUNT)
            assert len(values) < COUNT / 2 and values == sorted(set(values))
        with asker(kernie.url) as client:
            assert told(client, "JPEG") == list(range(1, COUNT + 1))


@pytest.mark.parametrize("preview", ["none", "JPEG"])
def test_the_older_release_tells_every_step(tmp_path: Path, preview: str) -> None:
    """However quick, each step is told."""
    with kerniegen(tmp_path / "kernie", version="0.3.64") as kernie:
        with asker(kernie.url) as client:
            assert told(client, preview) == list(range(1, COUNT + 1))
