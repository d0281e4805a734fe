"""How far a prompt is: weights, what is done, and one number that never falls."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.comfyui.messages import Bar, NodeState
from safelight.providers.comfyui.progress import Course, weight_of


def node(name: str, **inputs: Any) -> dict[str, Any]:
    """A node of a graph."""
    return {"class_type": name, "inputs": inputs}


GRAPH = {
    "1": node("LoadImage", image="a.png"),
    "3": node("KSampler", image=["1", 0], steps=8),
    "9": node("SaveImage", images=["3", 0]),
}


@pytest.mark.parametrize(
    ("graph", "weight"),
    [
        ({"3": node("KSampler", steps=30)}, 30),
        ({"3": node("KSamplerAdvanced", steps=30, start_at_step=10, end_at_step=10000)}, 20),
        ({"3": node("KSamplerAdvanced", steps=30, start_at_step=0, end_at_step=12)}, 12),
        ({"3": node("SamplerCustom", sigmas=["4", 0]), "4": node("BasicScheduler", steps=9)}, 9),
        ({"3": node("SomeSampler")}, 20),
        ({"3": node("KSampler", steps=["4", 0]), "4": node("Number", steps=6)}, 6),
        ({"3": node("KSamplerSelect", sampler_name="euler")}, 1),
        ({"3": node("BasicScheduler", steps=9)}, 1),
        ({"3": node("VAEDecode")}, 1),
        ({"3": node("KSampler", steps=True)}, 20),
        ({"3": node("KSampler", steps=10**9)}, 10_000),
    ],
)
def test_a_sampler_weighs_its_steps(graph: dict[str, Any], weight: float) -> None:
    """Wherever the steps of a sampler stand, and less those that it leaves out."""
    assert weight_of(graph, "3") == weight


def test_a_bar_counts_by_weight() -> None:
    """Half of a sampler of eight steps is four of ten, and with what came before five."""
    course = Course(GRAPH)
    course.at("1")
    course.at("3")
    course.bar(Bar("P", 4, 8, "3"))
    assert course.fraction == pytest.approx(0.5)
    assert (course.step, course.steps) == (4, 8)


def test_what_is_cached_is_done() -> None:
    """Nodes that need not run count at once; all of them are the whole."""
    course = Course(GRAPH)
    course.cached(["1"])
    assert course.fraction == pytest.approx(0.1)
    course.cached(["1", "3", "9"])
    assert course.fraction == 1.0


def test_states_tell_all_at_once() -> None:
    """A message that was missed is made up for by the next."""
    course = Course(GRAPH)
    course.states({"1": NodeState(1, 1, "finished"), "3": NodeState(2, 8, "running")})
    assert course.fraction == pytest.approx(0.3)
    assert course.message == "KSampler"


def test_nodes_that_run_side_by_side_are_not_done() -> None:
    """Two that run at once count for what each has done; the one told last is shown."""
    graph = {"1": node("Ask"), "2": node("Ask"), "9": node("Join", a=["1", 0], b=["2", 0])}
    course = Course(graph)
    for _ in range(3):
        course.states({"1": NodeState(0, 1, "running"), "2": NodeState(0, 1, "running")})
        course.at("1")
        course.at("2")
    assert course.fraction == 0
    course.states({"1": NodeState(1, 1, "finished"), "2": NodeState(1, 2, "running")})
    assert course.fraction == pytest.approx(0.5)


def test_an_expanded_node_stands_for_what_it_became() -> None:
    """Nodes that are not in the graph count for the one that they are shown as."""
    course = Course(GRAPH)
    course.states({"3.0.0.1": NodeState(1, 2, "running", display_node_id="3")})
    assert course.node == "3" and course.fraction == pytest.approx(0.4)
    course.states({"3.0.0.1": NodeState(1, 1, "finished", display_node_id="3")})
    assert course.fraction == pytest.approx(0.4)


def test_it_never_falls() -> None:
    """Neither by a bar that begins anew, nor by a node that comes again."""
    course = Course(GRAPH)
    told = []
    for value in (1, 8, 2, 1):
        course.bar(Bar("P", value, 8, "3"))
        told.append(course.fraction or 0.0)
    assert told == sorted(told)


def test_only_what_leads_to_an_output_counts() -> None:
    """Nodes that nobody needs are not waited for."""
    graph = GRAPH | {"7": node("KSampler", steps=100)}
    course = Course(graph, ["9"])
    course.at("1")
    course.at("3")
    assert course.fraction == pytest.approx(0.1)


def test_without_a_graph_nothing_is_known() -> None:
    """Until the graph is known there is no number, and then one of what was heard."""
    course = Course()
    course.cached(["1"])
    course.bar(Bar("P", 1, 8, "3"))
    assert course.fraction is None
    course.know(GRAPH)
    course.bar(Bar("P", 4, 8, "3"))
    assert course.fraction == pytest.approx(0.5)


@pytest.mark.parametrize("bar", [(1, 0), (-1, 4), (float("inf"), 4), (1, float("inf")), (9, 4)])
def test_odd_numbers_are_survived(bar: tuple[float, float]) -> None:
    """No bar leads out of 0 to 1."""
    course = Course(GRAPH)
    course.bar(Bar("P", *bar, node="3"))
    assert course.fraction is None or 0 <= course.fraction <= 1


def test_a_circle_is_no_trap() -> None:
    """A graph that goes in a circle is counted all the same; the server refuses it."""
    graph = {"1": node("A", x=["2", 0]), "2": node("A", x=["1", 0])}
    assert Course(graph).fraction is None


def test_a_title_is_what_people_read() -> None:
    """A node is called by its title, else by its class."""
    graph = {"3": node("KSampler", steps=4) | {"_meta": {"title": "Paint"}}}
    course = Course(graph)
    course.at("3")
    assert course.message == "Paint"
    course.says("3", " halfway \n")
    assert course.message == "Paint: halfway"
    course.says("4", "elsewhere")
    assert course.message == "Paint: halfway"


class _Inputs(dict[str, Any]):
    """Inputs that count how many of them were looked at."""

    looked = 0

    def values(self) -> Any:
        for value in super().values():
            _Inputs.looked += 1
            yield value


def test_a_thicket_of_links_is_looked_at_a_little() -> None:
    """Where every sampler takes from every other, few links are followed for each."""
    names = [str(number) for number in range(60)]
    graph = {name: node("KSampler") for name in names}
    for name in names:
        graph[name]["inputs"] = _Inputs({f"x{other}": [other, 0] for other in names})
    _Inputs.looked = 0
    assert weight_of(graph, "0") == 20.0
    assert _Inputs.looked <= 130
