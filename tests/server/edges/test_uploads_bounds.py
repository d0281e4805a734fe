"""Uploads that mean harm, or come all at once: bounded on the way, and no word of others."""

from __future__ import annotations

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safelight.edges.multipart import Multipart
from safelight.providers.scripted import PIXEL
from tests.doubles.served import Served, served
from tests.doubles.turns import until

ANN = {"authorization": "Bearer secret-a"}
BOB = {"authorization": "Bearer secret-b"}
TOKENS = {"secret-a": "ann", "secret-b": "bob"}
PART = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
FORM = {"content-type": "multipart/form-data; boundary=b"}


def incoming(folder: Path) -> int:
    """Bytes that are half-written."""
    return sum(one.stat().st_size for one in (folder / "artifacts" / "incoming").iterdir())


def test_what_follows_a_form_is_not_kept_in_memory() -> None:
    """Behind the last boundary anything may come, and nothing becomes of it."""
    form = Multipart(b"b", b"file")
    assert form.feed(PART % b"file" + PIXEL + b"\r\n--b--\r\n") == PIXEL
    tracemalloc.start()
    try:
        for _ in range(200):
            assert form.feed(bytes(64 * 1024)) == b""
        assert tracemalloc.get_traced_memory()[0] < 64 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("where", ["before", "behind"])
async def test_a_form_without_end_is_refused(tmp_path: Path, where: str) -> None:
    """Its other parts, and what follows it, count like the file; it is not read on."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield PART % b"other" if where == "before" else PART % b"file" + PIXEL + b"\r\n--b--\r\n"
        while sent < 200:
            sent += 1
            yield bytes(64 * 1024)

    async with served(tmp_path, max_upload_bytes=64 * 1024) as house:
        answer = await house.http.post("/api/uploads", content=body(), headers=FORM)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_uploads_at_one_moment_share_the_quota(tmp_path: Path) -> None:
    """What one owner sends at once is bounded by what that owner may keep, so that nobody
    fills the disk with files that are never whole; when they have gone, there is room."""
    gate = asyncio.Event()

    async def held(mark: int) -> AsyncIterator[bytes]:
        yield PIXEL + bytes([mark]) * 1_500_000
        if mark != 2:
            await gate.wait()

    settings = {"upload_quota_bytes": 2_000_000, "tokens": TOKENS}
    async with served(tmp_path, **settings) as house:

        async def send(mark: int, who: dict[str, str]) -> tuple[int, str]:
            answer = await house.http.post("/api/uploads", content=held(mark), headers=who)
            return answer.status_code, answer.json().get("code", "")

        first = asyncio.create_task(send(1, ANN))
        await until(lambda: incoming(tmp_path) > 1_000_000)
        assert await send(2, ANN) == (429, "too_many")
        other = asyncio.create_task(send(3, BOB))
        await until(lambda: incoming(tmp_path) > 2_000_000)
        gate.set()
        assert [await first, await other] == [(201, ""), (201, "")]
        assert await send(1, ANN) == (201, ""), "what is there may be sent again"


async def test_an_address_does_not_tell_that_others_sent_the_same(tmp_path: Path) -> None:
    """Its headers are the same before and after another owner sends the same bytes."""
    async with served(tmp_path, tokens=TOKENS) as house:

        async def send(who: dict[str, str]) -> str:
            answer = await house.http.post("/api/uploads", content=PIXEL, headers=who)
            url: str = answer.json()["data"]["url"]
            return url

        url = await send(ANN)
        (file,) = (one for one in (tmp_path / "artifacts").rglob("*") if one.is_file())
        before = await _headers(house, url)
        await send(BOB)
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert await _headers(house, url) == before


async def _headers(house: Served, url: str) -> dict[str, str]:
    answer = await house.http.head(url)
    return {name: text for name, text in answer.headers.items() if name != "date"}
