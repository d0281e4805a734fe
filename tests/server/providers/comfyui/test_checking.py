"""What is asked for, held against what the backend has, in either shape of its lists."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.backends.base import Unreachable
from safelight.providers.comfyui import ComfyBackend
from safelight.providers.comfyui.options import bounds_of, choices_of, config_of
from safelight.settings import BackendSettings
from safelight_protocol.codes import Refused
from tests.doubles.comfy import PAGE, Answer, ComfyDouble, recorded
from tests.doubles.comfy_rig import GRAPH, QUICK, Rig


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a backend."""

    model: str = "comfyui/txt2img"
    params: dict[str, Any] = {}
    seed: int = 7
    n: int = 1


def classes(shape: str) -> dict[str, Any]:
    """What the double has, its lists in one of the two shapes."""

    def among(*options: str) -> list[Any]:
        return [list(options), {}] if shape == "list" else ["COMBO", {"options": list(options)}]

    def taking(**inputs: Any) -> dict[str, Any]:
        return {"input": {"required": inputs, "optional": {}}}

    return {
        "CheckpointLoaderSimple": taking(ckpt_name=among("a.safetensors", "b.safetensors")),
        "LoraLoader": taking(lora_name=among("warm.safetensors"), strength_model=["FLOAT", {}]),
        "KSampler": taking(
            sampler_name=among("euler", "heun", "dpmpp_2m"),
            scheduler=among("normal", "karras"),
            steps=["INT", {"min": 1, "max": 10000}],
            cfg=["FLOAT", {"min": 0.0, "max": 100.0}],
            seed=["INT", {"min": 0, "max": 2**64 - 1}],
        ),
        "LoadImage": taking(image=[["old.png"], {"image_upload": True}]),
        **{name: taking() for name in ("EmptyImage", "SaveImage", "CLIPTextEncode")},
        **{name: taking() for name in ("EmptyLatentImage", "VAEDecode", "SaveAnimatedWEBP")},
    }


@pytest.fixture(params=["list", "COMBO"])
def stocked(rig: Rig, request: pytest.FixtureRequest) -> Rig:
    """An adapter on a backend with a few classes."""
    rig.double.object_info = classes(request.param)
    return rig


async def wrong(rig: Rig, **fields: Any) -> list[dict[str, object]]:
    """The details of a refusal."""
    with pytest.raises(Refused) as refused:
        await rig.backend.check(Wanted(**fields))
    assert refused.value.code.name == "invalid"
    return refused.value.details


async def test_what_it_has_is_taken(stocked: Rig) -> None:
    """Values from its lists and within its ranges pass, as does leaving them out."""
    params = {
        "checkpoint": "b.safetensors",
        "sampler": "heun",
        "scheduler": "karras",
        "lora": "warm.safetensors",
        "steps": 30,
        "cfg": 7,
        "aspect_ratio": "1:1",
        "negative_prompt": "",
    }
    await stocked.backend.check(Wanted(params=params))
    await stocked.backend.check(Wanted())


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        ("checkpoint", "c.safetensors", "one of b.safetensors, a.safetensors"),
        ("sampler", "eulr", "one of euler"),
        ("scheduler", "karas", "one of normal, karras"),
        ("lora", "cold.safetensors", "one of warm.safetensors"),
        ("steps", 20_000, "INT from 1 to 10000"),
        ("cfg", -1, "FLOAT from 0.0 to 100.0"),
        ("steps", "many", "an integer"),
    ],
)
async def test_what_it_has_not_is_named(
    stocked: Rig, param: str, value: Any, expected: str
) -> None:
    """The field of the request, the value, and the nearest that it has."""
    (detail,) = await wrong(stocked, params={param: value})
    assert detail["field"] == f"params.{param}"
    assert str(value) in str(detail["found"])
    if "safetensors" in expected and param == "checkpoint":
        assert set(str(detail["expected"])[7:].split(", ")) == {"a.safetensors", "b.safetensors"}
    else:
        assert str(detail["expected"]).startswith(expected)


async def test_several_are_told_together(stocked: Rig) -> None:
    """Two wrong values are two details."""
    details = await wrong(stocked, params={"sampler": "x", "steps": 0})
    assert [d["field"] for d in details] == ["params.sampler", "params.steps"]


async def test_what_a_workflow_does_not_take_is_named(stocked: Rig) -> None:
    """A parameter that goes nowhere is refused, with those that go somewhere."""
    (detail,) = await wrong(stocked, params={"frames": 8})
    assert detail["field"] == "params.frames" and "steps" in str(detail["expected"])


async def test_several_need_a_workflow_that_makes_several(stocked: Rig) -> None:
    """`n` above one is refused where a workflow has no input for it, or its node is not there."""
    (detail,) = await wrong(stocked, model="comfyui/animation", n=2)
    assert (detail["field"], detail["found"]) == ("n", "2")
    details = await wrong(stocked, model="comfyui/img2img", n=2)
    assert '"RepeatLatentBatch"' in [d["found"] for d in details]


async def test_a_backend_without_checkpoints_is_named(stocked: Rig) -> None:
    """Where there is no first checkpoint, none can be taken by default."""
    empty = {"input": {"required": {"ckpt_name": [[], {}]}}}
    stocked.double.object_info["CheckpointLoaderSimple"] = empty
    (detail,) = await wrong(stocked)
    assert detail["field"] == "params.checkpoint"


async def test_a_model_without_a_workflow_is_named(stocked: Rig) -> None:
    """A model that stands for no template can only be sent a graph."""
    (detail,) = await wrong(stocked, model="comfyui/none")
    assert detail["field"] == "model"


async def test_a_class_that_a_template_needs_is_named(stocked: Rig) -> None:
    """A backend without one of its nodes cannot run that model."""
    del stocked.double.object_info["VAEDecode"]
    (detail,) = await wrong(stocked)
    assert (detail["field"], detail["found"]) == ("model", '"VAEDecode"')


async def test_a_whole_graph_is_asked_about_class_by_class(stocked: Rig) -> None:
    """A node that is not installed is named with its place; the whole list is never asked for."""
    graph = GRAPH | {"5": {"class_type": "NoSuchNode", "inputs": {}}}
    (detail,) = await wrong(stocked, model="comfyui/workflow", params={"workflow": graph})
    assert detail["field"] == "params.workflow.5.class_type"
    assert detail["found"] == '"NoSuchNode"'
    asked = [a.path for a in stocked.double.asked]
    assert "/object_info" not in asked and "/object_info/NoSuchNode" in asked


async def test_a_whole_graph_has_its_values_checked(stocked: Rig) -> None:
    """Seeds, options and ranges of its nodes are held against what these take."""
    inputs = {"seed": -1, "sampler_name": "eulr", "steps": 4, "model": ["1", 0]}
    graph = GRAPH | {"3": {"class_type": "KSampler", "inputs": inputs}}
    details = await wrong(stocked, model="comfyui/workflow", params={"workflow": graph})
    assert [d["field"] for d in details] == [
        "params.workflow.3.inputs.seed",
        "params.workflow.3.inputs.sampler_name",
    ]
    assert details[0]["expected"] == "INT from 0 to 18446744073709551615"


async def test_an_upload_needs_no_list(stocked: Rig) -> None:
    """A picture that was just uploaded is on no list, and is the node's own business."""
    graph = GRAPH | {"1": {"class_type": "LoadImage", "inputs": {"image": "new.png"}}}
    await stocked.backend.check(Wanted(params={"workflow": graph}))


@pytest.mark.parametrize(
    ("graph", "field", "said"),
    [
        ({"nodes": [], "links": []}, "params.workflow", "export it as API format"),
        ({}, "params.workflow", "1 to 5000 nodes"),
        ({"1": {"inputs": {}}}, "params.workflow.1.class_type", "expected a class_type"),
    ],
)
async def test_a_graph_that_is_none_is_refused(
    stocked: Rig, graph: Any, field: str, said: str
) -> None:
    """The editor's own form gets a hint, and nothing is asked of the backend."""
    (detail,) = await wrong(stocked, params={"workflow": graph})
    assert detail["field"] == field and said in str(detail["expected"])
    assert stocked.double.asked == []


async def test_what_was_just_installed_is_found(rig: Rig) -> None:
    """Before anything is refused because of a kept list, the list is asked for anew."""
    now = 1000.0
    backend = ComfyBackend(
        "one", BackendSettings(url=rig.double.url), timings=QUICK, monotonic=lambda: now
    )
    rig.double.object_info = classes("list")
    async with backend.open():
        await backend.check(Wanted(params={"sampler": "heun"}))
        asked = len(rig.double.asked)
        await backend.check(Wanted(params={"sampler": "heun"}))
        assert len(rig.double.asked) == asked
        sampler = rig.double.object_info["KSampler"]["input"]["required"]
        sampler["sampler_name"] = [["euler", "new"], {}]
        with pytest.raises(Refused):
            await backend.check(Wanted(params={"sampler": "new"}))
        now += 10
        await backend.check(Wanted(params={"sampler": "new"}))
        assert await backend.options("KSampler", "sampler_name") == ["euler", "new"]


async def test_a_busy_one_refuses_nothing_that_it_had(stocked: Rig) -> None:
    """Once its lists are known, a backend that answers nobody takes what is on them, also when
    they have grown old; what is not on them is refused by them."""
    now = 1000.0
    settings = BackendSettings(url=stocked.double.url)
    backend = ComfyBackend("one", settings, timings=QUICK, monotonic=lambda: now)
    async with backend.open():
        await backend.checkpoints()
        asked = stocked.double.count("GET", "/object_info")
        await backend.check(Wanted(params={"sampler": "heun"}))
        assert stocked.double.count("GET", "/object_info") == asked, "it was warm before"
        stocked.double.faults["GET /object_info"].extend(["hang"] * 100)
        now += 1000
        await backend.check(Wanted(params={"sampler": "heun", "checkpoint": "b.safetensors"}))
        with pytest.raises(Refused) as refused:
            await backend.check(Wanted(params={"sampler": "none"}))
    assert refused.value.details[0]["field"] == "params.sampler"


async def test_lists_are_told_anew_when_it_comes_back(stocked: Rig) -> None:
    """A backend that was away may be another one: with its health its lists are asked for."""
    assert await stocked.backend.checkpoints() == ["a.safetensors", "b.safetensors"]
    declared = stocked.double.object_info["CheckpointLoaderSimple"]["input"]["required"]
    declared["ckpt_name"] = [["c.safetensors"], {}]
    await stocked.backend.health()
    assert await stocked.backend.checkpoints() == ["a.safetensors", "b.safetensors"]
    stocked.double.faults["GET /system_stats"].append("lose")
    with pytest.raises(Unreachable):
        await stocked.backend.health()
    await stocked.backend.health()
    assert await stocked.backend.checkpoints() == ["c.safetensors"]


@pytest.mark.parametrize("fault", ["lose", Answer(500), PAGE])
async def test_a_backend_that_cannot_be_asked_is_unreachable(rig: Rig, fault: Any) -> None:
    """Neither a refusal nor a yes comes of a backend that does not answer."""
    for act in (
        lambda: rig.backend.check(Wanted()),
        rig.backend.health,
        rig.backend.checkpoints,
    ):
        for route in ("GET /object_info", "GET /system_stats"):
            rig.double.faults[route].clear()
            rig.double.faults[route].append(fault)
        with pytest.raises(Unreachable):
            await act()


async def test_its_health_is_what_it_says(rig: Rig, double: ComfyDouble) -> None:
    """Version, devices, and everybody's prompts."""
    await rig.provider.start(rig.prediction())
    health = await rig.backend.health()
    assert (health.status, health.version) == ("up", "0.33.0")
    assert (health.queue_running, health.queue_pending) == (0, 1)
    assert health.devices == ({"name": "cpu"},)


@pytest.mark.parametrize("version", ["0.33.0", "0.3.64"])
def test_recorded_declarations_are_read(version: str) -> None:
    """Lists and ranges of both versions, as they were recorded."""
    info = recorded()["object_info"][version]
    assert choices_of(config_of(info["CheckpointLoaderSimple"], "ckpt_name")) == [
        "lab_tiny_random.safetensors"
    ]
    assert "euler" in (choices_of(config_of(info["KSampler"], "sampler_name")) or [])
    assert bounds_of(config_of(info["KSampler"], "steps")) == ("INT", 1, 10000)
    assert choices_of(config_of(info["KSampler"], "model")) is None


@pytest.mark.parametrize("config", [None, [], 5, ["COMBO"], ["COMBO", {"remote": {}}], [{}]])
def test_odd_declarations_say_nothing(config: Any) -> None:
    """A list that is filled elsewhere, or no list at all, refuses nothing."""
    assert choices_of(config) is None
    assert bounds_of(config) is None
