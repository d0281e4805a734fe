"""Forms of object-valued parameters, by the name that a schema gives them.

A form is checked as far as one can without asking anybody; what a live backend says is
its own matter. To add one, write its reader and name it in FORMATS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from safelight_protocol.fields import MAX_SEED, Wrong

_API_FORM = "the API format: in ComfyUI's editor, Workflow > Export (API)"
_NODE = 'a node such as {"class_type": "KSampler", "inputs": {…}}; ' + _API_FORM
_SEEDS = ("seed", "noise_seed")


def read_graph(value: dict[str, Any]) -> None:
    """A ComfyUI graph in API format: nodes by id. Raises Wrong."""
    if isinstance(value.get("nodes"), list) and isinstance(value.get("links"), list):
        raise Wrong(f"{_API_FORM}; this is the form that it saves for itself")
    if isinstance(value.get("prompt"), dict) and "class_type" not in value["prompt"]:
        raise Wrong("the nodes themselves, which here lie inside `prompt`")
    if not value:
        raise Wrong(f"at least one node, in {_API_FORM}")
    for name, node in value.items():
        if not _is_node(node):
            raise Wrong(_NODE, at=name, found=node)
        for seed in _SEEDS:
            found = node["inputs"].get(seed)
            if isinstance(found, int | float) and not 0 <= found <= MAX_SEED:
                raise Wrong(
                    f"an integer from 0 to {MAX_SEED}: a random one is drawn by ComfyUI's"
                    " editor only",
                    at=f"{name}.inputs.{seed}",
                    found=found,
                )


def _is_node(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("class_type"), str)
        and isinstance(value.get("inputs"), dict)
    )


WHOLE = frozenset({"comfyui-graph"})
"""Forms of what runs as it is, with its own prompts and seeds: nothing is filled in."""

FORMATS: dict[str, Callable[[dict[str, Any]], None]] = {"comfyui-graph": read_graph}
