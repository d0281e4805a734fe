"""What is built and what it is built from: wheel, source archive, locks, version.

Builds both archives once with the backend of pyproject.toml, in this interpreter and
without a network. Does not install them: .ci/run does, in an environment of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import safelight

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one wheel and one source archive."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    """The names in the wheel."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def tracked(folder: str) -> set[str]:
    """Files of a package folder that belong to the product, relative to it."""
    base = ROOT / folder
    return {
        path.relative_to(base).as_posix()
        for path in base.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("folder", "package"),
    [("server/safelight", "safelight"), ("protocol/safelight_protocol", "safelight_protocol")],
)
def test_the_wheel_carries_every_file_of_a_package(
    wheel: set[str], folder: str, package: str
) -> None:
    """Modules, migrations, model tables and type markers all travel."""
    assert {f"{package}/{name}" for name in tracked(folder)} <= wheel


def test_the_wheel_carries_the_page(wheel: set[str]) -> None:
    """The Studio and the SDK it imports are in the wheel, their tests are not."""
    studio = {name.removeprefix("safelight/studio/") for name in wheel if "/studio/" in name}
    assert "index.html" in studio
    assert {name for name in tracked("clients/browser") if name.endswith((".html", ".css"))} <= (
        studio
    )
    assert {name for name in studio if "test" in name or name.startswith("package")} == set()


def test_the_wheel_carries_nothing_else(wheel: set[str]) -> None:
    """Outside its two packages and its own metadata the wheel is empty."""
    tops = {name.split("/")[0] for name in wheel}
    metadata = f"safelight-{safelight.__version__}.dist-info"
    assert tops == {"safelight", "safelight_protocol", metadata}
    assert f"{metadata}/licenses/LICENSE" in wheel


def test_the_source_archive_can_build_the_wheel_again(built: Path) -> None:
    """The source archive holds what the wheel is made of, its tests and its locks."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for folder in ("server/safelight", "protocol/safelight_protocol", "clients/browser"):
        assert {f"{folder}/{name}" for name in tracked(folder)} <= names
    assert {"pyproject.toml", "LICENSE", "Makefile", "tests/conftest.py"} <= names
    assert {path.relative_to(ROOT).as_posix() for path in LOCKS} <= names
    assert not {name for name in names if "node_modules" in name or "__pycache__" in name}


def entries(lock: Path) -> list[str]:
    """Each requirement of a lock with the lines that continue it, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    return [entry for entry in re.split(r"(?<!\\)\n", text) if entry.strip()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_and_hashes_and_names_no_host(lock: Path) -> None:
    """Every entry has one version and a hash, and nothing says where it comes from."""
    found = entries(lock)
    assert len(found) > 10
    assert [entry for entry in found if not re.match(r"[a-z0-9-]+==\S+ ", entry)] == []
    assert [entry for entry in found if "--hash=sha256:" not in entry] == []
    assert "://" not in lock.read_text()
    assert "--index" not in lock.read_text()


def test_both_locks_agree() -> None:
    """What the server runs with is what it is tested with."""
    run, dev = (
        {entry.split()[0] for entry in entries(ROOT / f"requirements/{name}.lock")}
        for name in ("run", "dev")
    )
    assert run <= dev


def test_every_dependency_is_locked() -> None:
    """A dependency added to pyproject.toml without `make lock` is noticed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["build"], *groups["dev"]]
    names = {re.split(r"[^A-Za-z0-9-]", entry)[0].lower() for entry in wanted}
    locked = {entry.split("==")[0] for entry in entries(ROOT / "requirements/dev.lock")}
    assert names <= locked


def test_npm_packages_are_pinned_by_content() -> None:
    """Every npm package has an integrity hash, and no address to fetch it from."""
    lock = json.loads((ROOT / "tests/e2e/package-lock.json").read_text())
    manifest = json.loads((ROOT / "tests/e2e/package.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert {f"node_modules/{name}" for name in manifest["dependencies"]} <= packages.keys()
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())


def test_the_changelog_has_the_version() -> None:
    """The version that is built has its section in the changelog."""
    assert f"## [{safelight.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
