"""What models take: asked for once, by all at once, and believed while nobody answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from safelight.providers.http import Fault, Trouble
from safelight.providers.replicate.models import Models, NoSuchModel

V = "b" * 64
SCHEMA = {"components": {"schemas": {"Input": {"properties": {"prompt": {"type": "string"}}}}}}
MODEL = {"is_official": True, "latest_version": {"id": V, "openapi_schema": SCHEMA}}


class Desk:
    """Describes models, behind a gate, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.status: int | None = None
        self.told: dict[str, Any] = {
            "models/o/n": MODEL,
            f"models/o/n/versions/{V}": {"id": V, "openapi_schema": SCHEMA},
            "deployments/o/d": {"current_release": {"model": "o/n", "version": V}},
        }
        self.time = 0.0

    async def describe(self, path: str) -> dict[str, Any]:
        """What is at an address."""
        self.asked.append(path)
        await self.open.wait()
        status = self.status or (200 if path in self.told else 404)
        if status != 200:
            raise Trouble(Fault(sent=True, why=f"it answered {status}", status=status))
        found: dict[str, Any] = self.told[path]
        return found

    def models(self) -> Models:
        """Models that are described here, fresh for ten seconds."""
        return Models(self.describe, lambda: self.time, 10.0)


async def test_asked_once() -> None:
    """Who asks at the same moment, and soon after, shares one question."""
    desk = Desk()
    desk.open.clear()
    async with (models := desk.models()).open():
        asking = [asyncio.create_task(models.get("o/n")) for _ in range(3)]
        await asyncio.sleep(0)
        desk.open.set()
        first, *others = await asyncio.gather(*asking)
        assert all(one is first for one in others)
        assert first.shape is not None and list(first.shape.fields) == ["prompt"]
        assert await models.get("o/n") is first
        assert desk.asked == ["models/o/n"]


async def test_a_question_that_is_called_off_says_nothing_of_the_model() -> None:
    """Who still waits for it when the server goes down hears of trouble, not that there is no
    such model."""
    desk = Desk()
    desk.open.clear()
    async with (models := desk.models()).open():
        waiting = asyncio.create_task(models.get("o/n"))
        await asyncio.sleep(0)
    with pytest.raises(Trouble) as trouble:
        await waiting
    assert not trouble.value.fault.sent


async def test_the_question_goes_on() -> None:
    """Who gives up does not take the question along: the next one finds its answer."""
    desk = Desk()
    desk.open.clear()
    async with (models := desk.models()).open():
        impatient = asyncio.create_task(models.get("o/n"))
        await asyncio.sleep(0)
        impatient.cancel()
        desk.open.set()
        assert (await models.get("o/n")).route.path == "models/o/n/predictions"
        assert len(desk.asked) == 1


async def test_stale_is_better_than_nothing() -> None:
    """What was known is asked for anew after a while, and believed if nobody answers."""
    desk = Desk()
    async with (models := desk.models()).open():
        known = await models.get("o/n")
        desk.time, desk.status = 11.0, 503
        assert await models.get("o/n") is known
        assert len(desk.asked) == 2
        models.forget("o/n")
        with pytest.raises(Trouble):
            await models.get("o/n")


async def test_versions_last() -> None:
    """A version never changes, and is not asked for again."""
    desk = Desk()
    async with (models := desk.models()).open():
        await models.get(f"o/n:{V}")
        desk.time = 1e9
        assert (await models.get(f"o/n:{V}")).route.version == V
        assert len(desk.asked) == 1


async def test_deployments() -> None:
    """A deployment takes what its version takes."""
    desk = Desk()
    async with (models := desk.models()).open():
        found = await models.get("deployments/o/d")
        assert found.shape is not None
        assert found.route.path == "deployments/o/d/predictions"
        assert desk.asked == ["deployments/o/d", f"models/o/n/versions/{V}"]


@pytest.mark.parametrize("name", ["o/gone", "no name"])
async def test_no_such_model(name: str) -> None:
    """A model that is not there is no trouble that passes."""
    async with (models := Desk().models()).open():
        with pytest.raises(NoSuchModel):
            await models.get(name)
