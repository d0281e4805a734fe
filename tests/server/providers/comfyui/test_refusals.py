"""Refusals and failures as real servers told them, and what of that is told on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from safelight.providers.base import Never
from safelight.providers.comfyui.refusals import (
    first_line,
    near,
    of_body,
    of_failure,
    of_node_errors,
)
from tests.doubles.comfy import recorded

CASES = {
    (version, case["case"]): case
    for version, cases in recorded()["refusals"].items()
    for case in cases
    if case["status"] == 400
}
BOTH = ("0.33.0", "0.3.64")
TOLD: dict[str, tuple[str, str]] = {
    "unknown checkpoint": (
        "model_not_found",
        'node 4 (CheckpointLoaderSimple): ckpt_name: found "nope.safetensors", not in its list,'
        " nearest lab_tiny_random.safetensors",
    ),
    "unknown sampler (long list)": (
        "invalid",
        'node 3 (KSampler): sampler_name: found "nope", not in its list',
    ),
    "seed -1": (
        "invalid",
        "node 3 (KSampler): seed: found -1, expected 0 to 18446744073709551615",
    ),
    "seed 2**64": (
        "invalid",
        "node 3 (KSampler): seed: found 18446744073709551616, expected 0 to 18446744073709551615",
    ),
    "steps 20000 (max 10000)": (
        "invalid",
        "node 3 (KSampler): steps: found 20000, expected 1 to 10000",
    ),
    "steps as text": (
        "invalid",
        'node 3 (KSampler): steps: Failed to convert an input value to a INT value, found "abc"',
    ),
    "missing required input": (
        "invalid",
        "node 3 (KSampler): positive: Required input is missing",
    ),
    "bad link (3 items)": (
        "invalid",
        "node 3 (KSampler): model: Bad linked input, must be a length-2 list of"
        ' [node_id, slot_index], found ["4",0,1]',
    ),
    "LoadImage of a missing file": (
        "invalid",
        "node 20 (LoadImage): image - Invalid image file: missing.png",
    ),
    "no output node": ("invalid", "Prompt has no outputs"),
    "no prompt key": ("invalid", "No prompt provided"),
}


def told(version: str, case: str) -> Never:
    """What is told of a recorded refusal."""
    found = CASES[version, case]
    return of_body(json.dumps(found["body"]).encode(), found["graph"] or {})


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("case", TOLD)
def test_a_refusal_names_node_input_and_value(version: str, case: str) -> None:
    """Every refusal of both versions is told with what was found and what is expected."""
    code, message = TOLD[case]
    assert told(version, case) == Never(code, message)


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("case", ["unknown node class", "no class_type"])
def test_a_missing_node_is_told_alike(version: str, case: str) -> None:
    """The words of both versions for a class that is not installed have one code."""
    outcome = told(version, case)
    named = "no class_type" if case == "no class_type" else "NoSuchNode"
    if case == "unknown node class":
        assert outcome.code == "missing_node" and named in outcome.message
    assert "3" in outcome.message


def test_several_problems_are_told_together() -> None:
    """Two nodes with errors are both named, and a missing model gives the code."""
    outcome = told("0.33.0", "two errors in two nodes")
    assert outcome.code == "model_not_found"
    assert "node 4" in outcome.message and "node 3" in outcome.message


@pytest.mark.parametrize(("version", "case"), CASES)
def test_nothing_private_is_told(version: str, case: str) -> None:
    """No refusal carries a traceback, a path of the server, or more than a few lines."""
    outcome = told(version, case)
    assert outcome.code in ("invalid", "model_not_found", "missing_node")
    assert "execution.py" not in outcome.message and "Traceback" not in outcome.message
    assert "\n" not in outcome.message and 0 < len(outcome.message) < 1500


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"no"', b'{"error": "bad"}', b"<html>"])
def test_a_refusal_that_cannot_be_read_is_a_refusal(body: bytes) -> None:
    """Whatever the body, a refusal is told as one."""
    outcome = of_body(body, {})
    assert outcome.code == "invalid" and outcome.message


def test_nothing_readable_among_node_errors_is_none() -> None:
    """Empty or broken node errors say nothing."""
    for given in ({}, [], None, {"3": 5}, {"3": {"errors": []}}):
        assert of_node_errors(given, {}) is None


def failure(**fields: Any) -> tuple[Never, list[str]]:
    """What is made of a node's failure."""
    known = {"node_id": "2", "node_type": "VAEDecode", "exception_type": "ValueError"}
    return of_failure(known | fields)


def test_a_failure_is_told_by_its_first_line() -> None:
    """Node, class and first line; the traceback goes elsewhere, the inputs nowhere."""
    outcome, trace = failure(
        exception_message="shapes do not match\nsecond line",
        traceback=["File x.py"],
        current_inputs={"text": ["a private prompt"]},
    )
    assert outcome == Never("node_failed", "node 2 (VAEDecode): shapes do not match")
    assert trace == ["File x.py"]
    assert "private" not in msgspec.json.encode([outcome, trace]).decode()


def test_folders_of_the_server_are_left_out() -> None:
    """A path is told without its folders, on every system; a URL is no path."""
    said = "No such file: '/home/bob/ComfyUI/models/a.bin' or C:\\ai\\models\\b.bin"
    assert first_line(said) == "No such file: '…/a.bin' or …/b.bin"
    assert first_line("see https://example.org/a/b") == "see https://example.org/a/b"


@pytest.mark.parametrize(
    ("type", "message"),
    [
        ("torch.OutOfMemoryError", "x"),
        ("torch.cuda.OutOfMemoryError", ""),
        ("RuntimeError", "x\nThis error means you ran out of memory on your GPU."),
    ],
)
def test_memory_has_a_code_of_its_own(type: str, message: str) -> None:
    """In whatever shape the server says it, that memory ran out is told as that."""
    assert failure(exception_type=type, exception_message=message)[0].code == "out_of_memory"


def test_a_circle_is_the_graphs_fault() -> None:
    """An older server finds circles only when it runs them."""
    outcome, _ = failure(exception_type="comfy_execution.graph.DependencyCycleError")
    assert outcome.code == "invalid"


def test_a_failure_that_cannot_be_read_is_a_failure() -> None:
    """Nothing readable is told as a node's failure all the same."""
    for data in (None, [], {"traceback": 5}):
        assert of_failure(data)[0].code == "node_failed"


class _Option(str):
    """An option that counts how often it is compared letter by letter."""

    __slots__ = ()
    compared = 0

    def __iter__(self) -> Iterator[str]:
        _Option.compared += 1
        return super().__iter__()


def test_what_is_near_is_found_among_many() -> None:
    """Of thousands of options those that begin alike or share a word are compared, few at most;
    where none does, the first are told."""
    options: list[str] = [_Option(f"detail-{number}.safetensors") for number in range(4000)]
    options.append("watercolour_v2.safetensors")
    assert near("watercolor_v2", options) == ["watercolour_v2.safetensors"]
    assert near("zz", options)[0] == "detail-0.safetensors"
    _Option.compared = 0
    assert near("detale-7.safetensors", options)
    assert _Option.compared <= 50


@pytest.mark.parametrize("wrong", [1, 3, 4, 500])
def test_of_many_problems_the_first_are_told_and_the_rest_counted(wrong: int) -> None:
    """However much is wrong, the message stays short."""
    problem = {"type": "required_input_missing", "message": "m", "details": "d", "extra_info": {}}
    told = of_node_errors({"1": {"errors": [problem] * wrong, "class_type": "Save"}}, {})
    assert told is not None
    assert told.message.count("node 1 (Save)") == min(wrong, 3)
    assert told.message.endswith(f" (and {wrong - 3} more)") == (wrong > 3)
