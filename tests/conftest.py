"""Skips are named, listed and counted; anything else that is not a plain pass fails.

A test says what it needs beyond Python: `@pytest.mark.needs("node", "chromium")`.
Where a tool is absent the test is skipped, and the end of the run names it. The
pair of test and tool must stand in allowed_skips.toml, on every machine, whether
the tool is there or not. Every other skip, every xfail and every xpass is a failure.
What drives other programs (tests/e2e) is slow, also without the mark. Files with slow
tests come first, so that no worker is left alone with a long one at the end. Fixtures
live beside the tests that use them, not here.
"""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Generator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
NPM_PACKAGES = "npm packages"
SLOW_SECONDS = 300
MISSING = pytest.StashKey[str]()

settings.register_profile("safelight", deadline=None)  # a busy machine is no finding
settings.load_profile("safelight")


@functools.cache
def allowed_skips() -> list[dict[str, str]]:
    """The entries of allowed_skips.toml: test (a pattern of node ids), tool, reason."""
    with (HERE / "allowed_skips.toml").open("rb") as file:
        return tomllib.load(file).get("skip", [])


def reason_to_allow(nodeid: str, tool: str) -> str | None:
    """Why this test may be skipped without that tool; None when it may not."""
    for entry in allowed_skips():
        if entry["tool"] == tool and fnmatchcase(nodeid, entry["test"]):
            return entry["reason"]
    return None


def can_mount() -> bool:
    """Whether this user may mount a small file system of memory, and does it."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder]
        if shutil.which("mount") is None or os.geteuid() != 0:
            return False
        if subprocess.run(asked, capture_output=True, timeout=30).returncode != 0:
            return False
        return subprocess.run(["umount", folder], timeout=30).returncode == 0


def can_trace() -> bool:
    """Whether strace is there and may take hold of another process."""
    if shutil.which("strace") is None:
        return False
    with subprocess.Popen(["sleep", "30"]) as other:
        try:
            asked = ["timeout", "1", "strace", "-qq", "-o", os.devnull, "-p", str(other.pid)]
            refused = subprocess.run(asked, capture_output=True, timeout=30)
        finally:
            other.kill()
    return not refused.stderr


CAPABILITIES: dict[str, Callable[[], bool]] = {
    NPM_PACKAGES: lambda: (HERE / "e2e/node_modules/.package-lock.json").exists(),
    "cog": lambda: bool(importlib.util.find_spec("coglet")),
    "replicate 2": lambda: (HERE.parent / ".venv-sdk/.done").exists(),
    "tmpfs": can_mount,
    "strace": can_trace,
    "moto": lambda: all(importlib.util.find_spec(name) for name in ("moto", "flask", "obstore")),
}
"""What `needs` may name that is more than a program."""


@functools.cache
def is_present(tool: str) -> bool:
    """Whether the tool answers `--version`; version managers leave names that do not."""
    if tool in CAPABILITIES:
        return CAPABILITIES[tool]()
    path = shutil.which(tool)
    if path is None:
        return False
    asked = subprocess.run(
        [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30
    )
    return asked.returncode == 0


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: looking for garbage in it takes as long as the
    collecting. What tests leave behind is looked through as ever."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before `-m "not slow"` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE / "e2e" in item.path.parents:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for tool in [tool for mark in item.iter_markers("needs") for tool in mark.args]:
        reason = reason_to_allow(item.nodeid, tool)
        if reason is None:
            pytest.fail(f"needs {tool}, which allowed_skips.toml does not list", pytrace=False)
        if not is_present(tool):
            item.stash[MISSING] = tool
            pytest.skip(f"needs {tool}: {reason}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if hasattr(report, "wasxfail"):
        del report.wasxfail
        report.outcome = "failed"
        report.longrepr = "Neither xfail nor xpass is allowed: say what is true now, or mend it."
    elif report.skipped and MISSING not in item.stash:
        report.outcome = "failed"
        report.longrepr = f"Skipped, but not by `needs`: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"A whole module was skipped, but not by `needs`: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section(f"skipped by name: {len(skipped)}")
    for report in skipped:
        _path, _line, words = report.longrepr
        terminalreporter.line(f"{report.nodeid}: {words.removeprefix('Skipped: ')}")
