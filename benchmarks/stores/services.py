"""Redis and PostgreSQL for the peers that need one: started in a folder, ended at exit.

Both are set so that an answer means "on the disk", as ours does: Redis flushes its log at
every write, PostgreSQL keeps its defaults. Who is not installed is None.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import machine

PATIENCE = 60


class Service(NamedTuple):
    """One that runs: what its peers are told by the environment, and whose time is counted."""

    environ: dict[str, str]
    pid: int
    version: str


@contextmanager
def redis(folder: Path) -> Iterator[Service | None]:
    """A Redis on a free port that appends to its log and flushes it at each write."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    folder.mkdir()
    port = machine.free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    with _running(command) as child:
        machine.wait_listening(port, child)
        told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        yield Service({"PEER_REDIS": str(port)}, child.pid, told.split("v=")[1].split()[0])


@contextmanager
def postgres(folder: Path) -> Iterator[Service | None]:
    """A PostgreSQL on a socket in its folder. It refuses root, so root gives it to `postgres`."""
    program, initialize = _postgres("postgres"), _postgres("initdb")
    if program is None or initialize is None:
        yield None
        return
    user = "postgres" if os.getuid() == 0 else None
    folder.mkdir()
    if user is not None:
        folder.parent.chmod(0o755)
        shutil.chown(folder, user)
    data = str(folder / "data")
    make = [initialize, "-D", data, "-U", "postgres", "-A", "trust"]
    subprocess.run(make, user=user, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
    port = machine.free_port()
    command = [program, "-D", data, "-k", str(folder), "-h", "127.0.0.1", "-p", str(port)]
    with _running(command, user) as child:
        machine.wait_listening(port, child)
        told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        environ = {"PEER_POSTGRES": str(folder), "PGPORT": str(port)}
        yield Service(environ, child.pid, told.split()[2])


@contextmanager
def _running(command: list[str], user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    cwd = "/" if user else None
    child = subprocess.Popen(
        command, stdout=quiet, stderr=quiet, user=user, cwd=cwd, start_new_session=True
    )
    machine.pin(child.pid, machine.SERVER_CORE)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _postgres(name: str) -> str | None:
    """Debian keeps these beside the version and not in the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)
