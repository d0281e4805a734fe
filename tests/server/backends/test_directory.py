"""The directory of backends: what it knows of each, and what an ill one costs whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from safelight.backends import Directory, Health, Rhythm
from safelight_protocol.codes import Refused
from tests.doubles.served import PATIENCE
from tests.doubles.workshop import Workshop, WorkshopBackend, workshops

QUICK = Rhythm(up_seconds=0.01, first_seconds=0.01, most_seconds=0.04)
HASTY = Rhythm(up_seconds=0.01, first_seconds=0.01, most_seconds=0.04, patience_seconds=0.3)
SLOW = Rhythm(up_seconds=3600, first_seconds=3600, most_seconds=3600)


class Wish:
    """What is asked of a backend."""

    model, seed, n = "comfyui/txt2img", 1, 1

    def __init__(self, **params: Any) -> None:
        self.params = params


class Watched:
    """A directory under way, the news that it told, and the clock that it reads, which is
    `ahead` of the real one."""

    directory: Directory

    def __init__(self) -> None:
        self.ahead = 0
        self.news: list[tuple[str, str]] = []
        self._told = asyncio.Event()

    def clock(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000 + self.ahead

    def hear(self, name: str) -> None:
        """One more piece of news."""
        self.news.append((name, self.directory.health(name).status))
        self._told.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Return once something is so; looked at with each piece of news."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                self._told.clear()
                await self._told.wait()

    async def until_status(self, name: str, status: str) -> None:
        """Return once a backend has this status."""
        await self.until(lambda: self.directory.health(name).status == status)


@asynccontextmanager
async def watched(made: dict[str, Workshop], rhythm: Rhythm = QUICK) -> AsyncIterator[Watched]:
    """A directory of these workshops, started."""
    backends = {name: WorkshopBackend(name, one.url) for name, one in made.items()}
    house = Watched()
    house.directory = Directory(backends, clock=house.clock, rhythm=rhythm)
    directory = house.directory
    async with anyio.create_task_group() as group:
        directory.start(group, house.hear)
        yield house
        group.cancel_scope.cancel()


async def test_health_comes_by_itself() -> None:
    """A backend is not known before it was asked, then up, with all that it says."""
    async with workshops("a") as made, watched(made) as house:
        assert house.directory.health("a") == Health()
        assert house.directory.reason("a") == "a has not been asked yet how it is"
        await house.until_status("a", "up")
        health = house.directory.health("a")
        assert (health.version, health.queue_running, health.queue_pending) == ("1.2", 1, 3)
        assert health.checked_at and health.latency_ms is not None and health.error is None
        assert house.directory.checkpoints("a") == ("dream.safetensors", "ink.safetensors")
        assert house.directory.reason("a") is None


async def test_one_that_is_gone_is_down_and_comes_back() -> None:
    """Refused connections are `down` at once, with a reason for who waits; it is asked again
    until it is back, and each change of mind is counted once."""
    async with workshops("a") as made, watched(made) as house:
        await house.until_status("a", "up")
        await made["a"].close()
        await house.until_status("a", "down")
        reason = house.directory.reason("a") or ""
        assert reason.startswith("a is down, asked again at 20")
        assert house.directory.statistics()["backends_down"] == 1
        await house.until(lambda: "every 0.04 s" in (house.directory.reason("a") or ""))
        await made["a"].open()
        await house.until_status("a", "up")
        told = house.directory.statistics()
        assert told == {"backends_up": 1, "backends_down": 0, "backend_flips": 3}


async def test_a_silence_is_no_death() -> None:
    """One that was up and does not answer is `unknown`, so that nothing is held for it, and
    down only when the silence lasts."""
    async with workshops("a") as made, watched(made, HASTY) as house:
        await house.until_status("a", "up")
        before = len(house.news)
        made["a"].mood = "silent"
        await house.until_status("a", "unknown")
        assert house.directory.reason("a") is None
        assert house.directory.health("a").error == "it did not answer within 0.3 s"
        await house.until_status("a", "down")
        seen = [status for _, status in house.news[before:] if status != "up"]
        assert seen == ["unknown", "unknown", "down"]


async def test_one_that_never_answered_is_down() -> None:
    """Of a backend that is silent from the start nothing is known, so nothing is sent there."""
    async with workshops("a") as made:
        made["a"].mood = "silent"
        async with watched(made, HASTY) as house:
            await house.until_status("a", "down")


async def test_one_that_hangs_costs_the_others_nothing() -> None:
    """What is known of the others is as fresh as ever, and every look is bounded."""
    async with workshops("a", "b") as made:
        made["a"].mood = "silent"
        async with watched(made, HASTY) as house:
            await house.until(lambda: house.news.count(("b", "up")) >= 4)
            assert house.directory.health("b").status == "up"


async def test_an_error_is_told_as_it_was() -> None:
    """A backend that answers with an error is down, and the error says so."""
    async with workshops("a") as made:
        made["a"].mood = "ill"
        async with watched(made) as house:
            await house.until_status("a", "down")
            assert house.directory.health("a").error == "it answered 500"


async def test_a_bug_in_a_backends_code_ends_nothing() -> None:
    """It is logged, the backend counts as down, and it is asked again."""
    async with workshops("a") as made:
        async with watched(made) as house:
            await house.until_status("a", "up")
            made["a"].checkpoints = 7  # type: ignore[assignment]
            await house.until_status("a", "down")
            assert "bug" in (house.directory.health("a").error or "")
            made["a"].checkpoints = []
            await house.until_status("a", "up")


async def test_a_refresh_asks_once_for_all_who_want_to_know() -> None:
    """Callers of one moment share a question, and one that was just answered is not asked."""
    async with workshops("a", "b") as made, watched(made, SLOW) as house:
        await house.until(lambda: len(house.news) == 2)
        asked = made["a"].questions
        await house.directory.refresh(["a", "b"], 1.0)
        assert made["a"].questions == asked, "it was asked a moment ago"
        house.ahead = 60_000
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(house.directory.refresh, ["a"], 1.0)
        assert made["a"].questions - asked <= 4


async def test_a_refresh_waits_for_a_bounded_while() -> None:
    """However long a backend is silent, who asks is answered in time."""
    patient = Rhythm(patience_seconds=3600)
    async with workshops("a") as made:
        made["a"].mood = "silent"
        async with watched(made, patient) as house:
            async with asyncio.timeout(PATIENCE):
                await house.directory.refresh(["a"], 0.02)
            assert house.directory.health("a") == Health()


async def test_a_request_is_held_against_what_the_backend_has() -> None:
    """What it has passes; what it has not is refused by field, value and what is there."""
    async with workshops("a") as made, watched(made) as house:
        await house.directory.check("a", Wish(checkpoint="ink.safetensors"), 5.0)
        with pytest.raises(Refused) as refused:
            await house.directory.check("a", Wish(checkpoint="oil"), 5.0)
        (detail,) = refused.value.details
        assert (refused.value.code.name, detail["field"]) == ("invalid", "params.checkpoint")


@pytest.mark.parametrize("how", ["gone", "silent", "ill"])
async def test_one_that_cannot_be_asked_is_unreachable(how: str) -> None:
    """Gone, silent or ill: `backend_unreachable` by its name, and in time."""
    async with workshops("a") as made, watched(made, SLOW) as house:
        await house.until_status("a", "up")
        if how == "gone":
            await made["a"].close()
        else:
            made["a"].mood = how  # type: ignore[assignment]
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(Refused) as refused:
                await house.directory.check("a", Wish(checkpoint="oil"), 0.2)
        assert refused.value.code.name == "backend_unreachable"
        assert (refused.value.extra, refused.value.code.http) == ({"backend": "a"}, 503)


async def test_one_that_just_came_back_is_found_out() -> None:
    """A request is not refused by what was known of a backend some time ago: it is asked."""
    async with workshops("a") as made:
        await made["a"].close()
        async with watched(made, SLOW) as house:
            await house.until_status("a", "down")
            await made["a"].open()
            house.ahead = 60_000
            await house.directory.check("a", Wish(), 5.0)
            assert house.directory.health("a").status == "up"


async def test_suspicion_looks_at_once() -> None:
    """Trouble that somebody met there is looked into without waiting for the next round."""
    async with workshops("a") as made, watched(made, SLOW) as house:
        await house.until_status("a", "up")
        await made["a"].close()
        house.directory.suspect("a")
        house.directory.suspect("nobody")
        await house.until_status("a", "down")


async def test_names_are_looked_up_and_near_ones_told() -> None:
    """An unknown name is refused with those near it, or with all there are."""
    async with workshops("kerniegen", "comfyui") as made:
        backends = {name: WorkshopBackend(name, one.url) for name, one in made.items()}
        directory = Directory(backends, clock=lambda: 0)
        assert [one.name for one in directory] == ["kerniegen", "comfyui"]
        assert "comfyui" in directory and "gpu" not in directory
        assert directory.url("comfyui") == made["comfyui"].url
        assert (directory.url("gpu"), directory.url(None)) == (None, None)
        with pytest.raises(Refused, match="near it: kerniegen"):
            directory.backend("kernigen")
        assert directory.unknown("zzz") == "one of kerniegen, comfyui"
        assert "no backends" in Directory({}, clock=lambda: 0).unknown("x")
