"""`make mutate`: does any test notice when the lifecycle or the session is wrong?

Copies the protocol and its tests into a folder of its own, lets mutmut change every
function there and tables.py every table, runs the modules' own tests on each mutant,
and compares what survived with survivors.toml. A survivor that is not listed fails,
and so does an entry that no longer survives. Takes some minutes; no part of `make test`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.mutation import tables

ROOT = Path(__file__).parents[2]
PACKAGE = "safelight_protocol"
MODULES = {
    "lifecycle": ["test_lifecycle*.py"],
    "session": ["test_session*.py"],
    "session_table": ["test_session*.py"],
}
WORKERS = 2
SECONDS_PER_MUTANT = 60
KILLED = 1
QUIET = ["-q", "-x", "-p", "no:cacheprovider", "--no-header"]
MUTMUT_CONFIG = """
[tool.mutmut]
source_paths = {source_paths}
only_mutate = {only_mutate}
pytest_add_cli_args_test_selection = {tests}
use_git_change_detection = false
"""


class Survivor(NamedTuple):
    """A mutant that no test noticed: in `where`, `was` became `becomes`."""

    where: str
    was: str
    becomes: str


def own_tests(module: str) -> list[str]:
    """The test files of a module, relative to the checkout."""
    found = [path for name in MODULES[module] for path in (ROOT / "tests/protocol").glob(name)]
    if not found:
        sys.exit(f"no tests of {module}: nothing in tests/protocol is called {MODULES[module]}")
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def sandbox(folder: Path) -> Path:
    """A tree with the package at its top, where both tools find it under its own name."""
    ignore = shutil.ignore_patterns("node_modules", "__pycache__")
    shutil.copytree(ROOT / "protocol" / PACKAGE, folder / PACKAGE, ignore=ignore)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignore)
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def table_survivors(folder: Path) -> Iterator[Survivor]:
    """Run the mutants of the tables, each in a process of its own."""
    trees = [sandbox(folder / str(number)) for number in range(WORKERS)]
    for module in MODULES:
        source = (ROOT / "protocol" / PACKAGE / f"{module}.py").read_text()
        mutants = list(tables.mutants(source))
        shares = [mutants[number::WORKERS] for number in range(WORKERS)]
        with ThreadPoolExecutor(WORKERS) as pool:
            survived = pool.map(judge, trees, [module] * WORKERS, shares)
            found = [survivor for share in survived for survivor in share]
        print(f"tables of {module}: {len(mutants)} mutants, {len(found)} survived", flush=True)
        yield from found


def judge(tree: Path, module: str, mutants: list[tables.Mutant]) -> list[Survivor]:
    path = tree / PACKAGE / f"{module}.py"
    original = path.read_text()
    found = []
    for mutant in mutants:
        path.write_text(mutant.source)
        if passes(tree, own_tests(module)):
            found.append(Survivor(f"{PACKAGE}.{module}.{mutant.name}", mutant.was, mutant.becomes))
    path.write_text(original)
    return found


def passes(tree: Path, tests: list[str]) -> bool:
    command = [sys.executable, "-m", "pytest", *QUIET, *tests]
    try:
        run = subprocess.run(
            command,
            cwd=tree,
            env=environment(tree),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS_PER_MUTANT,
        )
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0


def function_survivors(folder: Path) -> Iterator[Survivor]:
    """Run mutmut over the functions, and read what it left beside each module."""
    tree = sandbox(folder)
    tests = sorted({test for module in MODULES for test in own_tests(module)})
    config = MUTMUT_CONFIG.format(
        source_paths=json.dumps([PACKAGE]),
        only_mutate=json.dumps([f"{PACKAGE}/{module}.py" for module in MODULES]),
        tests=json.dumps(tests),
    )
    with (tree / "pyproject.toml").open("a") as file:
        file.write(config)
    mutmut(tree, "run", "--max-children", str(WORKERS))
    for module in MODULES:
        meta = json.loads((tree / "mutants" / PACKAGE / f"{module}.py.meta").read_text())
        codes: dict[str, int | None] = meta["exit_code_by_key"]
        alive = [name for name, code in codes.items() if code in (None, 0, 2, 5, 33, 34, 35)]
        print(f"functions of {module}: {len(codes)} mutants, {len(alive)} survived", flush=True)
        yield from (described(tree, name) for name in alive)


def mutmut(tree: Path, *arguments: str) -> str:
    """What mutmut printed; when it could not do its work, the end of that and no return."""
    run = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=tree,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if run.returncode != 0:
        sys.exit(f"mutmut {arguments[0]} failed:\n{run.stdout[-3000:]}")
    return run.stdout


def described(tree: Path, name: str) -> Survivor:
    """Name a mutant by what it changes, since its number moves with the lines above it."""
    lines = mutmut(tree, "show", name).splitlines()
    changed = {
        sign: " ".join(
            " ".join(line[1:].split())
            for line in lines
            if line.startswith(sign) and not line.startswith(sign * 3)
        )
        for sign in "-+"
    }
    module, _, function = name.partition("__mutmut_")[0].rpartition(".")
    function = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
    return Survivor(f"{module}.{function}", changed["-"], changed["+"])


def listed() -> dict[Survivor, str]:
    """The survivors we know, each with the reason why no test can or should notice it."""
    with (ROOT / "tests/mutation/survivors.toml").open("rb") as file:
        entries = tomllib.load(file).get("survivor", [])
    return {Survivor(e["where"], e["was"], e["becomes"]): e["reason"] for e in entries}


def report(found: set[Survivor], known: dict[Survivor, str]) -> int:
    """Print the difference as entries one could paste; 0 when there is none."""
    for survivor in sorted(found - known.keys()):
        print("\nsurvived, and is not listed:\n[[survivor]]")
        for field, value in survivor._asdict().items():
            print(f"{field} = {json.dumps(value, ensure_ascii=False)}")
        print('reason = ""')
    for survivor in sorted(known.keys() - found):
        print(f"\nlisted, but does not survive any more: {survivor}")
    print(f"\n{len(found)} survivors, {len(found & known.keys())} of them listed with a reason")
    return 0 if found == known.keys() else 1


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="safelight-mutation-") as scratch:
        found = {
            *function_survivors(Path(scratch) / "functions"),
            *table_survivors(Path(scratch) / "tables"),
        }
    return report(found, listed())


if __name__ == "__main__":
    sys.exit(main())
