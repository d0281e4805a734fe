"""How far a prompt is: one number out of what its nodes say one by one.

A server tells only the bar of the node it is at. A sampler of 20 steps counts 20, any
other node 1: that is what people wait for. What need not run (cached) counts as done. The
number never falls, also when two samplers each begin at their own 1, and messages may be
skipped: nothing is counted, all is read. Pure.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from .graph import Graph, class_of, reachable, sinks, sources_of, title_of
from .messages import Bar, NodeState

MOST_STEPS = 10_000
PLAIN_STEPS = 20
"""Of a sampler whose steps are nowhere to be found."""
MOST_INPUTS = 64
"""Links that are followed in search of them."""


def weight_of(graph: Graph, node: str) -> float:
    """What one node counts."""
    name = class_of(graph, node).lower()
    if "sampler" not in name or "select" in name:
        return 1.0
    steps = _steps_near(graph, node)
    return float(PLAIN_STEPS if steps is None else min(max(steps, 1), MOST_STEPS))


def _steps_near(graph: Graph, node: str) -> int | None:
    """The steps of a sampler: its own, or those of the nearest node that it takes from and
    that has some, as a schedule does. Few inputs are looked at, whatever the graph."""
    nearest, left = [node], MOST_INPUTS
    for one in nearest:
        steps = _own_steps(graph[one]["inputs"])
        if steps is not None:
            return steps
        for source in islice(sources_of(graph, one), left):
            left -= 1
            if source not in nearest:
                nearest.append(source)
    return None


def _own_steps(inputs: dict[str, Any]) -> int | None:
    """As many as a node says, less those that it leaves out."""
    steps = _whole(inputs.get("steps"))
    if steps is None:
        return None
    first = _whole(inputs.get("start_at_step")) or 0
    last = _whole(inputs.get("end_at_step"))
    return min(steps, steps if last is None else last) - first


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Course:
    """The course of one prompt. `step` and `steps` are those of the node it is at, None for
    a node that has but one; `node` is None before the first."""

    def __init__(self, graph: Graph | None = None, outputs: list[str] | None = None) -> None:
        self.node: str | None = None
        self.step: int | None = None
        self.steps: int | None = None
        self.fraction: float | None = None
        self._words: str | None = None
        self._done: set[str] = set()
        self._parts: dict[str, float] = {}  # of nodes that run; there may be several
        self._is_told = False  # what is done; else it is what came before
        self.know(graph or {}, outputs)

    def know(self, graph: Graph, outputs: list[str] | None = None) -> None:
        """Take in the graph, once it is known."""
        self.graph = graph
        self._needed = reachable(graph, outputs or sinks(graph))
        self._weights = {node: weight_of(graph, node) for node in self._needed}
        self._total = sum(self._weights.values())

    @property
    def message(self) -> str | None:
        """The node's title, and what it says itself."""
        title = None if self.node is None else title_of(self.graph, self.node)
        if self._words is None:
            return title
        return self._words if title is None else f"{title}: {self._words}"

    def cached(self, nodes: list[str]) -> None:
        """These need not run."""
        self._done.update(nodes)
        self._advance()

    def at(self, node: str) -> None:
        """This node begins; the one before it is done, unless the server tells that itself."""
        if node == self.node:
            return
        if self.node is not None and not self._is_told:
            self._done.add(self.node)
        self.node, self.step, self.steps, self._words = node, None, None, None
        self._advance()

    def bar(self, bar: Bar) -> None:
        """The node's own progress."""
        if bar.node is not None and bar.node in self.graph:
            self.at(bar.node)
        if self.node is not None:
            self._move(self.node, bar.value, bar.max)
        self._advance()

    def states(self, states: dict[str, NodeState]) -> None:
        """All nodes that have begun, each with its progress."""
        self._is_told = True
        for id, state in states.items():
            node = self._known(id, state)
            if node is None:
                continue
            if state.state == "finished" and node == id:
                self._done.add(node)
            elif state.state == "running":
                self.at(node)
                self._move(node, state.value, state.max)
        self._advance()

    def says(self, node: str, text: str) -> None:
        """Words of the node it is at."""
        if node == self.node:
            self._words = text.strip()[:200] or None

    def _known(self, id: str, state: NodeState) -> str | None:
        """The node of the graph; one that was expanded stands for what it became."""
        names = (id, state.display_node_id, state.real_node_id)
        return next((name for name in names if name is not None and name in self.graph), None)

    def _move(self, node: str, value: float, most: float) -> None:
        if not (most > 0 and 0 <= value < float("inf") and most < float("inf")):
            return
        self._parts[node] = min(value / most, 1.0)
        self.step, self.steps = (int(value), int(most)) if most > 1 else (None, None)

    def _advance(self) -> None:
        if self._total <= 0:
            return
        done = sum(
            weight * (1.0 if node in self._done else self._parts.get(node, 0.0))
            for node, weight in self._weights.items()
        )
        reached = min(done / self._total, 1.0)
        self.fraction = reached if self.fraction is None else max(self.fraction, reached)
