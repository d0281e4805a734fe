"""Binary pushes of unmodified phoenix.js, which sends an ArrayBuffer as kind 0."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.doubles.process import server_process

HERE = Path(__file__).parent


@pytest.mark.needs("node", "npm packages")
@pytest.mark.parametrize("version", ["1.7", "1.8"])
@pytest.mark.parametrize("room", ["chat_1", "chat_long-" + "x" * 54])
def test_bytes_come_back(version: str, room: str, tmp_path: Path) -> None:
    """A `ping` of bytes is answered with the same bytes, also under the longest topic."""
    with server_process(tmp_path / "data") as server:
        address = server.url.replace("http", "ws") + "/socket"
        ran = subprocess.run(
            ["node", "binary_client.mjs", f"phoenix-{version}", address, f"task:{room}"],
            capture_output=True,
            text=True,
            cwd=HERE,
            timeout=90,
        )
    assert [json.loads(line) for line in ran.stdout.splitlines()] == [[0, 1, 2, 255, 123], []]
