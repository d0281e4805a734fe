"""Why a server refused a graph, or a node of it failed: told in our codes and in words.

Takes the bodies of POST /prompt and the messages of the history. Names the node, the
input, the value and what is near to it; never a traceback, an input's content or a path
of the server, which such answers carry, too. Pure.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from safelight_protocol.identity import shown

from ..base import Never
from .graph import Graph, class_of
from .options import choices_of

MODEL_INPUTS = ("ckpt_name", "unet_name", "lora_name", "vae_name", "clip_name", "control_net_name")
MISSING = {"missing_node_type", "invalid_node_type"}
MOST_TOLD = 3
MAX_WORDS = 300
MOST_OPTIONS = 10_000
MOST_ALIKE = 50
MOST_CHARACTERS = 200
"""Of the options of an input, how many are looked at, how many are compared, and how much
of each."""

_WORD = re.compile(r"[^\W_]+")
_PATH = re.compile(r"(?<![\w:/])(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/]+[\\/])+")


class _Problem(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""
    details: str = ""
    extra_info: dict[str, Any] = {}


class _NodeErrors(msgspec.Struct, frozen=True):
    errors: list[_Problem] = []
    class_type: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error: _Problem | str = ""
    node_errors: dict[str, Any] | list[Any] = {}


def first_line(text: str) -> str:
    """The first line of what a program says, without folders of its machine."""
    line = text.strip().partition("\n")[0].strip()
    return _PATH.sub("…/", line)[:MAX_WORDS]


def near(found: Any, options: list[str]) -> list[str]:
    """The options that may have been meant; the first few where none is like it. Looked for
    among those that begin alike or share a word, since likeness is dear to tell."""
    asked = str(found)[:MOST_CHARACTERS]
    words = [word for word in _WORD.findall(asked.lower()) if len(word) > 2][:4]
    words = words or [asked.lower()]
    head = asked[:2].lower()
    alike: list[str] = []
    for option in options[:MOST_OPTIONS]:
        lower = option[:MOST_CHARACTERS].lower()
        if lower.startswith(head) or any(word in lower for word in words):
            alike.append(option)
            if len(alike) == MOST_ALIKE:
                break
    return difflib.get_close_matches(asked, alike, n=3, cutoff=0.5) or alike[:3] or options[:3]


def of_node_errors(node_errors: Any, graph: Graph) -> Never | None:
    """What is wrong with nodes; None if nothing is said that can be read."""
    if not isinstance(node_errors, dict) or not node_errors:
        return None
    told: list[str] = []
    wrong = 0
    code = "invalid"
    for node, raw in node_errors.items():
        try:
            problems = msgspec.convert(raw, _NodeErrors)
        except msgspec.ValidationError:
            continue
        name = problems.class_type or class_of(graph, node)
        for problem in problems.errors:
            if _is_model(problem):
                code = "model_not_found"
            wrong += 1
            if wrong <= MOST_TOLD:
                told.append(f"node {node} ({name}): {_told(problem)}")
    if not told:
        return None
    more = f" (and {wrong - MOST_TOLD} more)" if wrong > MOST_TOLD else ""
    return Never(code, "; ".join(told) + more)


def of_body(body: bytes, graph: Graph) -> Never:
    """What a refusal with status 400 says."""
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        return Never("invalid", "the backend refused the graph and did not say why")
    told = of_node_errors(refusal.node_errors, graph)
    if told is not None:
        return told
    error = (
        refusal.error if isinstance(refusal.error, _Problem) else _Problem(message=refusal.error)
    )
    message = first_line(error.message) or "the backend refused the graph"
    if error.type in MISSING or "does not exist" in error.message:
        node = error.extra_info.get("node_id")
        where = f" (node {node})" if node is not None else f" ({first_line(error.details)})"
        return Never("missing_node", message + where)
    details = first_line(error.details)
    return Never("invalid", message if details in ("", message) else f"{message}: {details}")


def _is_model(problem: _Problem) -> bool:
    return (
        problem.type == "value_not_in_list" and problem.extra_info.get("input_name") in MODEL_INPUTS
    )


def _told(problem: _Problem) -> str:
    extra = problem.extra_info
    name = extra.get("input_name")
    if problem.type.startswith("exception_during"):
        return f"{name}: could not be validated" if name else "could not be validated"
    if name is None:
        details = first_line(problem.details)
        return f"{first_line(problem.message)}{': ' + details if details else ''}"
    if problem.type == "value_not_in_list":
        options = choices_of(extra.get("input_config")) or []
        among = f", nearest {', '.join(near(extra.get('received_value'), options))}"
        return f"{name}: found {_found(extra)}, not in its list{among if options else ''}"
    if problem.type in ("value_smaller_than_min", "value_bigger_than_max"):
        return f"{name}: found {_found(extra)}, expected {_range(extra.get('input_config'))}"
    if problem.type == "custom_validation_failed":
        return first_line(problem.details) or f"{name}: refused by the node"
    found = f", found {_found(extra)}" if "received_value" in extra else ""
    return f"{name}: {first_line(problem.message)}{found}"


def _found(extra: dict[str, Any]) -> str:
    return shown(extra.get("received_value"))


def _range(config: Any) -> str:
    bounds = config[1] if isinstance(config, list) and len(config) > 1 else {}
    bounds = bounds if isinstance(bounds, dict) else {}
    return f"{bounds.get('min', '…')} to {bounds.get('max', '…')}"


class _Failure(msgspec.Struct, frozen=True):
    node_id: str | int | None = None
    node_type: str | None = None
    exception_message: str = ""
    exception_type: str = ""
    traceback: list[str] = []


def of_failure(data: Any) -> tuple[Never, list[str]]:
    """What a node's failure means, and its traceback, which is for nobody but the log."""
    try:
        failure = msgspec.convert(data, _Failure)
    except msgspec.ValidationError:
        return Never("node_failed", "a node of the graph failed"), []
    where = f"node {failure.node_id} ({failure.node_type})"
    words = first_line(failure.exception_message) or first_line(failure.exception_type)
    if "OutOfMemory" in failure.exception_type or "ran out of memory" in failure.exception_message:
        message = f"{where} ran out of memory; ask for a smaller size or fewer at once"
        return Never("out_of_memory", message), failure.traceback
    if failure.exception_type.endswith("DependencyCycleError"):
        return Never("invalid", f"the graph goes in a circle: {words}"), failure.traceback
    return Never("node_failed", f"{where}: {words}"), failure.traceback
