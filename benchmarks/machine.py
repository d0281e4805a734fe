"""The machine under a benchmark: cores, processor time, memory, compilers, other interpreters.

Small helpers that every bench needs and none should have its own way of: read from /proc, so
Linux only. A bench pins what it measures to SERVER_CORE and what loads it to GENERATOR_CORE;
where there is one core, `pin` says no and both share it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = ROOT / ".venv-peers"
SERVER_CORE = 0
GENERATOR_CORE = 1
INSTALL_SECONDS = 600

OURS = ("uvicorn", "uvloop", "httptools", "starlette", "websockets", "msgspec", "aiosqlite")
"""Packages that the product stands on, whose versions belong to every table."""


def seconds(default: float) -> float:
    """How long a phase lasts: BENCH_SECONDS, for trial runs, or the bench's own length."""
    return float(os.environ.get("BENCH_SECONDS", default))


def rounds(default: int) -> int:
    """How many interleaved rounds: BENCH_ROUNDS, for trial runs, or the bench's own number."""
    return int(os.environ.get("BENCH_ROUNDS", default))


def facts() -> dict[str, str]:
    """What a figure depends on and a reader can compare. Without a date or a host's name."""
    known = {
        "processor": _first(r"^model name\s*:\s*(.+)$", "/proc/cpuinfo") or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
    }
    return known | versions(*OURS)


def versions(*packages: str) -> dict[str, str]:
    """The installed versions of packages of this interpreter; those that are not are left out."""
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def pin(pid: int, core: int) -> bool:
    """Keep a process, its threads and its children on one core; 0 is this process.

    False where we may not have that core: then nothing was changed. What the process
    starts later inherits it.
    """
    for each in tree(pid or os.getpid()):
        for thread in _threads(each):
            try:
                os.sched_setaffinity(thread, {core})
            except ProcessLookupError:
                continue
            except OSError:
                return False
    return True


def favour(pid: int) -> None:
    """Give a process tree more of its core than whatever else runs there, where that is allowed.

    0 is this process. Linux shares a core among sessions first, so a process that was started
    with `start_new_session=True` gets more; within a foreign session only its threads do.
    """
    for each in tree(pid or os.getpid()):
        try:
            if os.getsid(each) == each:
                Path(f"/proc/{each}/autogroup").write_text("-10")
            for thread in _threads(each):
                os.setpriority(os.PRIO_PROCESS, thread, -10)
        except OSError:
            continue


def core_seconds(core: int) -> float:
    """Time in which a core did anything for anybody, with what the host took from it."""
    told = _first(rf"^cpu{core} (.+)$", "/proc/stat") or "0 0 0 0 0"
    words = [int(word) for word in told.split()]
    return (sum(words[:8]) - sum(words[3:5])) / os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and everything below it, as it is now."""
    found = [pid]
    for each in found:
        for thread in _threads(each):
            try:
                words = Path(f"/proc/{each}/task/{thread}/children").read_text().split()
            except OSError:
                continue
            found += [int(word) for word in words]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of a process tree, user and system, with children that were reaped.

    Counted by the kernel in nanoseconds; threads that have ended are in it.
    """
    total = 0.0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += time.clock_gettime((~each << 3) | 2)  # clock_getcpuclockid(3), by hand
            total += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue
    return total


def pss_kib(pid: int) -> float:
    """Proportional set size of a process tree: shared pages are counted once, in parts."""
    total = 0.0
    for each in tree(pid):
        total += float(_first(r"^Pss:\s+(\d+) kB", f"/proc/{each}/smaps_rollup") or 0)
    return total


def build(source: str | Path, *flags: str) -> Path | None:
    """Compile `benchmarks/c/<source>` into a temporary folder; None, and said, without a cc.

    The same source is compiled once: the file's name carries a digest of its text, and of
    the headers beside it.
    """
    path = HERE / "c" / source
    compiler = shutil.which("cc")
    if compiler is None:
        print(f"There is no cc here: {path.name} cannot be built, and nothing was measured.")
        return None
    parts = [path, *sorted(path.parent.glob("*.h"))]
    text = b"".join(part.read_bytes() for part in parts) + repr(flags).encode()
    digest = hashlib.sha256(text).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"safelight-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{path.stem}-{digest}"
    if not target.exists():
        half = target.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O2", "-Wall", "-o", str(half), str(path), *flags]
        subprocess.run(command, check=True, timeout=120)
        half.rename(target)
    return target


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_listening(port: int, child: subprocess.Popen[Any]) -> None:
    """Return once something listens there; raises if the child ends first, or after 30 s."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"{child.args!r} ended with {child.returncode} before it listened")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise TimeoutError(f"{child.args!r} did not listen on {port}")


def peers_python(listed: str = "peers") -> Path | None:
    """The interpreter that has the packages of `<listed>.txt`; None, and said, if there is none.

    It is made once, under a lock, in `.venv-<listed>`, and again when the list changes. A
    package that cannot be installed is left out by itself: ask `peer_versions` who is there.
    """
    wanted = (HERE / f"{listed}.txt").read_text(encoding="utf-8")
    folder = PEERS.with_name(f".venv-{listed}")
    stamp, python = folder / "made-from", folder / "bin" / "python"
    digest = hashlib.sha256((wanted + sys.version).encode()).hexdigest()
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == digest:
            return python
        try:
            _make_peers(folder, python, wanted)
        except (OSError, subprocess.SubprocessError) as trouble:
            print(f"The peers' packages cannot be installed: {trouble}")
            return None
        stamp.write_text(digest)
    return python


def peer_versions(*packages: str, listed: str = "peers") -> dict[str, str]:
    """The versions of packages that the peers' interpreter has; others are left out."""
    python = peers_python(listed)
    if python is None:
        return {}
    code = "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version"
    code += " for d in m.distributions()}))"
    told = subprocess.run([str(python), "-c", code], capture_output=True, check=True, timeout=60)
    installed = json.loads(told.stdout)
    return {name: installed[name] for name in packages if name in installed}


def _make_peers(folder: Path, python: Path, wanted: str) -> None:
    """The venv and its packages, one by one: who cannot be installed does not stop the others."""
    print(f"making {folder.name}, once", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    for line in wanted.splitlines():
        if line and not line.startswith("#"):
            subprocess.run([*pip, line], timeout=INSTALL_SECONDS)


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def _first(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1].strip() if found else None
