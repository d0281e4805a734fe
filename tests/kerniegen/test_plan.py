"""The order in which nodes run, where the recordings do not show it."""

from __future__ import annotations

from typing import Any

from safelight.kerniegen.plan import Plan
from safelight.kerniegen.values import Made, NodeClass
from tests.kerniegen.graphs import node


def known(name: str, is_output: bool = False) -> NodeClass:
    """A class that is only looked at."""
    return NodeClass(name=name, run=lambda run: Made(), inputs=dict, is_output=is_output)


CATALOG = {"Work": known("Work"), "Show": known("Show", is_output=True)}


def order(graph: dict[str, Any], outputs: list[str], done: set[str] | None = None) -> list[str]:
    """All nodes, as they are picked."""
    plan = Plan(graph, outputs, CATALOG, done or set())
    picked = []
    while (node_id := plan.pick()) is not None:
        plan.finish(node_id)
        picked.append(node_id)
    return picked


def test_an_output_that_is_ready_goes_first() -> None:
    """What can be shown is shown before anything else is begun."""
    graph = {
        "a": node("Work"),
        "b": node("Work", x=["a", 0]),
        "far": node("Show", x=["b", 0]),
        "near": node("Show", x=["a", 0]),
    }
    assert order(graph, ["far", "near"]) == ["a", "near", "b", "far"]


def test_what_is_two_links_from_an_output_goes_before_what_is_further() -> None:
    """A loader whose user is shown goes before one that has a longer way, though found later."""
    graph = {
        "far": node("Work"),
        "mid": node("Work", x=["far", 0]),
        "use": node("Work", x=["near", 0], y=["mid", 0]),
        "end": node("Work", x=["use", 0]),
        "show": node("Show", x=["end", 0]),
        "near": node("Work"),
        "user": node("Work", x=["near", 0]),
        "other": node("Show", x=["user", 0]),
    }
    assert order(graph, ["other", "show"])[:3] == ["near", "user", "other"]
    assert order(graph, ["show", "other"])[:3] == ["near", "user", "other"]


def test_what_is_done_is_not_run_again_unless_it_is_shown() -> None:
    """Behind a result that is known nothing runs; an output that is known is told."""
    graph = {"a": node("Work"), "b": node("Work", x=["a", 0]), "show": node("Show", x=["b", 0])}
    assert order(graph, ["show"], {"a", "b"}) == ["show"]
    assert order(graph, ["show"], {"a", "b", "show"}) == ["show"]
