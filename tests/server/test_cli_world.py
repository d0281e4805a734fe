"""The command line's streams: a reader that has enough, and encodings that lack signs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.doubles.process import clean_environment, server_process

WAIT_SECONDS = 30.0


def test_who_reads_no_further_ends_run_quietly(tmp_path: Path) -> None:
    """`run | head`: nothing is wrong with the result, so nothing of the kind is told."""
    script = json.dumps([{"do": "text", "delta": "Once"}])
    steps = ["--kind", "text", "--model", "scripted/text", "--param", f"script={script}"]
    ends, closed = os.pipe()
    os.close(ends)
    try:
        with server_process(tmp_path / "data", scripted=True) as server:
            ran = subprocess.run(
                [sys.executable, "-m", "safelight", "run", "x", *steps],
                env=clean_environment() | {"SAFELIGHT_URL": server.url},
                stdout=closed,
                stderr=subprocess.PIPE,
                timeout=WAIT_SECONDS,
                text=True,
            )
    finally:
        os.close(closed)
    assert ran.returncode == 1
    assert "cannot write" not in ran.stderr and "Broken" not in ran.stderr


def test_what_an_encoding_has_no_sign_for_is_still_told() -> None:
    """A terminal that is not in UTF-8 shows the number of such a sign, and no traceback."""
    program = "from safelight.cli.world import real_world as w; w().say('one · two …')"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment() | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=WAIT_SECONDS,
    )
    assert ran.stdout == b"one \\xb7 two \\u2026\n", ran.stderr
