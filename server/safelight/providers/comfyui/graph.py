"""A graph in API form, read: its nodes, its links, what leads to its outputs.

Pure. Takes graphs from callers, from templates and from the history of a server, so
nothing of their form is believed before `read_graph` has seen it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Graph = dict[str, dict[str, Any]]
"""By node id: `class_type`, `inputs`, and `_meta` where there is one."""

MAX_NODES = 5000
MAX_CLASS_CHARACTERS = 200
ROLLED_OUT = "SaveImageWebsocket"
"""The class whose pictures come over the socket and are kept nowhere."""

DOTS = frozenset({".", ".."})
"""No part of a class's name is one of these: it becomes a part of an address."""

EDITOR_HINT = (
    "this is the form of the editor; export it as API format (in ComfyUI: Workflow, Export (API))"
)


class BadGraph(Exception):
    """What was given is no graph in API form; the message says where and why, `field` is
    the place in it, and `found` what was there."""

    def __init__(self, message: str, field: str = "", found: Any = None) -> None:
        super().__init__(message)
        self.field = field
        self.found = found


def read_graph(given: Any) -> Graph:
    """The graph, whole. Raises BadGraph."""
    if not isinstance(given, dict):
        raise BadGraph("expected a graph: an object of nodes by id", "", given)
    if isinstance(given.get("nodes"), list):
        raise BadGraph(EDITOR_HINT, "", "nodes and links")
    if not 1 <= len(given) <= MAX_NODES:
        raise BadGraph(f"expected 1 to {MAX_NODES} nodes", "", len(given))
    for node, body in given.items():
        _check_node(node, body)
    for node, body in given.items():
        for name, value in body["inputs"].items():
            if is_link(value) and value[0] not in given:
                field = f"{node}.inputs.{name}"
                raise BadGraph(
                    f"node {node}: {name} is linked to {value[0]}, which is not there", field, value
                )
    return given


def _check_node(node: str, body: Any) -> None:
    if not isinstance(body, dict) or not isinstance(body.get("class_type"), str):
        raise BadGraph(f"node {node}: expected a class_type", f"{node}.class_type", body)
    name = body["class_type"]
    if not 0 < len(name) <= MAX_CLASS_CHARACTERS or not DOTS.isdisjoint(name.split("/")):
        wanted = f"the name of a node class, 1 to {MAX_CLASS_CHARACTERS} characters"
        raise BadGraph(f"node {node}: expected {wanted}", f"{node}.class_type", name)
    if not isinstance(body.get("inputs"), dict):
        raise BadGraph(f"node {node}: expected inputs, an object", f"{node}.inputs", body)


def is_link(value: Any) -> bool:
    """Whether an input is the output of another node, `[node, index]`."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
    )


def sources_of(graph: Graph, node: str) -> Iterator[str]:
    """The nodes that this one takes from, one for each input."""
    for value in graph[node]["inputs"].values():
        if is_link(value) and value[0] in graph:
            yield value[0]


def links_of(graph: Graph, node: str) -> list[str]:
    """The nodes that this one takes from."""
    return list(sources_of(graph, node))


def sinks(graph: Graph) -> list[str]:
    """The nodes that nobody takes from: what is made comes out there."""
    taken = {source for node in graph for source in links_of(graph, node)}
    return [node for node in graph if node not in taken]


def reachable(graph: Graph, outputs: list[str]) -> set[str]:
    """The nodes that have to run for these outputs, themselves among them."""
    found: set[str] = set()
    waiting = [node for node in outputs if node in graph]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += links_of(graph, node)
    return found


def class_of(graph: Graph, node: str) -> str:
    """The class of a node; nothing where the graph is not known."""
    return str(graph[node]["class_type"]) if node in graph else ""


def title_of(graph: Graph, node: str) -> str | None:
    """What a person calls the node: its title, else its class."""
    if node not in graph:
        return None
    meta = graph[node].get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return title[:200] if isinstance(title, str) and title else class_of(graph, node)[:200]
