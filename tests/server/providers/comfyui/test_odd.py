"""What a server says that has not its form, and files of its that cannot be had: neither
becomes a defect of ours, nor hides what happened."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.base import Done, Found, Never
from safelight.providers.comfyui.client import Garbled
from safelight_protocol.codes import Refused
from tests.doubles.comfy import Answer, ComfyDouble
from tests.doubles.comfy_rig import FILE, Heard, Rig, end, rigged

SHAPES: list[Any] = [
    5,
    {},
    {"3": {}},
    {"3": 5},
    {"3": {"class_type": "KSampler"}},
    {"3": {"class_type": "KSampler", "inputs": 5}},
    {"3": {"class_type": "KSampler", "inputs": {"x": ["3", 0]}}},
    {"3": {"class_type": [], "inputs": {"x": [{}, 0]}}},
]
"""What stands where a graph is expected; one is a graph that leads to itself."""


class _Refusing(Heard):
    """Can have no file whose key ends with one of these words."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words
        self.tried: list[str] = []

    async def __call__(self, report: Any) -> None:
        if isinstance(report, Found):
            self.tried.append(report.key)
            if report.key.endswith(self.words):
                raise Refused("artifact_unavailable", "it is not there")
        await super().__call__(report)


def _files(*names: str) -> dict[str, Any]:
    return {"9": {"images": [{"filename": name, "type": "output"} for name in names]}}


async def test_a_lost_file_hides_no_failure(rig: Rig) -> None:
    """A node failed, and a file made before it cannot be had: the node's failure is told, and
    the other files are kept."""
    heard = rig.heard = _Refusing("bad.png")
    handle, following = await rig.start()
    rig.double.begin(handle)
    outputs = _files("bad.png", "good.png")
    rig.double.finish(handle, outputs, last="execution_error", exception_message="lab failure")
    outcome = await end(following)
    assert isinstance(outcome, Never) and outcome.code == "node_failed"
    assert [found.key for found in heard.of(Found)] == ["9/1/good.png"]


async def test_a_failure_does_not_wait_for_many_lost_files(rig: Rig) -> None:
    """After three files that cannot be had the rest is left, and the failure is told."""
    heard = rig.heard = _Refusing(".png")
    handle, following = await rig.start()
    outputs = _files(*(f"{number}.png" for number in range(20)))
    rig.double.finish(handle, outputs, last="execution_error", exception_message="lab failure")
    outcome = await end(following)
    assert isinstance(outcome, Never) and outcome.code == "node_failed"
    assert len(heard.tried) == 3


async def test_a_lost_file_of_a_success_is_told(rig: Rig) -> None:
    """A result that cannot be had is no success without it."""
    rig.heard = _Refusing("bad.png")
    handle, following = await rig.start()
    rig.double.finish(handle, _files("bad.png"))
    with pytest.raises(Refused):
        await end(following)


@pytest.mark.parametrize("graph", SHAPES)
async def test_no_shape_in_the_queue_is_a_defect(double: ComfyDouble, graph: Any) -> None:
    """After a restart of ours its graph is read from the queue, and need not be one."""
    async with rigged(double) as before:
        handle = await before.provider.start(before.prediction())
    double.pending[0]["prompt"] = graph
    async with rigged(double) as rig:
        following = rig.follow(rig.prediction(), handle)
        asked = double.count("GET", "/queue")
        await double.until(lambda: double.count("GET", "/queue") >= asked + 2)
        double.end(handle, outputs={"9": FILE})
        assert isinstance(await end(following), Done)


@pytest.mark.parametrize("graph", SHAPES)
async def test_no_shape_in_the_history_is_a_defect(double: ComfyDouble, graph: Any) -> None:
    """The same for the graph that the history keeps."""
    async with rigged(double) as before:
        handle = await before.provider.start(before.prediction())
    double.end(handle, outputs={"9": FILE})
    double.history[handle]["prompt"][2] = graph
    async with rigged(double) as rig:
        assert isinstance(await end(rig.follow(rig.prediction(), handle)), Done)
        assert [found.key for found in rig.heard.of(Found)] == ["9/0/a.png"]


@pytest.mark.parametrize("place", range(5))
async def test_a_queue_of_endless_depth_is_trouble(rig: Rig, place: int) -> None:
    """An answer that nests without end is none of a queue, wherever it nests."""
    deep, item = b"[" * 200_000 + b"]" * 200_000, [b"1", b'"p"', b"{}", b"{}", b"[]"]
    item[place] = deep
    body = b'{"queue_running": [[%s]], "queue_pending": []}' % b",".join(item)
    rig.double.faults["GET /queue"].append(Answer(200, body))
    with pytest.raises(Garbled):
        await rig.backend.client.queue()
