"""A server whose files lie in an object store: made, served, used, deleted, expired."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.scripted import PIXEL
from tests.doubles.bucket import Bucket
from tests.doubles.painter import Painter
from tests.doubles.process import clean_environment
from tests.doubles.served import Served, served

pytestmark = pytest.mark.needs("moto")
LARGE = PIXEL + os.urandom(300_000)


async def made(house: Served, **fields: Any) -> dict[str, Any]:
    """The artifact of a task."""
    created = await house.create(**fields)
    end = (await house.events(created["task_id"]))[-1]
    artifact: dict[str, Any] = end["result_data"]["artifacts"][0]
    return artifact


async def test_files_live_in_the_store(store: Bucket, tmp_path: Path) -> None:
    """Put there, served from there with ranges, given to a later task, and deleted there with
    their thumbnails; of our own disk they use nothing."""
    painter = Painter(LARGE)
    wanted = store.settings(tmp_path.name) | {"png_text": False, "scripted_provider": painter}
    async with served(tmp_path, **wanted) as house:
        artifact = await made(house, id="x")
        whole = await house.http.get(artifact["url"])
        assert whole.content == LARGE and whole.headers["content-type"] == "image/png"
        part = await house.http.get(artifact["url"], headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, LARGE[10:20])
        small = await house.http.get(artifact["thumbnail_url"])
        assert small.headers["content-type"] == "image/webp"
        mine = [name for name in store.names() if name.startswith(tmp_path.name)]
        assert len(mine) == 2, "the picture and its thumbnail"
        await made(house, id="y", inputs=[{"artifact": artifact["id"]}])
        assert painter.inputs == [LARGE]
        for id in ("x", "y"):
            assert (await house.http.delete(f"/api/tasks/{id}")).status_code == 200
        assert [name for name in store.names() if name.startswith(tmp_path.name)] == []
        assert (await house.http.get(artifact["url"])).status_code == 404
    incoming = tmp_path / "artifacts" / "incoming"
    assert list(incoming.iterdir()) == []


async def test_strays_are_swept_in_the_store(store: Bucket, tmp_path: Path) -> None:
    """An object that no row names goes when it is old; those that are named stay."""
    prefix = f"{tmp_path.name}-strays"
    async with served(
        tmp_path, scripted_provider=Painter(LARGE), **store.settings(prefix)
    ) as house:
        assert (await house.http.get((await made(house))["thumbnail_url"])).status_code == 200
        files, read = house.context.artifacts, house.context.shelf.read
        stray = await files.keep(PIXEL + b"stray", kind="image")
        files.release(stray)
        later = house.context.clock() + 3_600_000
        for folder in await files.folders():
            for one in await files.idle(folder, later):
                if not await read.used([one.sha256]):
                    assert await files.sweep(one, later)
        left = [name for name in store.names() if name.startswith(prefix)]
        assert len(left) == 2 and not any(name.endswith(stray.name) for name in left)


def test_a_store_that_does_not_answer_is_named_at_the_start(tmp_path: Path) -> None:
    """The server says which setting leads nowhere, and ends; of the secret it says nothing."""
    settings = {
        "STORAGE": "s3",
        "S3_URL": "s3://nowhere",
        "S3_ENDPOINT": "http://127.0.0.1:1",
        "S3_KEY_ID": "key",
        "S3_SECRET": "hidden-secret",
        "S3_REGION": "x",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "safelight", "serve", "--port", "0", "--data-dir", tmp_path / "d"],
        env=clean_environment() | {f"SAFELIGHT_{name}": text for name, text in settings.items()},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert ended.returncode == 1
    assert "s3_url s3://nowhere" in ended.stderr and "Traceback" not in ended.stderr
    assert "hidden-secret" not in ended.stderr + ended.stdout
