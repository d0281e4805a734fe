"""Where the bytes of artifacts lie: what every such place can do.

A name is `ab/cdef….png`, made of the hash of the bytes, so what lies under a name never
changes. Calls block and are made in worker threads. Trouble is an OSError, whose errno says
what kind; a name that is not there is FileNotFoundError. Knows no task and no media type.
The contract's tests are tests/server/storage/test_contract.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec


class StorageAway(OSError):
    """A storage that is not our disk cannot be used now; its errno is EIO."""


class Lying(msgspec.Struct, frozen=True):
    """One file that is there: its size, and when it was last written or made young, in
    milliseconds since 1970."""

    name: str
    bytes: int
    modified: int


class Storage(Protocol):
    """A place for files by name; `piece_bytes` are read and sent on at once.

    No two calls that change something are made for one name at once; the caller sees to it.
    """

    piece_bytes: int

    def open(self) -> None:
        """Be ready, or raise OSError for what cannot be used at all."""

    def publish(self, file: Path, name: str) -> bool:
        """Put the bytes of a local file under a name, whole or not at all; whether they were
        there before, when they are made young again instead.

        When it returns the bytes are safe from a power cut. May take the file away. Of
        trouble nothing is left that was not there before.
        """

    def stat(self, name: str) -> Lying:
        """What is there. Raises FileNotFoundError."""

    def read(self, name: str, start: int, size: int) -> bytes:
        """A part of it; shorter only at its end. Raises FileNotFoundError."""

    def local(self, name: str) -> Path:
        """A local file with its bytes, good for an hour at least. Raises FileNotFoundError."""

    def remove(self, name: str) -> None:
        """Remove it; absent is as good."""

    def folders(self) -> list[str]:
        """The first parts of the names that there are."""

    def listing(self, folder: str) -> Iterator[Lying]:
        """What lies in one of the folders."""
