"""Downloads through the real server: what slow ones cost, and one whose file goes meanwhile."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from safelight.providers.base import Done, Made, Outcome, Prediction, Report
from safelight.providers.scripted import PIXEL, Scripted
from tests.doubles.deaf import Line, line_to
from tests.doubles.served import Served, served
from tests.doubles.turns import until

LARGE = PIXEL + os.urandom(4 * 1024 * 1024)
"""More than the buffers on a line take, and no multiple of a piece."""


class _Painter(Scripted):
    """Makes one large picture."""

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        await report(Made("image", "image/png", LARGE))
        return Done()


async def _picture(house: Served) -> str:
    await house.create(id="x")
    return str((await house.events("x"))[-1]["result_data"]["image_url"])


async def _begun(line: Line, url: str) -> bytes:
    await line.write(f"GET {url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return await line.read()


def _open_at(path: Path) -> int:
    """How many open files of this process are that one."""
    wanted, found = path.stat().st_ino, 0
    for name in os.listdir("/dev/fd"):
        try:
            found += os.fstat(int(name)).st_ino == wanted
        except OSError:
            continue  # the folder's own
    return found


def _file(root: Path) -> Path:
    """Where the picture lies."""
    files = [one for one in root.rglob("*") if one.is_file()]
    (found,) = [one for one in files if one.stat().st_size == len(LARGE)]
    return found


async def test_a_download_that_is_not_taken_holds_no_file(tmp_path: Path) -> None:
    """However many take their time, a file is open only while a piece of it is read, and
    each of them gets it whole."""
    provider = _Painter()
    async with (
        served(
            tmp_path, scripted_provider=provider, kernel_buffer=16 * 1024, png_text=False
        ) as house,
        AsyncExitStack() as stack,
    ):
        url, path = await _picture(house), _file(tmp_path)
        lines = [await stack.enter_async_context(line_to(house.url)) for _ in range(5)]
        heads = [await _begun(line, url) for line in lines]
        assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
        await until(lambda: not _open_at(path))
        body = heads[0].partition(b"\r\n\r\n")[2]
        while len(body) < len(LARGE):
            body += (more := await lines[0].read())
            assert more
    assert body == LARGE


async def test_a_file_that_goes_meanwhile_ends_its_download(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is cut before the announced length, so nobody takes a part for the whole; and
    it is no bug of ours."""
    provider = _Painter()
    async with (
        served(
            tmp_path, scripted_provider=provider, kernel_buffer=16 * 1024, png_text=False
        ) as house,
        line_to(house.url) as line,
    ):
        url = await _picture(house)
        head = await _begun(line, url)
        assert (await house.http.delete("/api/tasks/x")).status_code == 200
        rest = await line.read_to_end()
        assert b"content-length: %d" % len(LARGE) in head.lower()
        assert len(head) + len(rest) < len(LARGE)
        assert (await house.http.get(url)).status_code == 404
    assert "Traceback" not in capsys.readouterr().out
