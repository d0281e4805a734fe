"""The browser SDK's own tests, which are Node's: each of its files is one test here.

They run without a browser, a server or a wait; what they stand on is in
tests/browser/doubles.js. From this side come what they cannot see: the table of codes,
and a real server that crashes.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight_protocol.codes import CODES
from tests.doubles.process import server_process

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "browser"
SDK = ROOT / "clients" / "browser" / "sdk"
SECONDS = 60


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Node to its end; what it wrote is kept, and bounded in time."""
    command = ["node", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=ROOT)


@pytest.mark.needs("node")
@pytest.mark.parametrize("path", sorted(TESTS.glob("*.test.js")), ids=lambda path: path.stem)
def test_the_sdk_keeps_its_word(path: Path) -> None:
    """Every Node test of this file passes."""
    ran = node("--test", str(path))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.needs("node")
def test_the_sdk_knows_which_codes_pass() -> None:
    """The codes that the SDK tries again are those that the table calls worth it, as far as a
    join or request can meet them."""
    script = f"import {{ LATER }} from {json.dumps(SDK.as_uri() + '/errors.js')};"
    ran = node("--input-type=module", "-e", script + "console.log(JSON.stringify([...LATER]))")
    assert ran.returncode == 0, ran.stderr
    known = {name for name in json.loads(ran.stdout)}
    later = {name for name, row in CODES.items() if row.retry == "later"}
    assert known <= later
    assert {name for name in later if (CODES[name].http or 0) in (429, 500, 503, 507)} <= known


# The first attempt waits for a gate that nobody opens: it ends with the process.
BODY = {
    "kind": "image",
    "prompt": "a storm",
    "model": "scripted/image",
    "params": {
        "script": [
            {"do": "progress", "to": 0.4, "step": 4, "steps": 10},
            {"do": "preview", "step": 4},
            {"do": "wait", "gate": "never", "attempt": 1},
            {"do": "progress", "to": 0.8, "step": 8, "steps": 10},
            {"do": "image"},
        ]
    },
}


@pytest.mark.slow
@pytest.mark.needs("node", "npm packages")
def test_the_sdk_in_node_lives_through_a_crash(tmp_path: Path) -> None:
    """Killed by SIGKILL in mid-task and started again: the watch is told every seq once, in
    order, to one end; previews came as bytes; its fold is the server's snapshot."""
    with server_process(tmp_path / "data", scripted=True) as server, sdk(server.url) as told:
        seen = until(told, "preview")
        server.kill()
        seen += until(told, "line")
        server.start()
        seen += list(told)
    assert [line for line in seen if "gap" in line or "error" in line] == []
    assert next(line for line in seen if "preview" in line)["media_type"] == "image/png"
    events = [line for line in seen if "seq" in line]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events][-1] == "completed"
    assert seen[-2] == {"end": "completed", "isTheServers": True}


@contextmanager
def sdk(url: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The SDK at work in Node: what it tells, to its end, which comes in bounded time."""
    command = ["node", str(ROOT / "tests/e2e/sdk_client.mjs"), url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as client:
        deadline = threading.Timer(SECONDS, client.kill)
        deadline.start()
        try:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(json.dumps(BODY))
            client.stdin.close()
            yield (json.loads(line) for line in client.stdout)
        finally:
            deadline.cancel()
            client.kill()


def until(told: Iterator[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """What is told up to a line that has `name`."""
    seen: list[dict[str, Any]] = []
    for line in told:
        seen.append(line)
        if name in line:
            return seen
    raise AssertionError(f"it ended before it told {name}: {seen}")
