"""A storage that is away for a while, and the settings that lead to one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.artifacts import ArtifactStore
from safelight.insist import patiently
from safelight.providers.scripted import PIXEL
from safelight.settings import SettingsError, lines, load
from safelight.storage import StorageAway
from safelight.storage.disk import Disk
from safelight_protocol.codes import Refused


class Away(Disk):
    """A disk that is asked in vain so many times."""

    def __init__(self, root: Path, times: int) -> None:
        super().__init__(root)
        self.times = times

    def publish(self, file: Path, name: str) -> bool:
        """As a store that cannot be reached."""
        self.times -= 1
        if self.times >= 0:
            raise StorageAway(errno.EIO, "the object store failed: no route")
        return super().publish(file, name)


async def test_what_was_made_waits_for_its_storage(tmp_path: Path) -> None:
    """It is trouble that may pass: nothing is left behind or pinned, and the same bytes are
    kept when the storage is there again."""
    root = tmp_path / "artifacts"
    files = ArtifactStore(root, 10_000, storage=Away(root, 2), quality=75)
    await files.open()
    with pytest.raises(Refused) as refused:
        await files.keep(PIXEL, kind="image")
    assert refused.value.code.name == "unavailable"
    assert list((root / "incoming").iterdir()) == []
    assert files.statistics()["artifacts_pinned"] == 0
    kept = await patiently(lambda: files.keep(PIXEL, kind="image"))
    assert (root / kept.name).read_bytes() == PIXEL
    files.release(kept)
    assert files.statistics()["artifacts_pinned"] == 0


def settled(tmp_path: Path, **given: str) -> Callable[[], Any]:
    environ = {f"SAFELIGHT_{name.upper()}": text for name, text in given.items()}
    return lambda: load(None, environ, {"data_dir": str(tmp_path)})


def test_the_keys_of_the_store_are_masked(tmp_path: Path) -> None:
    """Where the settings are listed."""
    keys = {"s3_key_id": "AKIAhidden", "s3_secret": "hidden/too"}
    shown = lines(settled(tmp_path, storage="s3", s3_url="s3://bucket/p", **keys)())
    told = {line.name: line.value for line in shown}
    assert (told["s3_key_id"], told["s3_secret"], told["s3_url"]) == (
        "*****",
        "*****",
        '"s3://bucket/p"',
    )
    assert "hidden" not in str(told)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"storage": "s3"}, "s3_url"),
        ({"storage": "tape"}, "storage"),
        ({"s3_url": "https://bucket"}, "s3_url"),
        ({"thumbnail_quality": "101"}, "thumbnail_quality"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, given: dict[str, str], field: str
) -> None:
    """At the start, not at the first picture."""
    with pytest.raises(SettingsError, match=field):
        settled(tmp_path, **given)()
