"""The published schemas as a judge of real answers: a field that they do not name is wrong."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from safelight.schema import types
from safelight_protocol.schema import closure, located


def unfit(name: str, value: Any) -> list[str]:
    """What is wrong with a value as that component; nothing if it fits."""
    found = located(closure(types.components(), [name]), "#/$defs/")
    for one in found.values():
        if "properties" in one:
            one["additionalProperties"] = False
    judge = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": found})
    return [f"{error.json_path}: {error.message[:200]}" for error in judge.iter_errors(value)]
