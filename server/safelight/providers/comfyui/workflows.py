"""Workflow templates: graphs in API form as files, with inputs that have names.

A file says which input of which node a name means (`prompt`, `seed`, …), which names must
be given, and which nodes fall out when names are not. Those shipped lie in workflows/; an
operator's folder adds to them and replaces those of equal name. Whatever is wrong in a
file is found at start, and told with file, node and input. Knows no server.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from .graph import BadGraph, Graph, is_link, read_graph

MAX_FILE = 4 * 1024 * 1024


class BadWorkflow(Exception):
    """A template that cannot be; the message names file, node and input."""


class Slot(msgspec.Struct, frozen=True, array_like=True):
    """One input of one node."""

    node: str
    input: str


class Without(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node that falls out unless one of these names is given; who took from one of its
    outputs takes from there instead."""

    unless: tuple[str, ...]
    outputs: dict[str, tuple[str, int]]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    graph: Any
    inputs: dict[str, list[Any]]
    about: str = ""
    required: tuple[str, ...] = ()
    without: dict[str, Without] = {}


class Template(msgspec.Struct, frozen=True):
    """One workflow. `inputs` gives the slots of every name."""

    name: str
    about: str
    inputs: dict[str, tuple[Slot, ...]]
    required: tuple[str, ...]
    without: dict[str, Without]
    graph: Graph

    def fill(self, values: Mapping[str, Any]) -> Graph:
        """The graph with these values in it. What is not named here stays as it is there."""
        graph = copy.deepcopy(self.graph)
        removed = self._removed(values)
        for node in removed:
            del graph[node]
        for body in graph.values():
            inputs = body["inputs"]
            inputs |= {name: _around(value, removed) for name, value in inputs.items()}
        for name, value in values.items():
            for slot in self.inputs.get(name, ()):
                if slot.node in graph:
                    graph[slot.node]["inputs"][slot.input] = value
        return graph

    def _removed(self, values: Mapping[str, Any]) -> dict[str, Without]:
        return {n: w for n, w in self.without.items() if not any(u in values for u in w.unless)}

    def classes(self, values: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The classes of the nodes that run with these values, or of all, each with a node."""
        removed = {} if values is None else self._removed(values)
        return {
            str(body["class_type"]): node
            for node, body in self.graph.items()
            if node not in removed
        }

    def class_of(self, slot: Slot) -> str:
        """The class of a slot's node."""
        return str(self.graph[slot.node]["class_type"])


def _around(value: Any, removed: Mapping[str, Without]) -> Any:
    """A link to a removed node leads to what that node took from."""
    while is_link(value) and value[0] in removed:
        value = list(removed[value[0]].outputs[str(value[1])])
    return value


class Workflows:
    """All templates, by name. `names` says which one a model stands for; every other model
    stands for the one named like its last part."""

    def __init__(
        self, templates: Mapping[str, Template], names: Mapping[str, str] | None = None
    ) -> None:
        self._templates = dict(templates)
        self._names = dict(names or {})

    @classmethod
    def load(cls, folder: str | None = None, names: Mapping[str, str] | None = None) -> Workflows:
        """Those shipped, and those in the operator's folder. Raises BadWorkflow."""
        texts = dict(_shipped())
        if folder is not None:
            texts |= _own(Path(folder))
        templates = {name: read_template(name, text, file) for name, (file, text) in texts.items()}
        for model, name in (names or {}).items():
            if name not in templates:
                known = ", ".join(sorted(templates))
                raise BadWorkflow(f"{model}: found workflow {name}, expected one of {known}")
        return cls(templates, names)

    def of(self, model: str) -> Template | None:
        """The template that a model stands for."""
        return self._templates.get(self._names.get(model, model.rpartition("/")[2]))

    def __iter__(self) -> Iterator[Template]:
        return iter(self._templates.values())


def _shipped() -> Iterator[tuple[str, tuple[str, bytes]]]:
    for file in files(__package__).joinpath("workflows").iterdir():
        if file.name.endswith(".json"):
            yield file.name.removesuffix(".json"), (file.name, file.read_bytes())


def _own(folder: Path) -> dict[str, tuple[str, bytes]]:
    if not folder.is_dir():
        raise BadWorkflow(f"workflows_dir: found {folder}, expected a folder")
    found = {}
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_size > MAX_FILE:
            raise BadWorkflow(f"{path}: found {path.stat().st_size} bytes, expected {MAX_FILE}")
        found[path.stem] = (str(path), path.read_bytes())
    return found


def read_template(name: str, text: bytes, file: str) -> Template:
    """One template. Raises BadWorkflow."""
    try:
        plain = msgspec.json.decode(text)
        if isinstance(plain, dict) and "graph" not in plain:
            read_graph(plain)  # an export without a mapping, or the editor's own form
            raise BadGraph("expected graph and inputs, found a graph alone")
        found = msgspec.convert(plain, _File)
        graph = read_graph(found.graph)
        inputs = {named: _slots(slots) for named, slots in found.inputs.items()}
        template = Template(name, found.about, inputs, found.required, found.without, graph)
        _check(template)
    except (msgspec.DecodeError, BadGraph, RecursionError) as trouble:
        raise BadWorkflow(f"{file}: {trouble}") from None
    return template


def _slots(given: list[Any]) -> tuple[Slot, ...]:
    """One slot, `["3", "seed"]`, or several of them."""
    several = given if given and isinstance(given[0], list) else [given]
    return msgspec.convert(several, tuple[Slot, ...])


def _check(template: Template) -> None:
    for name, slots in template.inputs.items():
        for slot in slots:
            where = f"inputs.{name}: node {slot.node}, input {slot.input}"
            if slot.node not in template.graph:
                raise BadGraph(f"{where}: there is no such node")
            inputs = template.graph[slot.node]["inputs"]
            if slot.input not in inputs:
                near = ", ".join(n for n, v in inputs.items() if not is_link(v))
                raise BadGraph(f"{where}: there is no such input, expected one of {near}")
            if is_link(inputs[slot.input]):
                raise BadGraph(f"{where}: it is linked to node {inputs[slot.input][0]}")
    for name in template.required:
        if name not in template.inputs:
            raise BadGraph(f"required: {name} is not among inputs")
    _check_without(template)


def _check_without(template: Template) -> None:
    for node, rule in template.without.items():
        if node not in template.graph:
            raise BadGraph(f"without: node {node}: there is no such node")
        for source, _ in rule.outputs.values():
            if source not in template.graph or source == node:
                raise BadGraph(f"without: node {node}: {source} is no node to take from instead")
        for other, body in template.graph.items():
            for name, value in body["inputs"].items():
                if is_link(value) and value[0] == node and str(value[1]) not in rule.outputs:
                    raise BadGraph(
                        f"without: node {node}: node {other}, input {name} takes its output"
                        f" {value[1]}, which is not among outputs"
                    )
