"""Whether a server can do what is asked, before anything runs there.

Every value goes with the class and input that it would be put into: must it be one of a
list, or lie in a range, and has the server such a node at all? Errors name the field of
the request, the value and the nearest allowed. Cached lists are asked for anew before
anything is refused because of them.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from ...backends.base import Wanted
from .graph import BadGraph, Graph, is_link
from .making import RENAMED, SPENT, default_checkpoint, values_of, whole_graph
from .options import RECHECK_SECONDS, Options, bounds_of, choices_of, config_of
from .refusals import near
from .workflows import Template

MOST_CLASSES = 200
"""Classes of one graph that are asked about; the server looks at the rest itself."""

Detail = dict[str, object]


async def check_params(wanted: Wanted, template: Template | None, options: Options) -> None:
    """Hold what is asked for against what there is. Raises Refused `invalid`, and Trouble."""
    try:
        whole = whole_graph(wanted.params)
    except BadGraph as bad:
        field = ".".join(part for part in ("params.workflow", bad.field) if part)
        raise Refused("invalid", f"{field}: {bad}", [_detail(field, bad.found, str(bad))]) from None
    if whole is not None:
        problems = await _of_graph(whole, options)
    elif template is None:
        raise Refused(
            "invalid",
            f"model: there is no workflow for {wanted.model}.",
            [_detail("model", wanted.model, "a model with a workflow")],
        )
    else:
        problems = await _of_template(wanted, template, options)
    if problems:
        first = problems[0]
        message = f"{first['field']}: found {first['found']}, expected {first['expected']}."
        raise Refused("invalid", message, problems)


async def _of_template(wanted: Wanted, template: Template, options: Options) -> list[Detail]:
    problems = []
    params = wanted.params
    fields = {RENAMED.get(param, param): f"params.{param}" for param in params}
    for param, value in params.items():
        name = RENAMED.get(param, param)
        if param not in SPENT and name not in template.inputs and value not in (None, ""):
            takes = ", ".join(sorted(set(template.inputs) - {"prefix"}))
            problems.append(_detail(f"params.{param}", value, f"one of {takes}"))
    values = values_of(params, template)
    if wanted.n > 1:
        if "batch" not in template.inputs:
            problems.append(_detail("n", wanted.n, "1; this workflow makes one"))
        else:
            values["batch"], fields["batch"] = wanted.n, "n"
    graph = template.fill(values)
    problems += await _classes(graph, options, "model")
    for name, value in values.items():
        for slot in template.inputs[name]:
            found = await _value(options, template.class_of(slot), slot.input, value)
            if found is not None:
                problems.append(_detail(fields[name], value, found))
    if not problems and "checkpoint" in template.inputs and "checkpoint" not in values:
        if await default_checkpoint(template, options) is None:
            problems.append(
                _detail("params.checkpoint", None, "a checkpoint; the backend has none")
            )
    return problems


async def _of_graph(graph: Graph, options: Options) -> list[Detail]:
    problems = await _classes(graph, options, "params.workflow")
    if problems:
        return problems
    for node, body in list(graph.items())[:MOST_CLASSES]:
        for name, value in body["inputs"].items():
            if isinstance(value, list | dict) or is_link(value):
                continue
            found = await _value(options, body["class_type"], name, value)
            if found is not None:
                problems.append(_detail(f"params.workflow.{node}.inputs.{name}", value, found))
    return problems


async def _classes(graph: Graph, options: Options, field: str) -> list[Detail]:
    """The nodes of which the server has no class."""
    problems = []
    nodes: dict[str, str] = {}
    for node, body in graph.items():
        nodes.setdefault(body["class_type"], node)
    for name, node in list(nodes.items())[:MOST_CLASSES]:
        if await options.node_class(name) is not None:
            continue
        if await options.node_class(name, younger=RECHECK_SECONDS) is None:
            where = field if field == "model" else f"{field}.{node}.class_type"
            problems.append(_detail(where, name, "a node class that the backend has installed"))
    return problems


async def _value(options: Options, class_type: str, name: str, value: Any) -> str | None:
    """What the input would take instead; None if it takes the value, or is not known."""
    for younger in (None, RECHECK_SECONDS):
        config = config_of(await options.node_class(class_type, younger=younger), name)
        expected = _expected(config, value)
        if expected is None:
            return None
    return expected


def _expected(config: list[Any] | None, value: Any) -> str | None:
    choices = choices_of(config)
    if choices is not None:
        if str(value) in choices or _is_upload(config):
            return None
        return f"one of {', '.join(near(value, choices))}" if choices else "nothing: there is none"
    bounds = bounds_of(config)
    if bounds is None:
        return None
    kind, least, most = bounds
    number = _number(value, whole=kind == "INT")
    if number is None:
        return "an integer" if kind == "INT" else "a number"
    if (least is not None and number < least) or (most is not None and number > most):
        return f"{kind} from {'…' if least is None else least} to {'…' if most is None else most}"
    return None


def _is_upload(config: list[Any] | None) -> bool:
    """Whether the list is only what was uploaded so far; the node looks for itself."""
    more = config[1] if config is not None and len(config) > 1 else None
    return isinstance(more, dict) and any(str(name).endswith("_upload") for name in more)


def _number(value: Any, *, whole: bool) -> float | None:
    """As the server reads it: numbers in strings count, truth values are 0 and 1."""
    try:
        return int(value) if whole else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _detail(field: str, found: Any, expected: str) -> Detail:
    return {"field": field, "found": shown(found), "expected": expected}
