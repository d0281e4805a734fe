"""The folders input, output and temp: names, counters, uploads, what may be read.

Every name that comes from outside is resolved here and stays inside its folder. Files
are written whole and then renamed, so that nobody downloads a part of one.
"""

from __future__ import annotations

import os
import random
import re
import string
import threading
from pathlib import Path

FOLDERS = ("input", "output", "temp")
ANNOTATED = re.compile(r"^(?P<name>.*?) ?\[(?P<folder>input|output|temp)\]$")


class Outside(Exception):
    """A name leads out of its folder."""


class Place:
    """The folders of one server. `temp` is emptied at start, as the real one does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        for old in self.folder("temp").rglob("*"):
            if old.is_file():
                old.unlink()
        letters = random.choices(string.ascii_lowercase, k=5)
        self.temp_prefix = f"_temp_{''.join(letters)}"
        self._lock = threading.Lock()

    def folder(self, name: str) -> Path:
        """One of the three."""
        return self.root / name

    def inside(self, folder: str, subfolder: str, filename: str = "") -> Path:
        """The path of a file. Raises Outside."""
        base = os.path.realpath(self.folder(folder))
        path = os.path.realpath(os.path.join(base, subfolder, filename))
        if os.path.commonpath((base, path)) != base:
            raise Outside(f"{subfolder}/{filename}")
        return Path(path)

    def annotated(self, value: str) -> Path:
        """What a LoadImage value names: `sub/name`, or `name [input|output|temp]`."""
        match = ANNOTATED.match(value)
        if match:
            return self.inside(match["folder"], "", match["name"])
        return self.inside("input", "", value)

    def inputs(self) -> list[str]:
        """The names that LoadImage offers."""
        return sorted(path.name for path in self.folder("input").iterdir() if path.is_file())

    def numbered(self, folder: str, prefix: str, extension: str, content: bytes) -> dict[str, str]:
        """Write under the next free number: `sub/name` becomes `sub/name_00001_.png`."""
        where, _, name = prefix.rpartition("/")
        target = self.inside(folder, where)
        target.mkdir(parents=True, exist_ok=True)
        with self._lock:
            filename = f"{name}_{self._next(target, name):05}_{extension}"
            _write(target / filename, content)
        return {"filename": filename, "subfolder": where, "type": folder}

    def _next(self, target: Path, name: str) -> int:
        used = re.compile(rf"^{re.escape(name)}_(\d+)")
        numbers = [int(m[1]) for path in target.iterdir() if (m := used.match(path.name))]
        return max(numbers, default=0) + 1

    def upload(
        self, folder: str, subfolder: str, name: str, content: bytes, overwrite: bool
    ) -> dict[str, str]:
        """Keep an uploaded file. Other bytes of a known name get another one, equal bytes
        the same. Raises Outside."""
        target = self.inside(folder, subfolder)
        path = self.inside(folder, subfolder, name)
        target.mkdir(parents=True, exist_ok=True)
        stem, extension = os.path.splitext(name)
        with self._lock:
            for number in range(1, 10_000):
                if overwrite or not path.exists() or path.read_bytes() == content:
                    break
                path = target / f"{stem} ({number}){extension}"
            _write(path, content)
        return {"name": path.name, "subfolder": subfolder, "type": folder}


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
