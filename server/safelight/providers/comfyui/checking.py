"""Whether a server can do what is asked, before anything runs there.

Every value goes with the class and input that it would be put into: must it be one of a
list, or lie in a range, and has the server such a node at all? Errors name the field of
the request, the value and the nearest allowed. Kept lists are asked for anew before
anything is refused because of them, if the server answers soon; a busy one is believed
to have what it had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from ...backends.base import Wanted
from .graph import BadGraph, Graph, is_link
from .making import RENAMED, SPENT, values_of, whole_graph
from .options import RECHECK_SECONDS, Input, Options
from .refusals import near
from .workflows import Template

MOST_CLASSES = 200
"""Classes of one graph that are asked about; the server looks at the rest itself."""

MOST_PROBLEMS = 8
FEW = 5
"""Choices that are all told."""

Detail = dict[str, object]


async def check_params(wanted: Wanted, template: Template | None, options: Options) -> None:
    """Hold what is asked for against what there is. Raises Refused `invalid`, and Trouble."""
    try:
        whole = whole_graph(wanted.params)
    except BadGraph as bad:
        field = ".".join(part for part in ("params.workflow", bad.field) if part)
        raise Refused("invalid", f"{field}: {bad}", [_detail(field, bad.found, str(bad))]) from None
    find: Callable[[], list[Detail]]
    if whole is not None:
        classes = classes_of(whole)
        find = partial(_of_graph, whole, classes, options)
    elif template is None:
        raise Refused(
            "invalid",
            f"model: there is no workflow for {wanted.model}.",
            [_detail("model", wanted.model, "a model with a workflow")],
        )
    else:
        values = _values(wanted, template)
        classes = template.classes(values)
        find = partial(_of_template, wanted, template, values, options)
    await options.have(classes)
    problems = find()
    if problems and await options.renew(classes, younger=RECHECK_SECONDS):
        problems = find()
    if problems:
        first = problems[0]
        message = f"{first['field']}: found {first['found']}, expected {first['expected']}."
        raise Refused("invalid", message, problems)


def classes_of(graph: Graph) -> dict[str, str]:
    """The classes of a graph that are asked about, each with its first node."""
    nodes: dict[str, str] = {}
    for node, body in graph.items():
        nodes.setdefault(body["class_type"], node)
    return dict(list(nodes.items())[:MOST_CLASSES])


def _values(wanted: Wanted, template: Template) -> dict[str, Any]:
    values = values_of(wanted.params, template)
    if wanted.n > 1 and "batch" in template.inputs:
        values["batch"] = wanted.n
    return values


def _of_template(
    wanted: Wanted, template: Template, values: Mapping[str, Any], options: Options
) -> list[Detail]:
    problems = []
    params = wanted.params
    fields = {RENAMED.get(param, param): f"params.{param}" for param in params} | {"batch": "n"}
    for param, value in params.items():
        name = RENAMED.get(param, param)
        if param not in SPENT and name not in template.inputs and value not in (None, ""):
            takes = ", ".join(sorted(set(template.inputs) - {"prefix"}))
            problems.append(_detail(f"params.{param}", value, f"one of {takes}"))
    if wanted.n > 1 and "batch" not in values:
        problems.append(_detail("n", wanted.n, "1; this workflow makes one"))
    problems += _missing(template.classes(values), options, "model")
    for name, value in values.items():
        for slot in template.inputs[name]:
            found = _expected(_input(options, template.class_of(slot), slot.input), value)
            if found is not None:
                problems.append(_detail(fields[name], value, found))
    if not problems and "checkpoint" in template.inputs and "checkpoint" not in values:
        slots = template.inputs["checkpoint"]
        inputs = (_input(options, template.class_of(slot), slot.input) for slot in slots)
        if not any(taken is not None and taken.choices for taken in inputs):
            problems.append(
                _detail("params.checkpoint", None, "a checkpoint; the backend has none")
            )
    return problems


def _of_graph(graph: Graph, classes: Mapping[str, str], options: Options) -> list[Detail]:
    problems = _missing(classes, options, "params.workflow")
    if problems:
        return problems
    for node, body in graph.items():
        for name, value in body["inputs"].items():
            if isinstance(value, list | dict) or is_link(value):
                continue
            found = _expected(_input(options, body["class_type"], name), value)
            if found is not None:
                problems.append(_detail(f"params.workflow.{node}.inputs.{name}", value, found))
                if len(problems) >= MOST_PROBLEMS:
                    return problems
    return problems


def _missing(classes: Mapping[str, str], options: Options, field: str) -> list[Detail]:
    """The nodes of which the server has no class."""
    problems = []
    for name, node in classes.items():
        known = options.known(name)
        if known is not None and known.inputs is None:
            where = field if field == "model" else f"{field}.{node}.class_type"
            problems.append(_detail(where, name, "a node class that the backend has installed"))
    return problems


def _input(options: Options, class_type: str, name: str) -> Input | None:
    known = options.known(class_type)
    return None if known is None or known.inputs is None else known.inputs.get(name)


def _expected(taken: Input | None, value: Any) -> str | None:
    """What the input would take instead; None if it takes the value, or is not known."""
    if taken is None:
        return None
    choices = taken.choices
    if choices is not None:
        if str(value) in taken.among or taken.uploads:
            return None
        return _among(value, choices) if choices else "nothing: there is none"
    assert taken.bounds is not None, "it is a list or a number"
    kind, least, most = taken.bounds
    number = _number(value, whole=kind == "INT")
    if number is None:
        return "an integer" if kind == "INT" else "a number"
    if (least is not None and number < least) or (most is not None and number > most):
        return f"{kind} from {'…' if least is None else least} to {'…' if most is None else most}"
    return None


def _among(value: Any, choices: list[str]) -> str:
    """The nearest of the choices, or all of them where they are few."""
    if len(choices) <= FEW:
        return f"one of {', '.join(choices)}"
    return f"one of {len(choices)}, near it: {', '.join(near(value, choices))}"


def _number(value: Any, *, whole: bool) -> float | None:
    """As the server reads it: numbers in strings count, truth values are 0 and 1."""
    try:
        return int(value) if whole else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _detail(field: str, found: Any, expected: str) -> Detail:
    return {"field": field, "found": shown(found), "expected": expected}
