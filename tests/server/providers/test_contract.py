"""One suite for every provider: what base.py promises of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import (
    Delta,
    Done,
    Ended,
    Found,
    Gone,
    Made,
    Moved,
    Prediction,
    Provider,
    Shown,
)
from safelight.providers.comfyui import Comfy, ComfyBackend, Timings
from safelight.providers.local import Local
from safelight.providers.replicate import Replicate
from safelight.providers.scripted import Scripted
from safelight.settings import BackendSettings, ProviderSettings
from tests.doubles.emulated import emulated
from tests.doubles.kernie import kerniegen
from tests.doubles.replicate_rig import LANTERN, LLAMA, QUICK, VIDEO

SMALL = {"width": 256, "height": 256, "steps": 4}


class Heard:
    """Everything a provider reported, in order, and an event at the first of it."""

    def __init__(self) -> None:
        self.reports: list[Any] = []
        self.first = asyncio.Event()

    async def __call__(self, report: Moved | Delta | Made | Found | Shown) -> None:
        self.reports.append(report)
        self.first.set()

    def of(self, kind: type) -> list[Any]:
        """The reports of one kind."""
        return [report for report in self.reports if isinstance(report, kind)]


@pytest.fixture(params=["local", "scripted", "comfyui", "replicate"])
async def provider(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Provider]:
    """Each provider in turn, opened; a remote one with the server it speaks to."""
    with ExitStack() as stack:
        chosen: Provider
        match request.param:
            case "local":
                chosen = Local(1)
            case "scripted":
                chosen = Scripted()
            case "replicate":
                emulator = stack.enter_context(emulated(tmp_path, "replicate", pace=0.02))
                keyed = ProviderSettings(url=f"{emulator.url}/v1", key=emulator.key)
                chosen = Replicate(keyed, timings=QUICK)
            case _:
                server = stack.enter_context(kerniegen(tmp_path / "kernie", step_seconds=0.02))
                settings, timings = BackendSettings(url=server.url), Timings(settle=0.05)
                chosen = Comfy({"one": ComfyBackend("one", settings, timings=timings)})
        async with chosen.open():
            yield chosen


MODELS: dict[str, dict[str, str]] = {
    "local": {"image": "local/paint", "video": "local/clip", "text": "local/prose"},
    "comfyui": {
        "image": "comfyui/txt2img",
        "video": "comfyui/animation",
        "text": "comfyui/workflow",
    },
    "replicate": {"image": LANTERN, "video": VIDEO, "text": LLAMA},
}
SQUARE = {"width": 64, "height": 64, "batch_size": 1, "color": 0}
SAYS = {
    "1": {"class_type": "EmptyImage", "inputs": SQUARE},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}
"""A graph that puts out words."""


def prediction(provider: Provider, kind: Any = "image", **fields: Any) -> Prediction:
    """A small prediction of the provider's own model."""
    model = MODELS.get(provider.name, MODELS["local"])[kind]
    params: dict[str, Any] = {} if provider.name == "scripted" else SMALL
    if provider.name == "replicate" and kind != "image":
        params = {}
    if provider.name == "comfyui" and kind == "text":
        params = {"workflow": SAYS}
    return Prediction(
        uid="u1",
        attempt=fields.pop("attempt", 1),
        kind=kind,
        model=fields.pop("model", model),
        prompt="a lighthouse at dusk",
        params=params | fields.pop("params", {}),
        seed=fields.pop("seed", 7),
        n=fields.pop("n", 1),
    )


@pytest.mark.parametrize("kind", ["image", "video", "text"])
async def test_it_makes_what_its_kind_asks_for(provider: Provider, kind: str) -> None:
    """One outcome, Done, after files or text of the kind were reported."""
    asked, heard = prediction(provider, kind), Heard()
    handle = await provider.start(asked)
    outcome = await provider.follow(asked, handle, heard)
    assert isinstance(outcome, Done)
    if kind == "text":
        assert "".join(d.text for d in heard.of(Delta))
        return
    made = heard.of(Made) + heard.of(Found)
    assert [m.kind for m in made] == [kind]
    assert getattr(made[0], "data", None) or getattr(made[0], "url", None)


async def test_progress_never_falls(provider: Provider) -> None:
    """Progress is between 0 and 1 and grows."""
    asked, heard = prediction(provider), Heard()
    await provider.follow(asked, await provider.start(asked), heard)
    told = [m.progress for m in heard.of(Moved) if m.progress is not None]
    assert told == sorted(told)
    assert all(0 <= p <= 1 for p in told)


async def test_handles_name_their_attempt(provider: Provider) -> None:
    """Two attempts have two handles."""
    one, two = prediction(provider), prediction(provider, attempt=2)
    assert await provider.start(one) != await provider.start(two)


async def test_cancel_ends_it_and_may_be_repeated(provider: Provider) -> None:
    """A cancel in the middle makes `follow` return Ended; a second one changes nothing."""
    slow = SLOW.get(provider.name, {"script": HANG})
    asked, heard = prediction(provider, params=slow), Heard()
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, heard))
    await asyncio.wait_for(heard.first.wait(), 20)
    await provider.cancel(asked, handle)
    await provider.cancel(asked, handle)
    assert isinstance(await asyncio.wait_for(following, 20), Ended)
    count = len(heard.reports)
    await provider.cancel(asked, handle)
    assert len(heard.reports) == count


SLOW = {"local": {"steps": 400}, "comfyui": {"steps": 100}, "replicate": {"steps": 50}}
HANG = [{"do": "progress", "to": 0.1}, {"do": "hang"}]


async def test_a_follower_that_is_cancelled_leaves_room(provider: Provider) -> None:
    """After a cancelled `follow` the next prediction runs."""
    slow = SLOW.get(provider.name, {"script": HANG})
    asked, heard = prediction(provider, params=slow), Heard()
    following = asyncio.create_task(provider.follow(asked, await provider.start(asked), heard))
    await asyncio.wait_for(heard.first.wait(), 20)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    again = prediction(provider, attempt=2)
    outcome = await provider.follow(again, await provider.start(again), Heard())
    assert isinstance(outcome, Done)


async def test_looking_up_starts_nothing(provider: Provider) -> None:
    """A request that never arrived is Gone, however often that is asked."""
    asked = prediction(provider)
    for _ in range(3):
        assert isinstance(await provider.look_up(asked), Gone)
    assert getattr(provider, "started", []) == []


async def test_what_is_found_can_be_followed(provider: Provider) -> None:
    """The handle of a look-up is as good as the start's own; Gone only where a second
    start costs nothing."""
    asked = prediction(provider)
    handle = await provider.start(asked)
    found = await provider.look_up(asked)
    if isinstance(found, str):
        assert found == handle
        assert isinstance(await provider.follow(asked, found, Heard()), Done)
    else:
        assert isinstance(found, Gone) and not provider.billed


async def test_a_look_up_is_of_one_attempt(provider: Provider) -> None:
    """The first attempt's request is not the second's."""
    await provider.start(prediction(provider))
    assert isinstance(await provider.look_up(prediction(provider, attempt=2)), Gone)
