"""In which order nodes run, and whether a result from before may stand for a node.

The order is the real one's: nodes whose inputs are ready, an output first, then what an
output waits for, then what is two links away from one, then as they were found. Results
are known by class, inputs and everything behind them, not by node id, and only those of
the last prompt are kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .values import Graph, Made, NodeClass


def is_link(value: object) -> bool:
    """Whether an input names another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


class Memory:
    """Results of the last prompt, by signature."""

    def __init__(self) -> None:
        self._kept: dict[str, Made] = {}

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def turn_to(self, signatures: Mapping[str, str]) -> None:
        """A new prompt: forget what it has no use for."""
        wanted = set(signatures.values())
        self._kept = {key: made for key, made in self._kept.items() if key in wanted}

    def get(self, signature: str) -> Made | None:
        """The result, if there is one."""
        return self._kept.get(signature)

    def keep(self, signature: str, made: Made) -> None:
        """Remember a result."""
        self._kept[signature] = made


def signatures(graph: Graph, catalog: Mapping[str, NodeClass]) -> dict[str, str]:
    """One per node that takes part; equal ones have equal results."""
    known: dict[str, str] = {}
    for node_id in graph:
        _sign(node_id, graph, catalog, known)
    return known


def _sign(
    node_id: str, graph: Graph, catalog: Mapping[str, NodeClass], known: dict[str, str]
) -> str:
    if node_id in known:
        return known[node_id]
    known[node_id] = "cycle"
    node = graph[node_id]
    given: dict[str, Any] = node.get("inputs", {})
    told: list[Any] = [node["class_type"], _changed(catalog[node["class_type"]], given)]
    for name in sorted(given):
        value = given[name]
        if is_link(value) and value[0] in graph:
            value = [_sign(value[0], graph, catalog, known), value[1]]
        told.append([name, value])
    text = json.dumps(told, sort_keys=True, default=str)
    known[node_id] = hashlib.sha256(text.encode()).hexdigest()
    return known[node_id]


def _changed(known: NodeClass, given: dict[str, Any]) -> object:
    if known.changed is None:
        return None
    try:
        wanted = {name: given[name] for name in known.checked}
        return known.changed(**wanted)
    except (KeyError, OSError):
        return None


class Plan:
    """What is left to run of one prompt."""

    def __init__(
        self, graph: Graph, outputs: list[str], catalog: Mapping[str, NodeClass], done: set[str]
    ) -> None:
        self._graph = graph
        self._catalog = catalog
        self._left: dict[str, set[str]] = {}
        """Node to the nodes that it waits for, in the order of finding."""
        for output in outputs:
            self._add(output, done)

    def _add(self, output: str, done: set[str]) -> None:
        found = [output]
        while found:
            node_id = found.pop()
            if node_id in self._left:
                continue
            given = self._graph[node_id]["inputs"].values()
            needs = [value[0] for value in given if is_link(value) and value[0] in self._graph]
            waiting = [each for each in needs if each not in done]
            self._left[node_id] = set() if node_id in done else set(waiting)
            if node_id not in done:
                found += waiting

    def pick(self) -> str | None:
        """The next node; None when nothing is left."""
        ready = [node_id for node_id, needs in self._left.items() if not needs]
        if not ready:
            return None
        return min(ready, key=self._rank)

    def finish(self, node_id: str) -> None:
        """A node has run."""
        del self._left[node_id]
        for needs in self._left.values():
            needs.discard(node_id)

    def _rank(self, node_id: str) -> int:
        if self._shows(node_id):
            return 0
        after = self._after(node_id)
        if any(self._shows(each) for each in after):
            return 1
        beyond = [other for each in after for other in self._after(each)]
        return 2 if any(self._shows(each) for each in beyond) else 3

    def _after(self, node_id: str) -> list[str]:
        return [other for other, needs in self._left.items() if node_id in needs]

    def _shows(self, node_id: str) -> bool:
        return self._catalog[self._graph[node_id]["class_type"]].is_output
