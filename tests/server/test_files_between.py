"""Files around the edges of an attempt: told again after a restart, or gone at its start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import Done, Made, Outcome, Prediction, Report
from safelight.providers.scripted import PIXEL, Scripted
from tests.doubles.served import PATIENCE, Served, served


class _Lasting(Scripted):
    """Makes two files, and ends once it may; followed again it says so again."""

    def __init__(self, lives: list[int], *, ends: bool) -> None:
        super().__init__(resumable=True)
        self.lives = lives
        self.ends = ends
        self.made = asyncio.Event()

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        self.lives.append(1)
        for data in (PIXEL, PIXEL, PIXEL + b"other"):
            await report(Made("image", "image/png", data))
        self.made.set()
        if not self.ends:
            await asyncio.Event().wait()
        return Done()


@pytest.mark.parametrize("first", [True, False])
async def test_a_setting_between_two_lives_names_no_file_twice(tmp_path: Path, first: bool) -> None:
    """Texts in PNGs are put on, or off, while the server is down: what was told is known
    again with the text and without it, and equal files are as many as they were."""
    lives: list[int] = []
    begun = _Lasting(lives, ends=False)
    async with served(tmp_path, scripted_provider=begun, png_text=first) as house:
        await house.create(id="x")
        await asyncio.wait_for(begun.made.wait(), PATIENCE)
    again = _Lasting(lives, ends=True)
    async with served(tmp_path, scripted_provider=again, png_text=not first) as house:
        async with asyncio.timeout(PATIENCE):
            events = await house.events("x")
    assert events[-1]["type"] == "completed" and len(lives) == 2
    assert [event["type"] for event in events].count("artifact") == 3


class _Late(Scripted):
    """Reads its input only after somebody has deleted it."""

    def __init__(self, *, billed: bool) -> None:
        super().__init__(billed=billed)
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.starts = 0

    async def start(self, prediction: Prediction) -> str:
        self.starts += 1
        self.begun.set()
        await self.go_on.wait()
        prediction.inputs[0].path.read_bytes()
        return await super().start(prediction)


@pytest.mark.parametrize("billed", [True, False])
async def test_an_input_that_goes_as_it_is_sent_ends_the_task(tmp_path: Path, billed: bool) -> None:
    """At once and by its name, like one that had gone before: no bug of the provider's, no
    further attempt, and nobody asks what became of it."""
    late = _Late(billed=billed)
    async with served(tmp_path, scripted_provider=late, retry_base_seconds=0.001) as house:
        url, id = await _sent(house)
        await house.create(id="x", inputs=[{"upload": id}])
        await asyncio.wait_for(late.begun.wait(), PATIENCE)
        assert (await house.http.delete(url)).status_code == 200
        late.go_on.set()
        async with asyncio.timeout(PATIENCE):
            events = await house.events("x")
    error: dict[str, Any] = events[-1]["error_data"]
    assert (error["code"], error["retryable"]) == ("invalid_input", False)
    assert "inputs.0 was deleted" in error["message"]
    assert events[-1]["charge"]["verdict"] == "free" and late.starts == 1


async def _sent(house: Served) -> tuple[str, str]:
    answer = await house.http.post("/api/uploads", content=PIXEL)
    told: dict[str, str] = answer.json()["data"]
    return told["url"], told["id"]
