"""What is wrong with a graph: the checks of the real one, in its order, with its gaps.

`validate` never raises for a graph that is made of node objects; for anything else it
raises as the real one does, and the route answers 500. Results are kept per node, so that
a node behind two outputs is checked once and names both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from . import problems
from .problems import Problem
from .values import Graph, NodeClass

Catalog = Mapping[str, NodeClass]
Verdicts = dict[str, tuple[bool, list[Problem]]]
CONVERT: dict[Any, Any] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


class Verdict(msgspec.Struct, frozen=True):
    """`error` is set when nothing may run; `outputs` are the outputs that may."""

    error: Problem | None
    outputs: list[str]
    node_errors: dict[str, Any]


def validate(graph: Graph, catalog: Catalog, targets: list[str] | None, modern: bool) -> Verdict:
    """Check every output of a graph; literals are converted in place."""
    outputs: list[str] = []
    for node_id in graph:
        error = _class_problem(node_id, graph[node_id], catalog, modern)
        if error is not None:
            return Verdict(error, [], {})
        wanted = targets is None or node_id in targets
        if catalog[graph[node_id]["class_type"]].is_output and wanted:
            outputs.append(node_id)
    if not outputs:
        return Verdict(problems.no_outputs(), [], {})
    return _Walk(graph, catalog, modern).judge(outputs)


def _class_problem(node_id: str, node: Any, catalog: Catalog, modern: bool) -> Problem | None:
    if "class_type" not in node:
        title = node.get("_meta", {}).get("title") if modern else None
        return problems.no_class_type(node_id, title, modern)
    class_type = node["class_type"]
    if class_type in catalog:
        return None
    title = node.get("_meta", {}).get("title") if modern else None
    return problems.unknown_class(node_id, class_type, title, modern)


class _Walk:
    """One validation: the graph, and the verdict on each node seen so far."""

    def __init__(self, graph: Graph, catalog: Catalog, modern: bool) -> None:
        self._graph = graph
        self._catalog = catalog
        self._modern = modern
        self._seen: Verdicts = {}
        self._way: list[str] = []

    def judge(self, outputs: list[str]) -> Verdict:
        """The verdict on all outputs together."""
        good: list[str] = []
        direct: list[Problem] = []
        node_errors: dict[str, Any] = {}
        for output in outputs:
            valid, reasons = self._try(output)
            if valid:
                good.append(output)
                continue
            direct += reasons
            self._blame(output, node_errors)
        if good:
            return Verdict(None, good, node_errors)
        details = "\n".join(f"{each['message']}: {each['details']}" for each in direct)
        return Verdict(problems.outputs_failed(details), [], node_errors)

    def _try(self, output: str) -> tuple[bool, list[Problem]]:
        self._way.clear()
        try:
            return self._node(output)
        except RecursionError:
            # The older release finds a cycle by running out of stack and says nothing of it.
            return False, []
        except Exception as trouble:
            self._seen[output] = (False, [problems.validation_trouble(trouble)])
            return self._seen[output]

    def _blame(self, output: str, node_errors: dict[str, Any]) -> None:
        for node_id, (valid, reasons) in self._seen.items():
            if valid or not reasons:
                continue
            entry = node_errors.setdefault(
                node_id,
                {
                    "errors": reasons,
                    "dependent_outputs": [],
                    "class_type": self._graph[node_id]["class_type"],
                },
            )
            entry["dependent_outputs"].append(output)

    def _node(self, node_id: str) -> tuple[bool, list[Problem]]:
        if node_id in self._seen:
            return self._seen[node_id]
        if node_id in self._way:
            return self._cycle(node_id)
        self._way.append(node_id)
        node = self._graph[node_id]
        given = node["inputs"]
        spec = self._catalog[node["class_type"]].inputs()
        reasons: list[Problem] = []
        valid = True
        for category in ("required", "optional"):
            for name, info in spec.get(category, {}).items():
                if name in given:
                    valid &= self._input(node_id, name, _both(info), reasons)
                elif category == "required":
                    reasons.append(problems.missing_input(name))
        reasons += self._own_check(node_id)
        self._way.remove(node_id)
        if node_id in self._seen:  # part of a cycle that was found further down
            return self._seen[node_id]
        self._seen[node_id] = (valid and not reasons, reasons)
        return self._seen[node_id]

    def _input(self, node_id: str, name: str, info: problems.Input, reasons: list[Problem]) -> bool:
        """Whether what is behind a link is valid; what is wrong here goes into `reasons`."""
        value = self._graph[node_id]["inputs"][name]
        if isinstance(value, list):
            return self._link(name, info, value, reasons)
        found = self._literal(node_id, name, info, value)
        if found is not None:
            reasons.append(found)
        return True

    def _link(
        self, name: str, info: problems.Input, link: list[Any], reasons: list[Problem]
    ) -> bool:
        if len(link) != 2:
            reasons.append(problems.bad_link(name, info, link))
            return True
        source = link[0]
        received = self._catalog[self._graph[source]["class_type"]].outputs[link[1]]
        if not _fits(received, info[0]):
            reasons.append(problems.wrong_link_type(name, info, received, link))
            return True
        depth = len(self._way)
        try:
            return self._node(source)[0]
        except RecursionError:
            raise
        except Exception as trouble:
            del self._way[depth:]
            self._seen[source] = (False, [problems.inner_trouble(name, info, link, trouble)])
            return False

    def _literal(self, node_id: str, name: str, info: problems.Input, value: Any) -> Problem | None:
        inputs = self._graph[node_id]["inputs"]
        kind, options = info
        if isinstance(value, dict) and "__value__" in value:
            value = inputs[name] = value["__value__"]
        try:
            if isinstance(kind, str) and kind in CONVERT:
                value = inputs[name] = CONVERT[kind](value)
        except (TypeError, ValueError, OverflowError) as trouble:
            return problems.not_convertible(name, info, value, trouble)
        if name in self._catalog[self._graph[node_id]["class_type"]].checked:
            return None
        if "min" in options and value < options["min"]:
            return problems.out_of_range(name, info, value, "min")
        if "max" in options and value > options["max"]:
            return problems.out_of_range(name, info, value, "max")
        choices = options_of(info)
        if choices is not None and value not in choices:
            return problems.not_in_list(name, info, value, choices)
        return None

    def _own_check(self, node_id: str) -> list[Problem]:
        node = self._graph[node_id]
        known = self._catalog[node["class_type"]]
        given = {name: node["inputs"].get(name) for name in known.checked}
        if known.check is None or any(isinstance(value, list) for value in given.values()):
            return []
        if any(name not in node["inputs"] for name in known.checked):
            return []
        verdict = known.check(**given)
        return [] if verdict is True else [problems.own_check_failed(n, verdict) for n in given]

    def _cycle(self, node_id: str) -> tuple[bool, list[Problem]]:
        if not self._modern:
            raise RecursionError
        nodes = self._way[self._way.index(node_id) :]
        named = [f"{each} ({self._graph[each]['class_type']})" for each in [*nodes, node_id]]
        for each in nodes:
            found = problems.in_a_cycle(each, nodes, " -> ".join(named))
            self._seen[each] = (False, [found])
        return self._seen[node_id]


def options_of(info: problems.Input) -> list[Any] | None:
    """The options of an input that has some, in either of the two shapes."""
    kind, options = info
    if isinstance(kind, list):
        return kind
    return list(options.get("options", [])) if kind == "COMBO" else None


def _both(info: tuple[Any, ...]) -> problems.Input:
    return (info[0], info[1]) if len(info) > 1 else (info[0], {})


def _fits(received: str, wanted: Any) -> bool:
    """Whether an output may be linked to an input; `*` fits all, types may be alternatives."""
    if received == "*" or wanted == "*" or received == wanted:
        return True
    if isinstance(wanted, list) or not isinstance(wanted, str):
        return received == "COMBO"
    return bool(set(received.split(",")) & set(wanted.split(",")))
