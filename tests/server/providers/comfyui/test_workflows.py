"""Workflow templates: what is filled in, what falls out, and what is refused at start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from safelight.configured import backends_of
from safelight.providers.comfyui import BadWorkflow, Workflows
from safelight.providers.comfyui.graph import BadGraph, is_link, read_graph
from safelight.providers.comfyui.workflows import read_template
from safelight.settings import Settings, SettingsError

GRAPH: dict[str, Any] = {
    "1": {"class_type": "Load", "inputs": {"name": "x"}},
    "2": {"class_type": "Tune", "inputs": {"model": ["1", 0], "by": "y"}},
    "3": {"class_type": "Paint", "inputs": {"model": ["2", 0], "seed": 0, "text": ""}},
}
INPUTS = {"prompt": ["3", "text"], "seed": [["3", "seed"], ["1", "name"]], "lora": ["2", "by"]}
WITHOUT = {"2": {"unless": ["lora"], "outputs": {"0": ["1", 0]}}}


def text(**fields: Any) -> bytes:
    """A template file."""
    known = {"graph": GRAPH, "inputs": INPUTS, "without": WITHOUT}
    return json.dumps(known | fields).encode()


def links(graph: dict[str, Any]) -> set[str]:
    """Every node that another one takes from."""
    values = [value for body in graph.values() for value in body["inputs"].values()]
    return {value[0] for value in values if is_link(value)}


def test_values_go_to_their_inputs() -> None:
    """A name may stand for several inputs; what is not named stays as it is in the file."""
    template = read_template("own", text(), "own.json")
    graph = template.fill({"prompt": "a fox", "seed": 7, "lora": "z"})
    assert graph["3"]["inputs"] == {"model": ["2", 0], "seed": 7, "text": "a fox"}
    assert (graph["1"]["inputs"]["name"], graph["2"]["inputs"]["by"]) == (7, "z")
    assert template.graph == GRAPH


def test_a_node_falls_out_without_its_value() -> None:
    """Who took from it takes from what it took from."""
    graph = read_template("own", text(), "own.json").fill({"prompt": "a fox"})
    assert set(graph) == {"1", "3"}
    assert graph["3"]["inputs"]["model"] == ["1", 0]


@pytest.mark.parametrize("name", ["txt2img", "img2img", "animation"])
def test_those_shipped_hold_together(name: str) -> None:
    """With everything given, and with as little as may be, no link leads nowhere."""
    template = next(t for t in Workflows.load() if t.name == name)
    full = template.fill({name: "x" for name in template.inputs})
    least = template.fill({"prompt": "x"})
    for graph in (full, least):
        assert links(graph) <= set(graph)
        read_graph(graph)
    assert set(least) < set(full)


def test_a_model_stands_for_its_workflow() -> None:
    """By the registry's word, else by the last part of its name."""
    workflows = Workflows.load(names={"house/portrait": "img2img"})
    assert workflows.of("comfyui/txt2img").name == "txt2img"
    assert workflows.of("house/portrait").name == "img2img"
    assert workflows.of("comfyui/workflow") is None


def test_the_operators_folder_adds_and_replaces(tmp_path: Path) -> None:
    """Files of the folder stand beside those shipped, and before one of equal name."""
    (tmp_path / "mine.json").write_bytes(text())
    (tmp_path / "txt2img.json").write_bytes(text(about="ours"))
    workflows = Workflows.load(str(tmp_path))
    assert {t.name for t in workflows} == {"txt2img", "img2img", "animation", "mine"}
    assert workflows.of("comfyui/txt2img").about == "ours"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (b"{", "truncated"),
        (text(inputs={"seed": ["3", "sed"]}), "node 3, input sed: there is no such input"),
        (text(inputs={"seed": ["7", "seed"]}), "node 7, input seed: there is no such node"),
        (text(inputs={"seed": ["3", "model"]}), "node 3, input model: it is linked to node 2"),
        (text(inputs={"seed": "3"}), "inputs"),
        (text(inputs={"seed": ["3"]}), "length"),
        (text(required=["image"]), "required: image"),
        (text(without={"9": {"unless": [], "outputs": {}}}), "node 9: there is no such node"),
        (text(without={"2": {"unless": [], "outputs": {}}}), "node 3, input model"),
        (text(without={"2": {"unless": [], "outputs": {"0": ["9", 0]}}}), "9 is no node"),
        (text(graph={"1": {"inputs": {}}}), "node 1: expected a class_type"),
        (text(graph={"1": {"class_type": "X"}}), "node 1: expected inputs"),
        (text(graph={"1": {"class_type": "X", "inputs": {"a": ["8", 0]}}}), "linked to 8"),
        (text(graph={}), "1 to 5000 nodes"),
        (text(graph={"nodes": [], "links": []}), "export it as API format"),
        (text(odd=1), "odd"),
        (json.dumps({"nodes": [], "links": []}).encode(), "export it as API format"),
        (json.dumps(GRAPH).encode(), "found a graph alone"),
        (b"[" * 10000, "own.json"),
    ],
)
def test_a_bad_file_is_named(broken: bytes, said: str) -> None:
    """What is wrong is told with file, node and input."""
    with pytest.raises(BadWorkflow) as bad:
        read_template("own", broken, "own.json")
    assert "own.json" in str(bad.value) and said in str(bad.value)


def test_a_bad_folder_is_a_bad_setting(tmp_path: Path) -> None:
    """The server refuses to start with it, and says which file."""
    with pytest.raises(SettingsError, match="expected a folder"):
        backends_of(Settings(workflows_dir=str(tmp_path / "nowhere")))
    (tmp_path / "mine.json").write_bytes(b"{}")
    with pytest.raises(SettingsError, match=r"mine\.json"):
        backends_of(Settings(workflows_dir=str(tmp_path)))


def test_a_model_with_an_unknown_workflow_is_refused() -> None:
    """A row that names a template that is not there is told of, with those that are."""
    with pytest.raises(BadWorkflow, match="house/x: found workflow none, expected one of"):
        Workflows.load(names={"house/x": "none"})


@pytest.mark.parametrize("given", [None, [], "x", 5, {"1": None}, {"1": {"class_type": 5}}])
def test_no_graph_is_no_graph(given: Any) -> None:
    """Whatever else is sent in place of a graph is refused, with where it is wrong."""
    with pytest.raises(BadGraph):
        read_graph(given)


@pytest.mark.parametrize("name", ["", ".", "..", "../queue", "a/./b", "x" * 201])
def test_a_class_that_is_no_name_is_refused(name: str) -> None:
    """The name of a class becomes a part of an address: one that would lead elsewhere, or is
    none, is refused where it stands."""
    with pytest.raises(BadGraph) as refused:
        read_graph({"4": {"class_type": name, "inputs": {}}})
    assert refused.value.field == "4.class_type"
