"""What every storage promises, held against each of them: our disk, and a bucket."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from safelight.storage import Storage
from safelight.storage.disk import Disk
from safelight.storage.s3 import S3, YOUNG_MS
from tests.doubles.bucket import Bucket

NAME = "ab/" + "cd" * 31 + ".png"
OTHER = "ef/" + "cd" * 31 + ".mp4"
DATA = os.urandom(300_000)


class Clock:
    """The time, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.needs("moto"))])
def storage(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Storage:
    made: Storage
    if request.param == "disk":
        made = Disk(tmp_path / "files")
    else:
        bucket: Bucket = request.getfixturevalue("store")
        made = S3(bucket.access(tmp_path.name), tmp_path / "cache", clock)
    made.open()
    return made


def put(storage: Storage, folder: Path, name: str, data: bytes) -> bool:
    """Publish these bytes from a file of their own."""
    file = folder / "incoming"
    file.write_bytes(data)
    return storage.publish(file, name)


def test_what_is_published_is_there(storage: Storage, tmp_path: Path) -> None:
    """Whole, under its name, in its folder; and it is said whether it was known."""
    before = int(time.time() * 1000) - 5_000
    assert put(storage, tmp_path, NAME, DATA) is False
    lying = storage.stat(NAME)
    assert (lying.name, lying.bytes) == (NAME, len(DATA)) and lying.modified > before
    assert storage.folders() == ["ab"]
    assert list(storage.listing("ab")) == [lying]
    assert put(storage, tmp_path, NAME, DATA) is True
    put(storage, tmp_path, OTHER, b"film")
    assert storage.folders() == ["ab", "ef"]


def test_parts_are_read(storage: Storage, tmp_path: Path) -> None:
    """Any part, byte for byte."""
    put(storage, tmp_path, NAME, DATA)
    assert storage.read(NAME, 0, len(DATA)) == DATA
    assert storage.read(NAME, 1000, 77) == DATA[1000:1077]
    assert storage.read(NAME, len(DATA) - 1, 1) == DATA[-1:]


def test_a_local_file_can_be_had(storage: Storage, tmp_path: Path) -> None:
    """For who needs a path, as often as it is asked for."""
    put(storage, tmp_path, NAME, DATA)
    assert storage.local(NAME).read_bytes() == DATA
    assert storage.local(NAME).read_bytes() == DATA


def test_what_is_removed_is_gone(storage: Storage, tmp_path: Path) -> None:
    """From every question; and to remove it again is no mistake."""
    put(storage, tmp_path, NAME, DATA)
    storage.local(NAME)
    storage.remove(NAME)
    storage.remove(NAME)
    for ask in (storage.stat, storage.local, lambda name: storage.read(name, 0, 1)):
        with pytest.raises(FileNotFoundError):
            ask(NAME)
    assert [one for folder in storage.folders() for one in storage.listing(folder)] == []


@pytest.mark.needs("moto")
def test_an_object_that_is_no_longer_young_is_written_again(
    store: Bucket, tmp_path: Path, clock: Clock
) -> None:
    """Its age cannot be touched, and a sweep must not take what is being named anew."""
    storage = S3(store.access(tmp_path.name), tmp_path / "cache", clock)
    storage.open()
    assert put(storage, tmp_path, NAME, DATA) is False
    assert put(storage, tmp_path, NAME, DATA) is True
    clock.ahead = YOUNG_MS / 1000 + 5
    assert put(storage, tmp_path, NAME, DATA) is False


@pytest.mark.needs("moto")
def test_local_copies_do_not_pile_up(store: Bucket, tmp_path: Path, clock: Clock) -> None:
    """Those that nobody asked for in two hours go with the next question; a start empties it."""
    storage = S3(store.access(tmp_path.name), tmp_path / "cache", clock)
    storage.open()
    put(storage, tmp_path, NAME, DATA)
    put(storage, tmp_path, OTHER, b"film")
    storage.local(NAME)
    clock.ahead = 3 * 3600
    storage.local(OTHER)
    assert [path.read_bytes() for path in (tmp_path / "cache").iterdir()] == [b"film"]
    storage.open()
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.needs("moto")
def test_a_store_that_is_away_is_trouble_that_may_pass(store: Bucket, tmp_path: Path) -> None:
    """It is told as a disk that is ill, without the secret."""
    away = store.access()
    away = type(away)(
        url=away.url, endpoint="http://127.0.0.1:1", region="x", key_id="k", secret="hidden"
    )
    with pytest.raises(OSError) as trouble:
        S3(away, tmp_path / "cache", tries=0).open()
    assert trouble.value.errno == errno.EIO
    assert "hidden" not in str(trouble.value)
