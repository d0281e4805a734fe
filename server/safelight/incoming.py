"""One file on its way in: counted, bounded, hashed, and nobody's until it is kept.

Blocking work for one worker thread at a time. A PNG gets a chunk on the way, if one is
given. Knows neither where the file will lie nor what it is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safelight_protocol.codes import Refused

from .pngtext import Inserter

CHUNK = 1024 * 1024

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ILL = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE})
"""Trouble of the machine, not of the bytes: it may pass, and the same bytes be kept then."""


class Damaged(Exception):
    """The bytes that came are not those that were announced."""


class Incoming:
    """A file in the folder `incoming`. `sha256` and `size`, those of what is written, are
    there after `finish`; `drop` removes whatever is left of it, at any time."""

    def __init__(
        self,
        folder: Path,
        limit: int,
        sync: Callable[[int], None],
        text: bytes | None = None,
        announced: str | None = None,
    ) -> None:
        handle, name = tempfile.mkstemp(dir=folder)
        self.path = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._limit = limit
        self._sync = sync
        self._inserter = Inserter(text)
        self._announced = announced
        self._came = 0
        self._digest = hashlib.sha256()
        self._digest_of_what_came = None if announced is None else hashlib.sha256()
        self.size = 0
        self.sha256 = ""

    def add(self, chunk: bytes) -> None:
        """Write more. Raises Refused `too_large`, or OSError."""
        self._came += len(chunk)
        refuse_larger(self._came, self._limit)
        if self._digest_of_what_came is not None:
            self._digest_of_what_came.update(chunk)
        self._write(self._inserter.feed(chunk))

    def finish(self) -> None:
        """No more comes: make it safe. Raises Damaged, or OSError."""
        self._write(self._inserter.end())
        came = self._digest_of_what_came
        if came is not None and came.hexdigest() != (self._announced or "").lower():
            raise Damaged("its SHA-256 is not the one that was announced")
        self._file.flush()
        self._sync(self._file.fileno())
        self._file.close()
        self.sha256 = self._digest.hexdigest()

    def drop(self) -> None:
        """Close and remove it, unless it has another name by now."""
        with suppress(OSError):  # what a full disk did not take is not wanted any more
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)
        self.size += len(data)


def refuse_larger(size: int, limit: int) -> None:
    """Raise Refused `too_large` for a size above the limit."""
    if size > limit:
        expected = f"{limit} bytes or less"
        raise Refused(
            "too_large",
            f"The file is too large: found {size} bytes, expected {expected}.",
            [{"field": "artifact", "found": f"{size} bytes", "expected": expected}],
        )


@contextmanager
def plainly() -> Iterator[None]:
    """Trouble of the machine, said as what a caller may do about it: Refused `storage_full`
    or `unavailable`. Any other OSError goes through."""
    try:
        yield
    except OSError as trouble:
        if trouble.errno in FULL:
            raise Refused("storage_full", "The disk is full; the file was not kept.") from None
        if trouble.errno in ILL:
            message = f"The file could not be kept: {trouble.strerror}."
            raise Refused("unavailable", message) from trouble
        raise
