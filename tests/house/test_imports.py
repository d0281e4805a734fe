"""The architecture as a test: the contracts of .importlinter hold, and could be broken.

The contracts themselves stand there, each beside the sentence of docs/architecture.md
that it guards. This file only runs them, on the tree and on a copy with a sin in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run every contract on the packages in `tree`, which needs not be the checkout."""
    paths = os.pathsep.join(str(tree / folder) for folder in ("server", "protocol"))
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-logo", "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_the_contracts_hold() -> None:
    """Imports run in one direction, and every module has its place."""
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


SINS = {
    "an edge reaches into the store": (
        "server/safelight/edges/__init__.py",
        "import safelight.store",
    ),
    "the protocol reads a clock": ("protocol/safelight_protocol/codes.py", "import time"),
    "a module without a place": ("server/safelight/helpers.py", ""),
    "a second writer": ("server/safelight/orchestrator.py", "import aiosqlite"),
    "the settings know the web": ("server/safelight/settings/fields.py", "import starlette"),
    "the server speaks as a client": (
        "server/safelight/app.py",
        "import safelight_protocol.client",
    ),
    "the client knows the server": ("server/safelight/client/__init__.py", "import safelight.app"),
    "a provider knows another": (
        "server/safelight/providers/local.py",
        "import safelight.providers.scripted",
    ),
    "an emulator knows an adapter": (
        "server/safelight/emulators/replicate/hooks.py",
        "import safelight.providers.replicate",
    ),
    "an adapter knows an emulator": (
        "server/safelight/providers/replicate/hooks.py",
        "import safelight.emulators.runs",
    ),
    "an emulator knows another": (
        "server/safelight/emulators/replicate/hooks.py",
        "import safelight.emulators.openai",
    ),
    "an emulator reads our prices": (
        "server/safelight/emulators/replicate/prices.py",
        "import safelight_protocol.prices",
    ),
    "an import upwards": ("server/safelight/runner.py", "import safelight.orchestrator"),
    "a cycle in the protocol": (
        "protocol/safelight_protocol/events.py",
        "import safelight_protocol.task",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("path", "line"), SINS.values(), ids=SINS.keys())
def test_a_sin_is_named(tmp_path: Path, path: str, line: str) -> None:
    """An import that breaks a contract fails the check and is named with its module."""
    for folder in ("server", "protocol"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / ".importlinter", tmp_path)
    sinner = tmp_path / path
    sinner.write_text(f"{sinner.read_text() if sinner.exists() else ''}\n{line}\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    named = sinner.parent if sinner.name == "__init__.py" else sinner
    assert f".{named.stem}" in result.stdout
