"""The browser SDK's own tests, which are Node's: each of its files is one test here.

They run without a browser, a server or a wait; what they stand on is in
tests/browser/doubles.js. The table of codes is held against the SDK's from this side.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from safelight_protocol.codes import CODES

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
