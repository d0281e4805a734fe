"""Objects in any store that speaks S3, through obstore (the extra `s3`).

An object is there whole or not at all, and durable when the store has answered. Its age
cannot be touched: a known object that is no longer young is written again, so that a sweep
that has seen it old leaves it alone. Tested against moto on this machine only; see
docs/artifacts.md for what was never tried.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import Lying, StorageAway

if TYPE_CHECKING:
    from obstore.store import S3Store

YOUNG_MS = 30 * 60_000
"""Half the age at which a sweep takes an unnamed file for a stray."""

CACHED_MS = 2 * 3_600_000
"""How long a local copy is kept after it was last asked for."""

PATIENCE = timedelta(seconds=60)
"""For one request, which is for a few megabytes at most; after that it is trouble, which may
pass."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where the objects are. What is None is left to the environment that S3 tools share
    (`AWS_ACCESS_KEY_ID` and so on). `url` is `s3://bucket/prefix`."""

    url: str
    region: str | None = None
    endpoint: str | None = None
    key_id: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        """Without the keys: this may stand in a log."""
        return f"Access({self.url!r})"


class S3:
    """A Storage in a bucket. `cache` is a local folder for copies, emptied by `open`; a
    request that fails is repeated up to `tries` times."""

    piece_bytes = 4 * 1024 * 1024  # each is a request

    def __init__(
        self,
        access: Access,
        cache: Path,
        clock: Callable[[], float] = time.time,
        *,
        tries: int = 3,
    ) -> None:
        self._access = access
        self._cache = cache
        self._clock = clock
        self._tries = tries
        self._store: S3Store | None = None

    def open(self) -> None:
        """Connect, and see whether the bucket answers."""
        self._store = _connect(self._access, self._tries)
        self._cache.mkdir(parents=True, exist_ok=True)
        for path in self._cache.iterdir():
            path.unlink()
        self.folders()

    def publish(self, file: Path, name: str) -> bool:
        """Put the object, in parts if it is large; what is there and young is left alone."""
        with suppress(FileNotFoundError):
            if self._now() - self.stat(name).modified < YOUNG_MS:
                return True
        with _troubled(name) as obstore:
            obstore.put(self._store, name, file)
        return False

    def stat(self, name: str) -> Lying:
        """By HEAD."""
        with _troubled(name) as obstore:
            return _lying(name, obstore.head(self._store, name))

    def read(self, name: str, start: int, size: int) -> bytes:
        """By a GET of a range."""
        with _troubled(name) as obstore:
            return bytes(obstore.get_range(self._store, name, start=start, length=size))

    def local(self, name: str) -> Path:
        """A copy, made whole before it has its name."""
        self._thin_out()
        path = self._cache / name.replace("/", "")
        with suppress(FileNotFoundError):
            os.utime(path)
            return path
        part = path.with_suffix(f".{os.urandom(6).hex()}")
        try:
            size = self.stat(name).bytes
            with part.open("wb") as file:
                for start in range(0, size, self.piece_bytes):
                    file.write(self.read(name, start, min(self.piece_bytes, size - start)))
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        return path

    def remove(self, name: str) -> None:
        """Delete the object, and the copy."""
        (self._cache / name.replace("/", "")).unlink(missing_ok=True)
        with suppress(FileNotFoundError), _troubled(name) as obstore:
            obstore.delete(self._store, name)

    def folders(self) -> list[str]:
        """By a listing with a delimiter."""
        with _troubled("") as obstore:
            found = obstore.list_with_delimiter(self._store)["common_prefixes"]
        names = [one.rstrip("/").rpartition("/")[2] for one in found]
        return sorted(name for name in names if len(name) == 2)

    def listing(self, folder: str) -> Iterator[Lying]:
        """By a listing, page after page."""
        with _troubled(folder) as obstore:
            for page in obstore.list(self._store, prefix=folder + "/"):
                for found in page:
                    yield _lying(f"{folder}/{found['path'].rpartition('/')[2]}", found)

    def _now(self) -> int:
        return round(self._clock() * 1000)

    def _thin_out(self) -> None:
        before = self._now() - CACHED_MS
        for path in self._cache.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime_ns // 1_000_000 < before:
                    path.unlink()


def _connect(access: Access, tries: int) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError:
        message = "storage s3 needs the extra: pip install 'safelight[s3]'"
        raise StorageAway(errno.ENOSYS, message) from None
    bucket, _, prefix = access.url.removeprefix("s3://").partition("/")
    given: dict[str, Any] = {
        "region": access.region,
        "endpoint": access.endpoint,
        "access_key_id": access.key_id,
        "secret_access_key": access.secret,
    }
    return S3Store(
        bucket,
        prefix=prefix.strip("/") or None,
        client_options={
            "allow_http": (access.endpoint or "").startswith("http://"),
            "timeout": PATIENCE,
        },
        retry_config={"max_retries": tries, "retry_timeout": PATIENCE},
        **{name: value for name, value in given.items() if value is not None},
    )


@contextmanager
def _troubled(name: str) -> Iterator[Any]:
    """obstore, its troubles as those of a disk: absent, or ill for the moment."""
    import obstore
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield obstore
    except (NotFoundError, FileNotFoundError):
        raise FileNotFoundError(errno.ENOENT, "no such object", name) from None
    except BaseError as trouble:
        said = str(trouble).strip().partition("\n")[0][:200]
        raise StorageAway(errno.EIO, f"the object store failed: {said}") from None


def _lying(name: str, found: Any) -> Lying:
    return Lying(name, found["size"], round(found["last_modified"].timestamp() * 1000))
