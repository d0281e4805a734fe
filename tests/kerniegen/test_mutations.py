"""Broken graphs that nobody recorded get the error type that is documented for their fault.

Each mutation breaks a good graph in one place; Hypothesis draws the place and the value.
The same holds for any server that COMFYUI_URL names.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doubles.kernie import kerniegen
from tests.kerniegen.graphs import Graph, txt2img

REAL = os.environ.get("COMFYUI_URL", "").rstrip("/")
VERSIONS = ("0.33", "0.3.64")
Broken = tuple[Any, str, str | None]
"""The graph, the type of error, and the node that it is filed under; None for the whole."""

LINKS = [
    ("3", "model"),
    ("3", "positive"),
    ("3", "latent_image"),
    ("6", "clip"),
    ("8", "samples"),
    ("8", "vae"),
    ("9", "images"),
]
WIDGETS = [("3", "seed"), ("3", "steps"), ("3", "cfg"), ("5", "width"), ("9", "filename_prefix")]
NUMBERS = {"seed": (0, 2**64 - 1), "steps": (1, 10000), "cfg": (0.0, 100.0), "denoise": (0.0, 1.0)}
OPTIONS = [("4", "ckpt_name"), ("3", "sampler_name"), ("3", "scheduler")]
OTHER_TYPE = {"model": ["4", 1], "positive": ["4", 0], "latent_image": ["6", 0], "clip": ["4", 0]}
OTHER_TYPE |= {"samples": ["4", 2], "vae": ["4", 1], "images": ["3", 0]}
VALIDATION = "prompt_outputs_failed_validation"


def good() -> Graph:
    """A graph that every server with a checkpoint takes."""
    return copy.deepcopy(GOOD)


GOOD = txt2img()


@st.composite
def dropped(draw: st.DrawFn) -> Broken:
    """A required input is not there, be it a link or a value."""
    node_id, name = draw(st.sampled_from(LINKS + WIDGETS + OPTIONS))
    graph = good()
    del graph[node_id]["inputs"][name]
    return graph, "required_input_missing", node_id


@st.composite
def wrong_link_type(draw: st.DrawFn) -> Broken:
    """A link to an output of another type."""
    node_id, name = draw(st.sampled_from(LINKS))
    graph = good()
    graph[node_id]["inputs"][name] = list(OTHER_TYPE[name])
    return graph, "return_type_mismatch", node_id


@st.composite
def bad_link(draw: st.DrawFn) -> Broken:
    """A list that is no link: too short or too long."""
    node_id, name = draw(st.sampled_from(LINKS))
    graph = good()
    graph[node_id]["inputs"][name] = draw(st.sampled_from([[], ["4"], ["4", 0, 0], [0] * 5]))
    return graph, "bad_linked_input", node_id


@st.composite
def out_of_range(draw: st.DrawFn) -> Broken:
    """A number just or far below its least or above its greatest."""
    name = draw(st.sampled_from(sorted(NUMBERS)))
    least, most = NUMBERS[name]
    by = draw(st.integers(1, 10**6))
    below = draw(st.booleans())
    graph = good()
    graph["3"]["inputs"][name] = least - by if below else most + by
    return graph, "value_smaller_than_min" if below else "value_bigger_than_max", "3"


@st.composite
def no_number(draw: st.DrawFn) -> Broken:
    """A text or nothing where a number is wanted."""
    name = draw(st.sampled_from(sorted(NUMBERS)))
    graph = good()
    graph["3"]["inputs"][name] = draw(st.sampled_from(["abc", "", "1,5", "0x10", None, {}]))
    return graph, "invalid_input_type", "3"


@st.composite
def unknown_option(draw: st.DrawFn) -> Broken:
    """A value that the list has not."""
    node_id, name = draw(st.sampled_from(OPTIONS))
    graph = good()
    graph[node_id]["inputs"][name] = draw(st.text(min_size=1).map(lambda text: f"no {text}"))
    return graph, "value_not_in_list", node_id


@st.composite
def link_to_nowhere(draw: st.DrawFn) -> Broken:
    """A link to a node or an output that is not there: filed under the node that has it, seen
    from the one behind it, or under the output itself."""
    node_id, name = draw(st.sampled_from(LINKS))
    graph = good()
    graph[node_id]["inputs"][name] = draw(st.sampled_from([["77", 0], ["4", 9]]))
    kind = "exception_during_inner_validation"
    return graph, "exception_during_validation" if node_id == "9" else kind, node_id


@st.composite
def unknown_class(draw: st.DrawFn) -> Broken:
    """A node of a class that is not installed."""
    graph = good()
    graph[draw(st.sampled_from(sorted(graph)))]["class_type"] = "Nobody" + draw(st.text("xyz"))
    return graph, "missing_node_type", None


@st.composite
def no_class(draw: st.DrawFn) -> Broken:
    """A node without a class."""
    graph = good()
    del graph[draw(st.sampled_from(sorted(graph)))]["class_type"]
    return graph, "missing_node_type", None


@st.composite
def no_output(draw: st.DrawFn) -> Broken:
    """A graph that shows nothing."""
    graph = {n: each for n, each in good().items() if n in draw(st.sets(st.sampled_from("45678")))}
    return graph, "prompt_no_outputs", None


@st.composite
def cycle(draw: st.DrawFn) -> Broken:
    """Pictures that are each other's source."""
    count = draw(st.integers(1, 6))
    graph = good()
    for number in range(count):
        inputs: dict[str, Any] = {
            "image": [f"c{(number + 1) % count}", 0],
            "upscale_method": "bilinear",
        }
        inputs |= {"width": 8, "height": 8, "crop": "disabled"}
        graph[f"c{number}"] = {"class_type": "ImageScale", "inputs": inputs}
    graph["9"]["inputs"]["images"] = ["c0", 0]
    return graph, "dependency_cycle", f"c{draw(st.integers(0, count - 1))}"


@st.composite
def absent_file(draw: st.DrawFn) -> Broken:
    """A picture that nobody uploaded."""
    graph = good()
    name = draw(st.from_regex(r"[a-z]{1,12}\.png( \[(input|output|temp)\])?", fullmatch=True))
    graph["5"] = {"class_type": "LoadImage", "inputs": {"image": name}}
    graph["9"]["inputs"]["images"] = ["5", 0]
    return graph, "custom_validation_failed", "5"


MUTATIONS: list[Callable[[], st.SearchStrategy[Broken]]] = [
    dropped,
    wrong_link_type,
    bad_link,
    out_of_range,
    no_number,
    unknown_option,
    link_to_nowhere,
    unknown_class,
    no_class,
    no_output,
    cycle,
    absent_file,
]


class Target:
    """The server that is asked, and which of the two releases it is."""

    def __init__(self, url: str) -> None:
        self.client = httpx2.Client(base_url=url, timeout=30)
        stats = self.client.get("/system_stats").json()
        self.modern = not stats["system"]["comfyui_version"].startswith("0.3.")
        info = self.client.get("/object_info/CheckpointLoaderSimple").json()
        names = info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0]
        GOOD["4"]["inputs"]["ckpt_name"] = names[0]

    def close(self) -> None:
        """Ask no more."""
        self.client.close()

    def refuses(self, broken: Broken) -> None:
        """The answer is 400 with the documented type, in the documented place."""
        graph, kind, node_id = broken
        answer = self.client.post("/prompt", json={"prompt": graph})
        assert answer.status_code == 400, answer.text
        body = answer.json()
        assert set(body) == {"error", "node_errors"}
        assert set(body["error"]) == {"type", "message", "details", "extra_info"}
        if node_id is None:
            older = {"missing_node_type": "invalid_prompt"}
            assert body["error"]["type"] == (kind if self.modern else older.get(kind, kind))
            assert body["node_errors"] == {}
            return
        assert body["error"]["type"] == VALIDATION
        if kind == "dependency_cycle" and not self.modern:
            assert body["node_errors"] == {}
            return
        filed = body["node_errors"][node_id]
        assert kind in [error["type"] for error in filed["errors"]]
        assert filed["dependent_outputs"] == ["9"]
        assert filed["class_type"] == graph[node_id]["class_type"]


@pytest.fixture(scope="module", params=[REAL] if REAL else VERSIONS)
def target(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Target]:
    """A KernieGen of each release, or somebody's own server."""
    if REAL:
        with closing(Target(REAL)) as found:
            yield found
        return
    with kerniegen(tmp_path_factory.mktemp("mutations") / "kernie", version=request.param) as one:
        with closing(Target(one.url)) as found:
            yield found


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.__name__)
def test_a_broken_graph_is_refused_by_its_type(
    target: Target, mutation: Callable[[], st.SearchStrategy[Broken]]
) -> None:
    """Whatever place is broken, the error has its documented type and names its node."""

    @settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(mutation())
    def holds(broken: Broken) -> None:
        target.refuses(broken)

    holds()


@pytest.mark.parametrize(
    "prompt",
    [
        {"last_node_id": 9, "nodes": [{"id": 1, "type": "KSampler"}], "links": [], "version": 0.4},
        {"version": 1, "nodes": []},
        [1],
        "graph",
        7,
        None,
    ],
)
def test_what_is_no_graph_of_nodes_is_a_500(target: Target, prompt: object) -> None:
    """A workflow in the editor's format, and whatever has no nodes, ends in the server's error."""
    answer = target.client.post("/prompt", json={"prompt": prompt})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_good_graph_itself_is_taken(target: Target) -> None:
    """Unbroken, the graph is accepted: what is refused above is refused for its fault."""
    answer = target.client.post("/prompt", json={"prompt": good()})
    assert (answer.status_code, answer.json()["node_errors"]) == (200, {})


def test_text_that_is_a_number_is_converted(target: Target) -> None:
    """A number as text is taken for the number."""
    graph = good()
    graph["3"]["inputs"]["steps"] = "2"
    assert target.client.post("/prompt", json={"prompt": graph}).status_code == 200
