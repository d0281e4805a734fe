"""Files on our own disk: `ab/cdef….png` under one folder.

A file gets its name by an atomic rename, after its bytes were synced, and the name is
synced too before `publish` returns. The other half of the promise, that the bytes were
synced, is kept by who wrote the file (artifacts.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from . import Lying


class Disk:
    """A Storage in the folder `root`; `sync` makes what an open folder holds durable."""

    piece_bytes = 64 * 1024

    def __init__(self, root: Path, sync: Callable[[int], None] = os.fsync) -> None:
        self._root = root
        self._sync = sync

    def open(self) -> None:
        """Make the folder, its own name durable."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._sync_folder(self._root.parent)
        self._sync_folder(self._root)

    def publish(self, file: Path, name: str) -> bool:
        """Rename it. The folders are synced for a known file too: whoever wrote it may not
        have come that far."""
        path = self._root / name
        known = path.exists()
        try:
            if known:
                os.utime(path)
            else:
                path.parent.mkdir(exist_ok=True)
                os.replace(file, path)
            self._sync_folder(path.parent)
            self._sync_folder(self._root)
        except OSError:
            if not known:  # a name that may not be durable: the next one writes it anew
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        return known

    def stat(self, name: str) -> Lying:
        """From the file system."""
        return _lying(name, os.stat(self._root / name))

    def read(self, name: str, start: int, size: int) -> bytes:
        """The file is open for no longer than this takes."""
        with open(self._root / name, "rb", buffering=0) as file:
            return os.pread(file.fileno(), size, start)

    def local(self, name: str) -> Path:
        """The file itself."""
        path = self._root / name
        os.stat(path)
        return path

    def remove(self, name: str) -> None:
        """Unlink it."""
        (self._root / name).unlink(missing_ok=True)

    def folders(self) -> list[str]:
        """Those whose names have two characters; `incoming` is none of them."""
        return sorted(p.name for p in self._root.iterdir() if len(p.name) == 2 and p.is_dir())

    def listing(self, folder: str) -> Iterator[Lying]:
        """As the folder has them; what goes meanwhile is left out."""
        with os.scandir(self._root / folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    yield _lying(f"{folder}/{entry.name}", entry.stat())

    def _sync_folder(self, folder: Path) -> None:
        """Make names in a folder durable, as fsync(2) asks for separately from the bytes."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._sync(handle)
        finally:
            os.close(handle)


def _lying(name: str, found: os.stat_result) -> Lying:
    return Lying(name, found.st_size, found.st_mtime_ns // 1_000_000)
