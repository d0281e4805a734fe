"""The words of every refusal of a prompt, as the real one writes them.

One function per type of error. Clients match on `type`; people read `message` and
`details`; tests hold all of it against recordings.
"""

from __future__ import annotations

from typing import Any

Problem = dict[str, Any]
Input = tuple[Any, dict[str, Any]]
"""An input's type and its options."""


def problem(type: str, message: str, details: str = "", **extra: object) -> Problem:
    """One error object."""
    return {"type": type, "message": message, "details": details, "extra_info": extra}


def no_prompt() -> Problem:
    """The key is not there."""
    return problem("no_prompt", "No prompt provided", "No prompt provided")


def bad_prompt_id() -> Problem:
    """Newer releases take canonical UUIDs alone."""
    return problem(
        "invalid_prompt_id",
        "prompt_id must be a valid UUID",
        "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
        "omit it to let the server generate one",
    )


def no_outputs() -> Problem:
    """Nothing in the graph shows anything."""
    return problem("prompt_no_outputs", "Prompt has no outputs")


def outputs_failed(details: str) -> Problem:
    """No output is left after validation."""
    return problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", details)


def no_class_type(node_id: str, title: str | None, modern: bool) -> Problem:
    """A node without a class."""
    where = f"Node ID '#{node_id}'"
    if not modern:
        message = "Cannot execute because a node is missing the class_type property."
        return problem("invalid_prompt", message, where)
    message = (
        f"Node '{title or f'ID #{node_id}'}' has no class_type. "
        "The workflow may be corrupted or a custom node is missing."
    )
    known = {"node_id": node_id, "class_type": None, "node_title": title}
    return problem("missing_node_type", message, where, **known)


def unknown_class(node_id: str, class_type: Any, title: str | None, modern: bool) -> Problem:
    """A node of a class that is not installed."""
    where = f"Node ID '#{node_id}'"
    if not modern:
        message = f"Cannot execute because node {class_type} does not exist."
        return problem("invalid_prompt", message, where)
    name = title or class_type
    message = f"Node '{name}' not found. The custom node may not be installed."
    known = {"node_id": node_id, "class_type": class_type, "node_title": name}
    return problem("missing_node_type", message, where, **known)


def missing_input(name: str) -> Problem:
    """A required input is not there."""
    return problem("required_input_missing", "Required input is missing", name, input_name=name)


def bad_link(name: str, info: Input, value: object) -> Problem:
    """A list that is not [node id, output index]."""
    message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
    known = {"input_name": name, "input_config": info, "received_value": value}
    return problem("bad_linked_input", message, name, **known)


def wrong_link_type(name: str, info: Input, received: str, link: list[Any]) -> Problem:
    """The linked output is of another type."""
    message = "Return type mismatch between linked nodes"
    details = f"{name}, received_type({received}) mismatch input_type({info[0]})"
    known = {"input_config": info, "received_type": received, "linked_node": link}
    return problem("return_type_mismatch", message, details, input_name=name, **known)


def not_convertible(name: str, info: Input, value: object, trouble: Exception) -> Problem:
    """A literal that is no number where one is wanted."""
    message = f"Failed to convert an input value to a {info[0]} value"
    known = {"input_config": info, "received_value": value, "exception_message": str(trouble)}
    details = f"{name}, {value}, {trouble}"
    return problem("invalid_input_type", message, details, input_name=name, **known)


def out_of_range(name: str, info: Input, value: object, bound: str) -> Problem:
    """Below `min` or above `max`, whichever `bound` says."""
    word = "smaller than min" if bound == "min" else "bigger than max"
    message = f"Value {value} {word} of {info[1][bound]}"
    known = {"input_name": name, "input_config": info, "received_value": value}
    return problem(f"value_{word.replace(' than ', '_than_')}", message, name, **known)


def not_in_list(name: str, info: Input, value: object, options: list[Any]) -> Problem:
    """None of the options; long lists are not sent back."""
    long = len(options) > 20
    known = f"(list of length {len(options)})" if long else str(options)
    return problem(
        "value_not_in_list",
        "Value not in list",
        f"{name}: '{value}' not in {known}",
        input_name=name,
        input_config=None if long else info,
        received_value=value,
    )


def own_check_failed(name: str, verdict: bool | str) -> Problem:
    """The node's own validation said no."""
    details = name if verdict is False else f"{name} - {verdict}"
    return problem(
        "custom_validation_failed",
        "Custom validation failed for node",
        details,
        input_name=name,
    )


def inner_trouble(name: str, info: Input, link: list[Any], trouble: Exception) -> Problem:
    """Validating the node behind a link raised."""
    return problem(
        "exception_during_inner_validation",
        "Exception when validating inner node",
        str(trouble),
        input_name=name,
        input_config=info,
        exception_message=str(trouble),
        exception_type=type(trouble).__name__,
        traceback=traceback_lines(),
        linked_node=link,
    )


def validation_trouble(trouble: Exception) -> Problem:
    """Validating an output node raised."""
    return problem(
        "exception_during_validation",
        "Exception when validating node",
        str(trouble),
        exception_type=type(trouble).__name__,
        traceback=traceback_lines(),
    )


def in_a_cycle(node_id: str, nodes: list[str], way: str) -> Problem:
    """The node needs its own result."""
    known = {"node_id": node_id, "cycle_nodes": nodes}
    return problem("dependency_cycle", "Dependency cycle detected", way, **known)


def traceback_lines() -> list[str]:
    """Where the real one discloses paths of its server, a line that discloses none."""
    return ['  File "kerniegen/validation.py", in validate_inputs\n']
