"""Whole runs on KernieGen, a process of its own: what was told here is held against its log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from safelight.providers.base import (
    Done,
    Ended,
    Failure,
    Found,
    Gone,
    InputFile,
    Made,
    Moved,
    Outcome,
    Prediction,
    Shown,
)
from safelight.providers.comfyui import Comfy, ComfyBackend, Timings
from safelight.settings import BackendSettings
from tests.doubles.comfy_rig import Heard
from tests.doubles.kernie import Kernie, kerniegen

PATIENCE = 60.0
SMALL = {"width": 64, "height": 64, "steps": 4}
TIMINGS = Timings(poll=0.05, settle=0.2, again=0.3, reopen=0.05)


class Bench:
    """An adapter on a KernieGen."""

    def __init__(self, kernie: Kernie, provider: Comfy, backend: ComfyBackend) -> None:
        self.kernie = kernie
        self.provider = provider
        self.backend = backend

    def prediction(self, **fields: Any) -> Prediction:
        """A small picture, unless fields say otherwise."""
        params = SMALL | fields.pop("params", {})
        known: dict[str, Any] = {
            "uid": "u1",
            "attempt": 1,
            "kind": "image",
            "model": "comfyui/txt2img",
            "prompt": "a red fox in the snow",
            "seed": 7,
            "n": 1,
            "backend": "kerniegen",
        }
        return Prediction(**known | {"params": params} | fields)

    async def run(self, asked: Prediction, heard: Heard | None = None) -> Outcome:
        """From start to end."""
        heard = heard or Heard()
        async with asyncio.timeout(PATIENCE):
            handle = await self.provider.start(asked)
            return await self.provider.follow(asked, handle, heard)


@asynccontextmanager
async def bench(folder: Path, **options: Any) -> AsyncIterator[Bench]:
    """A KernieGen and an adapter on it."""
    with kerniegen(folder / "kernie", **options) as kernie:
        async with adapter(kernie) as made:
            yield made


@asynccontextmanager
async def adapter(kernie: Kernie) -> AsyncIterator[Bench]:
    """Another process of ours, as far as the server can see."""
    backend = ComfyBackend("kerniegen", BackendSettings(url=kernie.url), timings=TIMINGS)
    provider = Comfy({"kerniegen": backend})
    async with provider.open():
        yield Bench(kernie, provider, backend)


async def fetched(found: Found) -> bytes:
    """The file itself."""
    async with httpx2.AsyncClient() as http:
        answer = await http.get(found.url, headers=found.headers)
        assert answer.status_code == 200
        return answer.content


@pytest.mark.parametrize("version", ["0.33", "0.3.64"])
async def test_a_picture_from_words(tmp_path: Path, version: str) -> None:
    """A run tells how far it is and previews, and ends with a file that can be fetched."""
    async with bench(tmp_path, version=version, step_seconds=0.01) as on:
        heard = Heard()
        assert isinstance(await on.run(on.prediction(), heard), Done)
        told = [m.progress for m in heard.of(Moved) if m.progress is not None]
        assert told == sorted(told) and told[-1] > 0.5
        assert heard.of(Shown)
        (found,) = heard.of(Found)
        assert (await fetched(found)).startswith(b"\x89PNG")


async def test_the_defaults_are_what_the_backend_has(tmp_path: Path) -> None:
    """Without a checkpoint the first one of the backend is taken, and without a LoRA none."""
    async with bench(tmp_path, checkpoint=["b.safetensors", "a.safetensors"]) as on:
        assert isinstance(await on.run(on.prediction()), Done)
        asked = on.prediction(uid="u2", params={"lora": (await _loras(on))[0]})
        assert isinstance(await on.run(asked), Done)
        histories = httpx2.get(on.kernie.url + "/history").json()
        graphs = [entry["prompt"][2] for entry in histories.values()]
        first = (await on.backend.checkpoints())[0]
        assert {g["4"]["inputs"]["ckpt_name"] for g in graphs} == {first}
        assert ["10" in graph for graph in graphs] == [False, True]


async def _loras(on: Bench) -> list[str]:
    return await on.backend.options("LoraLoader", "lora_name")


async def test_several_pictures_come_in_order(tmp_path: Path) -> None:
    """One prompt of three makes three files."""
    async with bench(tmp_path) as on:
        heard = Heard()
        assert isinstance(await on.run(on.prediction(n=3), heard), Done)
        assert [f.key.split("/")[1] for f in heard.of(Found)] == ["0", "1", "2"]


async def test_an_animation_is_a_video(tmp_path: Path) -> None:
    """What moves is a video, whatever its file is called."""
    async with bench(tmp_path) as on:
        heard = Heard()
        params = {"frames": 3, "fps": 6.0}
        asked = on.prediction(model="comfyui/animation", kind="video", params=params)
        assert isinstance(await on.run(asked, heard), Done)
        (found,) = heard.of(Found)
        assert (found.kind, found.media_type) == ("video", "image/webp")


async def test_a_picture_from_a_picture(tmp_path: Path) -> None:
    """The picture that an earlier run made is uploaded and begun with; several come of it if so
    many are asked for."""
    async with bench(tmp_path) as on:
        heard = Heard()
        await on.run(on.prediction(), heard)
        file = tmp_path / "first.png"
        file.write_bytes(await fetched(heard.of(Found)[0]))
        asked = on.prediction(
            uid="u2", model="comfyui/img2img", inputs=(InputFile(file, "image/png"),)
        )
        assert isinstance(await on.run(asked, again := Heard()), Done)
        assert len(again.of(Found)) == 1
        asked = on.prediction(uid="u3", model=asked.model, inputs=asked.inputs, n=3)
        assert isinstance(await on.run(asked, several := Heard()), Done)
        assert len(several.of(Found)) == 3


async def test_results_over_the_socket(tmp_path: Path) -> None:
    """Pictures that a node sends instead of saving them are made, at full size."""
    graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 512, "height": 512, "batch_size": 2, "color": 3368652},
        },
        "9": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}},
    }
    async with bench(tmp_path) as on:
        heard = Heard()
        asked = on.prediction(model="comfyui/workflow", params={"workflow": graph})
        assert isinstance(await on.run(asked, heard), Done)
        assert [made.media_type for made in heard.of(Made)] == ["image/png"] * 2
        assert heard.of(Found) == []


async def test_an_equal_request_makes_a_file_of_its_own(tmp_path: Path) -> None:
    """Equal to the seed, a second task is not answered with the first one's file."""
    async with bench(tmp_path) as on:
        one, two = Heard(), Heard()
        await on.run(on.prediction(), one)
        await on.run(on.prediction(uid="u2"), two)
        assert one.of(Found)[0].url != two.of(Found)[0].url
        assert await fetched(one.of(Found)[0]) and await fetched(two.of(Found)[0])


async def test_a_wrong_value_is_named(tmp_path: Path) -> None:
    """What the backend itself refuses names node, input, value and what is near."""
    async with bench(tmp_path) as on:
        with pytest.raises(Failure) as failure:
            await on.run(on.prediction(params={"sampler": "eulr"}))
        message = failure.value.outcome.message
        assert "node 3 (KSampler): sampler_name" in message and "eulr" in message


async def test_its_death_in_mid_run_loses_the_prompt_once(tmp_path: Path) -> None:
    """Killed and started again it has forgotten the prompt: Gone, and run once."""
    async with bench(tmp_path, step_seconds=0.1) as on:
        asked, heard = on.prediction(params={"steps": 100}), Heard()
        handle = await on.provider.start(asked)
        following = asyncio.create_task(on.provider.follow(asked, handle, heard))
        await heard.until(lambda: [m for m in heard.of(Moved) if m.step])
        await anyio.to_thread.run_sync(on.kernie.kill)
        await anyio.to_thread.run_sync(on.kernie.start)
        assert isinstance(await asyncio.wait_for(following, PATIENCE), Gone)
        assert on.kernie.runs()[handle] == 1
        assert isinstance(await on.run(on.prediction(attempt=2)), Done)


async def test_another_process_of_ours_takes_over(tmp_path: Path) -> None:
    """Followed by another adapter in the middle of its run, it ends well, and ran once."""
    with kerniegen(tmp_path / "kernie", step_seconds=0.05) as kernie:
        async with adapter(kernie) as before:
            asked = before.prediction(params={"steps": 10})
            handle = await before.provider.start(asked)
        async with adapter(kernie) as after, asyncio.timeout(PATIENCE):
            assert await after.provider.look_up(asked) == handle
            heard = Heard()
            assert isinstance(await after.provider.follow(asked, handle, heard), Done)
            assert len(heard.of(Found)) == 1
        assert kernie.runs()[handle] == 1


@pytest.mark.slow
async def test_240_cancels_straight_after_submit_lose_none(tmp_path: Path) -> None:
    """Canceled at once, or one or two questions to its server after its submit, each of 240
    prompts ends as canceled or as done, and the server agrees; none runs on."""
    async with bench(tmp_path, step_seconds=0.02) as on, httpx2.AsyncClient() as asking:
        outcomes = []
        for place in range(240):
            asked = on.prediction(uid=f"c{place}", params={"steps": 50})
            async with asyncio.timeout(PATIENCE):
                handle = await on.provider.start(asked)
                following = asyncio.create_task(on.provider.follow(asked, handle, Heard()))
                for _ in range(place % 3):
                    await asking.get(on.kernie.url + "/prompt")
                await on.provider.cancel(asked, handle)
                outcomes.append(await following)
        assert all(isinstance(outcome, Ended) for outcome in outcomes)
        queue = httpx2.get(on.kernie.url + "/queue").json()
        assert queue == {"queue_running": [], "queue_pending": []}


async def test_a_storm_of_cancels_at_once_loses_none(tmp_path: Path) -> None:
    """60 prompts started and canceled at the same time are all over, and none ran to its
    end."""
    async with bench(tmp_path, step_seconds=0.05) as on:

        async def one(place: int) -> Outcome:
            asked = on.prediction(uid=f"s{place}", params={"steps": 100})
            handle = await on.provider.start(asked)
            following = asyncio.create_task(on.provider.follow(asked, handle, Heard()))
            await on.provider.cancel(asked, handle)
            return await following

        async with asyncio.timeout(PATIENCE):
            outcomes = await asyncio.gather(*(one(place) for place in range(60)))
        assert all(isinstance(outcome, Ended) for outcome in outcomes)
        queue = httpx2.get(on.kernie.url + "/queue").json()
        assert queue == {"queue_running": [], "queue_pending": []}
