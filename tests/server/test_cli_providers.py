"""`safelight providers` against real servers beside emulated providers."""

from __future__ import annotations

import io
import time
from pathlib import Path

from safelight.cli import main
from safelight.cli.providers import HEADS, row_of
from safelight.cli.world import World
from safelight.client import Provider
from safelight.client.providers import OpenBreaker, Places
from tests.doubles.emulated import emulated
from tests.doubles.process import START_SECONDS, ServerProcess, server_process


def said(server: ServerProcess) -> tuple[int, list[str], str]:
    """The exit code of the command, the lines of its table, and what it said besides."""
    out, err = io.StringIO(), io.StringIO()
    world = World({"SAFELIGHT_URL": server.url}, out, err, time.time)
    return main(["providers"], world), out.getvalue().splitlines(), err.getvalue()


def test_an_operator_sees_which_key_is_wrong(tmp_path: Path) -> None:
    """A row for each provider of the settings: one that is up with its address, one whose key is
    wrong with the sentence that names the setting; the log says so as well."""
    with emulated(tmp_path, "replicate") as paint, emulated(tmp_path, "openai") as words:
        settings = {
            "providers__replicate__url": f"{paint.url}/v1",
            "providers__replicate__key": "not-the-key",
            "providers__openai__url": f"{words.url}/v1",
            "providers__openai__key": words.key,
        }
        with server_process(tmp_path / "data", **settings) as server:
            ends_at = time.monotonic() + START_SECONDS
            table = "unknown"
            while "unknown" in table and time.monotonic() < ends_at:
                code, lines, _ = said(server)
                table = "\n".join(lines)
            server.stop()
            log = server.stderr()
    rows = {line.split()[0]: line for line in lines[1:]}
    assert code == 0 and lines[0].split() == list(HEADS)
    assert rows["openai"].split()[1:3] == ["openai", "up"] and rows["openai"].endswith("/v1")
    assert rows["replicate"].split()[1:3] == ["replicate", "refused"]
    assert rows["replicate"].endswith(
        "[providers.replicate] key was not accepted (401): Unauthenticated"
    )
    assert log.count("provider.refused") == 1 and log.count("provider.up") == 1
    assert "not-the-key" not in log + table and paint.runs() == words.runs() == []


def test_a_server_without_any_says_so(tmp_path: Path) -> None:
    """The table is empty then, and it is said where providers are written."""
    with server_process(tmp_path / "data") as server:
        code, lines, err = said(server)
    assert (code, len(lines)) == (0, 1) and "[providers.<name>]" in err


def test_a_row_tells_places_and_breakers() -> None:
    """Who waits, and which models are left alone, beside places and age."""
    provider = Provider(
        name="paint",
        type="replicate",
        url="http://127.0.0.1:9",
        state="up",
        since="1970-01-01T00:00:00.000Z",
        why=None,
        models=3,
        places=Places(taken=4, of=4, waiting=2),
        breakers=(OpenBreaker(model="flux", until="1970-01-01T00:02:00.000Z"),),
    )
    row = row_of(provider, 120.0)
    assert row == ("paint", "replicate", "up", "2m", "3", "4/4 +2", "flux", "http://127.0.0.1:9")
