"""From what is asked for to the graph that is run: a template filled in, or a graph as sent.

Also holds what is asked for against what the server has, with the same eyes: which value
goes to which input of which class. Pictures to start from are uploaded first, and named as
the server names them.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from typing import Any

import anyio

from ..base import Failure, InputFile, Never, Prediction
from .client import Client
from .graph import BadGraph, Graph, is_link, read_graph
from .options import Options
from .workflows import Template, Workflows

RENAMED = {"negative_prompt": "negative"}
"""Parameters whose input has another name."""

SPENT = {"aspect_ratio", "workflow"}
"""Parameters that become something else before."""

WHOLE = "workflow"
"""The parameter that is a graph itself."""


def whole_graph(params: Mapping[str, Any]) -> Graph | None:
    """The graph that was sent whole, if one was. Raises BadGraph."""
    given = params.get(WHOLE)
    return None if given is None else read_graph(given)


def values_of(params: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """The values for the named inputs of a template; what is empty is left as it is there."""
    values: dict[str, Any] = {}
    for param, value in params.items():
        name = RENAMED.get(param, param)
        if param not in SPENT and name in template.inputs and value not in (None, ""):
            values[name] = value
    return values


async def default_checkpoint(template: Template, options: Options) -> str | None:
    """The first checkpoint that the server has; None if it has none. Raises Trouble."""
    for slot in template.inputs.get("checkpoint", ()):
        found = await options.choices(template.class_of(slot), slot.input)
        return found[0] if found else None
    return None


async def graph_of(
    prediction: Prediction,
    prompt_id: str,
    workflows: Workflows,
    options: Options,
    client: Client,
) -> Graph:
    """The graph of a prediction. Raises Failure where none can be made, and Trouble."""
    try:
        whole = whole_graph(prediction.params)
    except BadGraph as bad:
        raise Failure(Never("invalid", f"params.workflow: {bad}")) from None
    if whole is not None:
        return _marked(whole, prompt_id)
    template = workflows.of(prediction.model)
    if template is None:
        raise Failure(Never("invalid", f"there is no workflow for {prediction.model}"))
    values = values_of(prediction.params, template)
    values |= {"prompt": prediction.prompt, "seed": prediction.seed}
    values |= {"prefix": f"safelight/{prompt_id}"}
    if prediction.n > 1:
        if "batch" not in template.inputs:
            raise Failure(Never("invalid", f"n: found {prediction.n}, expected 1"))
        values["batch"] = prediction.n
    if "checkpoint" in template.inputs and "checkpoint" not in values:
        checkpoint = await default_checkpoint(template, options)
        if checkpoint is None:
            raise Failure(Never("model_not_found", "the backend has no checkpoint"))
        values["checkpoint"] = checkpoint
    values |= await _uploaded(prediction.inputs, template, client)
    for name in template.required:
        if name not in values:
            raise Failure(Never("invalid", f"{name}: found nothing, {prediction.model} needs it"))
    return template.fill(values)


async def _uploaded(
    inputs: tuple[InputFile, ...], template: Template, client: Client
) -> dict[str, str]:
    """The pictures to start from, on the server: `image`, `image2`, and so on. One that is
    there already, by name and bytes, is not kept twice."""
    names = ["image", *(f"image{place}" for place in range(2, len(inputs) + 1))]
    values: dict[str, str] = {}
    for name, given in zip(names, inputs, strict=False):
        if name in template.inputs:
            data = await anyio.Path(given.path).read_bytes()
            ending = mimetypes.guess_extension(given.media_type) or ".png"
            called = f"{hashlib.sha256(data).hexdigest()[:32]}{ending}"
            values[name] = (await client.upload(called, data, given.media_type)).value
    return values


def _marked(graph: Graph, prompt_id: str) -> Graph:
    """The same graph, its files named after the prompt: an equal one that ran before would
    be answered from a cache, with files that may be gone."""
    marked: Graph = {}
    for node, body in graph.items():
        inputs = dict(body["inputs"])
        prefix = inputs.get("filename_prefix")
        if isinstance(prefix, str) and not is_link(prefix):
            inputs["filename_prefix"] = f"{prefix}_{prompt_id}"
        marked[node] = body | {"inputs": inputs}
    return marked
