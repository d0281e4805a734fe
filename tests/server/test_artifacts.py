"""Artifacts: whole or absent, stored once, removed only when nobody is about to name them."""

from __future__ import annotations

import errno
import hashlib
import inspect
import io
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from PIL import Image

from safelight.artifacts import ArtifactStore, Kept, new_id
from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind

LIMIT = 1_000_000


def picture(form: str, size: tuple[int, int] = (31, 17), shade: int = 90) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (shade, 40, 10)).save(out, form)
    return out.getvalue()


@pytest.fixture
async def store(tmp_path: Path) -> ArtifactStore:
    made = ArtifactStore(tmp_path / "artifacts", LIMIT)
    await made.open()
    return made


def files(store_root: Path) -> list[Path]:
    return [path for path in store_root.rglob("*") if path.is_file()]


def at(folder: Path, kept: Kept) -> Path:
    """Where it lies by default."""
    return folder / "artifacts" / kept.name


async def keep(store: ArtifactStore, data: bytes | Path, kind: Kind = "image") -> Kept:
    return await store.keep(data, kind=kind, media_type="application/x-claimed")


@pytest.mark.parametrize(
    ("form", "media_type", "ending"),
    [
        ("PNG", "image/png", ".png"),
        ("JPEG", "image/jpeg", ".jpg"),
        ("WEBP", "image/webp", ".webp"),
        ("GIF", "image/gif", ".gif"),
    ],
)
async def test_pictures_are_known_by_their_bytes(
    store: ArtifactStore, tmp_path: Path, form: str, media_type: str, ending: str
) -> None:
    """Type and size of a picture are read from it, whatever was claimed."""
    data = picture(form)
    kept = await keep(store, data)
    digest = hashlib.sha256(data).hexdigest()
    assert kept == Kept(
        sha256=digest,
        name=f"{digest[:2]}/{digest[2:]}{ending}",
        bytes=len(data),
        media_type=media_type,
        width=31,
        height=17,
    )
    assert at(tmp_path, kept).read_bytes() == data


async def test_text_is_text_only_where_text_is_made(store: ArtifactStore) -> None:
    """Plain text is kept for text tasks, and never as a page or a script."""
    kept = await store.keep(b"<script>", kind="text", media_type="text/plain")
    assert kept.media_type == "text/plain; charset=utf-8"
    with pytest.raises(Refused) as refused:
        await store.keep(b"<script>", kind="text", media_type="text/html")
    assert refused.value.code.name == "provider_failed"
    with pytest.raises(Refused):
        await store.keep(b"words", kind="image", media_type="text/plain")


@pytest.mark.parametrize(
    "data", [b"", b"<html>", picture("PNG")[:20], picture("JPEG")[:12], b"RIFF0000WEBP"]
)
async def test_what_is_no_picture_is_refused(
    store: ArtifactStore, tmp_path: Path, data: bytes
) -> None:
    """Unknown or broken bytes are refused, and nothing of them remains."""
    with pytest.raises(Refused) as refused:
        await keep(store, data)
    assert refused.value.code.name == "provider_failed"
    assert files(tmp_path) == []
    assert store.statistics()["artifacts_pinned"] == 0


async def test_a_file_is_copied(store: ArtifactStore, tmp_path: Path) -> None:
    """A file on disk is copied in; the original stays with its owner."""
    source = tmp_path / "made.bin"
    source.write_bytes(picture("PNG", (1200, 900)) + bytes(5))
    kept = await keep(store, source)
    assert at(tmp_path, kept).read_bytes() == source.read_bytes()
    assert (kept.width, kept.height) == (1200, 900)


@pytest.mark.parametrize("as_file", [False, True])
async def test_what_is_too_large_is_refused(tmp_path: Path, as_file: bool) -> None:
    """More bytes than allowed are refused with both numbers, and nothing remains."""
    data = picture("PNG")
    source = tmp_path / "made.png"
    source.write_bytes(data)
    small = ArtifactStore(tmp_path / "artifacts", len(data) - 1)
    await small.open()
    with pytest.raises(Refused) as refused:
        await keep(small, source if as_file else data)
    assert refused.value.code.name == "too_large"
    assert refused.value.details[0]["found"] == f"{len(data)} bytes"
    assert files(tmp_path / "artifacts") == []
    exact = ArtifactStore(tmp_path / "artifacts", len(data))
    assert (await keep(exact, data)).bytes == len(data)


async def test_a_file_without_end_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    """Bytes are counted as they are read: a file may hold more than it says."""
    with pytest.raises(Refused) as refused:
        await keep(store, Path("/dev/zero"))
    assert refused.value.code.name == "too_large"
    assert files(tmp_path) == []


async def test_the_same_bytes_are_stored_once(store: ArtifactStore, tmp_path: Path) -> None:
    """Equal bytes share one file, also when they come at the same moment."""
    data = picture("PNG")
    kept: list[Kept] = []

    async def one() -> None:
        kept.append(await keep(store, data))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(one)
    assert len(set(one.name for one in kept)) == 1
    assert files(tmp_path) == [at(tmp_path, kept[0])]
    assert store.statistics() == {
        "artifacts_stored": 1,
        "artifact_bytes_stored": len(data),
        "artifacts_pinned": 1,
    }


async def test_a_pinned_file_is_not_removed(store: ArtifactStore, tmp_path: Path) -> None:
    """While one keep of the bytes is not released, a removal decided elsewhere is refused."""
    data = picture("PNG")
    first, _ = await keep(store, data), await keep(store, data)
    store.release(first.sha256)
    assert not await store.remove(first.sha256, first.media_type, store.mark())
    assert at(tmp_path, first).exists()
    store.release(first.sha256)
    assert await store.remove(first.sha256, first.media_type, store.mark())
    assert not at(tmp_path, first).exists()


async def test_removing_and_releasing_may_be_repeated(store: ArtifactStore, tmp_path: Path) -> None:
    """What is gone can be removed again, and what is not pinned released again."""
    kept = await keep(store, picture("PNG"))
    store.release(kept.sha256)
    store.release(kept.sha256)
    assert await store.remove(kept.sha256, kept.media_type, store.mark())
    assert await store.remove(kept.sha256, kept.media_type, store.mark())
    again = await keep(store, picture("PNG"))
    assert at(tmp_path, again).exists()
    assert not await store.remove(again.sha256, again.media_type, store.mark())


async def test_half_written_files_are_swept_at_start(tmp_path: Path) -> None:
    """What a killed process left half-written is removed at the next start; the rest stays."""
    root = tmp_path / "artifacts"
    first = ArtifactStore(root, LIMIT)
    await first.open()
    kept = await keep(first, picture("PNG"))
    (root / "incoming" / "tmpabc").write_bytes(b"half")
    second = ArtifactStore(root, LIMIT)
    await second.open()
    assert files(root) == [at(tmp_path, kept)]


async def test_bytes_are_synced_before_the_file_has_its_name(tmp_path: Path) -> None:
    """The order on disk is: bytes synced, name given, folders synced."""
    root = tmp_path / "artifacts"
    steps: list[tuple[str, bool]] = []

    def sync(handle: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "bytes"
        steps.append((what, any(path.suffix == ".png" for path in files(root))))

    store = ArtifactStore(root, LIMIT, sync=sync)
    await store.open()
    steps.clear()
    await keep(store, picture("PNG"))
    assert steps == [("bytes", False), ("folder", True), ("folder", True)]


KEEP = """
import sys
from pathlib import Path
import anyio
from safelight.artifacts import ArtifactStore

async def main():
    store = ArtifactStore(Path(sys.argv[1]), 1_000_000)
    await store.open()
    await store.keep(Path(sys.argv[2]), kind="image")

anyio.run(main)
"""


@pytest.mark.needs("strace")
def test_left_to_itself_it_really_syncs(tmp_path: Path) -> None:
    """What the server uses asks the kernel: bytes to the disk, then the name, then both
    folders, seen from outside of its process."""
    root, source, trace = tmp_path / "artifacts", tmp_path / "source", tmp_path / "trace"
    source.write_bytes(picture("PNG"))
    watched = ["strace", "-f", "-y", "-qq", "-o", trace, "-e", "trace=fsync,/^rename"]
    subprocess.run([*watched, sys.executable, "-c", KEEP, root, source], check=True, timeout=60)
    (kept,) = files(root)
    steps = re.findall(r"(fsync|rename)\w*\((?:\d+<)?([^>,)]*)", trace.read_text())
    told = [(call, re.sub(r"incoming/\w+", "incoming/*", path.strip('"'))) for call, path in steps]
    bytes_first = [("fsync", f"{root}/incoming/*"), ("rename", f"{root}/incoming/*")]
    assert told[-4:] == [*bytes_first, ("fsync", str(kept.parent)), ("fsync", str(root))]
    assert f'"{kept}"' in trace.read_text()


def test_what_syncs_by_default_is_the_kernel() -> None:
    """Also where no process can be watched: nothing stands between a keep and `os.fsync`."""
    assert inspect.signature(ArtifactStore).parameters["sync"].default is os.fsync


async def test_a_known_file_is_synced_all_the_same(tmp_path: Path) -> None:
    """A keep of known bytes syncs the folders too: the keep before it may not be done yet."""
    synced: list[int] = []
    store = ArtifactStore(tmp_path / "artifacts", LIMIT, sync=synced.append)
    await store.open()
    await keep(store, picture("PNG"))
    synced.clear()
    await keep(store, picture("PNG"))
    assert len(synced) == 3


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (errno.ENOSPC, "storage_full"),
        (errno.EDQUOT, "storage_full"),
        (errno.EIO, "unavailable"),
        (errno.EROFS, "unavailable"),
        (errno.EMFILE, "unavailable"),
    ],
)
async def test_a_disk_that_is_full_or_ill_is_said_plainly(
    tmp_path: Path, call: int, trouble: int, code: str
) -> None:
    """Wherever it shows, it is refused as what it is, leaves no file by whatever name and
    pins nothing; the same bytes are kept afterwards."""
    calls: list[int] = []

    def sync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == call:
            raise OSError(trouble, os.strerror(trouble))

    await ArtifactStore(tmp_path / "artifacts", LIMIT).open()
    store = ArtifactStore(tmp_path / "artifacts", LIMIT, sync=sync)
    with pytest.raises(Refused) as refused:
        await keep(store, picture("PNG"))
    assert (refused.value.code.name, refused.value.code.retry) == (code, "later")
    assert files(tmp_path) == []
    assert store.statistics()["artifacts_pinned"] == 0
    kept = await keep(store, picture("PNG"))
    assert at(tmp_path, kept).exists()


async def test_trouble_takes_no_file_of_others_back(tmp_path: Path) -> None:
    """A known file stays when a later keep of the same bytes meets trouble."""
    calls: list[int] = []

    def sync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 5:  # the folder, the second time
            raise OSError(errno.EIO, "Input/output error")

    await ArtifactStore(tmp_path / "artifacts", LIMIT).open()
    store = ArtifactStore(tmp_path / "artifacts", LIMIT, sync=sync)
    kept = await keep(store, picture("PNG"))
    with pytest.raises(Refused):
        await keep(store, picture("PNG"))
    assert at(tmp_path, kept).exists()


async def test_bytes_that_were_kept_again_are_not_removed(
    store: ArtifactStore, tmp_path: Path
) -> None:
    """A task was deleted and the same picture made anew, all while the deletion was on its
    way from the database to the file: the file of the new task was taken away."""
    first = await keep(store, picture("PNG"))
    store.release(first.sha256)
    since = store.mark()  # here the row of the first goes, and no row names the bytes
    again = await keep(store, picture("PNG"))
    store.release(again.sha256)  # the row of the second is written
    assert not await store.remove(first.sha256, first.media_type, since)
    assert at(tmp_path, again).exists()
    assert await store.remove(again.sha256, again.media_type, store.mark())


async def test_a_file_that_cannot_be_removed_is_no_defect(
    store: ArtifactStore, tmp_path: Path
) -> None:
    """A removal that the disk refuses is said to have failed; a sweep may find it later."""
    kept = await keep(store, picture("PNG"))
    store.release(kept.sha256)
    at(tmp_path, kept).unlink()
    at(tmp_path, kept).mkdir()  # cannot be unlinked, whoever asks
    assert not await store.remove(kept.sha256, kept.media_type, store.mark())


async def test_other_trouble_with_the_disk_is_no_refusal(
    store: ArtifactStore, tmp_path: Path
) -> None:
    """Trouble that is not the disk being full is raised as it is."""
    with pytest.raises(FileNotFoundError):
        await keep(store, tmp_path / "nowhere.png")


def test_ids_are_long_and_random() -> None:
    """An id holds 192 bits of what it is given and fits into a URL."""
    assert new_id(lambda count: bytes(range(count))) == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
    made = {new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 32 and "=" not in one for one in made)
