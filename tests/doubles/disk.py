"""Disks that are full, small or ill: real ones, under a real server process.

`small_disk` mounts a few megabytes of memory (root only: needs "tmpfs"); `fill` takes what
is left of it. `ill` makes system calls of a running process fail from outside, by strace
(needs "strace"), and stops when the context ends: the process never knows.
"""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 15.0
BLOCK = 64 * 1024


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own under `folder`, unmounted at exit."""
    folder.mkdir(parents=True)
    options = f"size={megabytes}m,mode=0777"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True, timeout=30
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


def make_read_only(disk: Path) -> None:
    """No file of that file system can be written any more. Nobody may have one open."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, timeout=30)


def fill(disk: Path) -> Path:
    """Take all the room there is; whoever unlinks the file gives it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(BLOCK)):
                pass
        except OSError:
            return filler
    raise AssertionError("the disk has no end")


@contextmanager
def ill(pid: int, calls: str, error: str = "EIO", when: str = "1+") -> Iterator[None]:
    """These system calls of a process fail while inside; `when` is strace's: which of each
    thread's calls, `3+2` for every second one from the third on."""
    command = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={calls}"]
    command += ["-e", f"inject={calls}:error={error}:when={when}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            _until_attached(tracer)
            yield
        finally:
            tracer.terminate()  # strace lets the process go on
            tracer.wait(PATIENCE)


def _until_attached(tracer: subprocess.Popen[str]) -> None:
    """strace says so once it holds all threads; only then is the disk ill for each of them."""
    assert tracer.stderr is not None
    ready, _, _ = select.select([tracer.stderr], [], [], PATIENCE)
    assert ready, "strace never took hold"
    said = tracer.stderr.readline()
    assert " attached" in said, said
