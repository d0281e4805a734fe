"""A file of models that is wrong: the server does not start, and says where to look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.process import clean_environment

BACKEND = '[backends.kerniegen]\nurl = "http://127.0.0.1:9"\n'


@pytest.mark.parametrize("backends", ["", BACKEND], ids=["without backends", "with one"])
def test_a_wrong_file_of_models_stops_the_server(tmp_path: Path, backends: str) -> None:
    """One line with file, row and field, and exit code 2, whatever else is configured."""
    models, settings = tmp_path / "own.toml", tmp_path / "safelight.toml"
    models.write_text('[[models]]\nname = "mine/x"\nordr = 1\n')
    settings.write_text(f'models_file = "{models}"\n{backends}')
    done = subprocess.run(
        [sys.executable, "-m", "safelight", "serve", "--port", "0", "--config", str(settings)],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("safelight: ")]
    assert f"{models}: models.mine/x.ordr: no such field; did you mean order?" in line
    assert "Traceback" not in done.stderr
