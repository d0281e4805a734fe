"""What a model takes and gives, as Cog describes it, and what Replicate says of a wrong input.

Choices are an `allOf` with a reference to a schema of the field's name, what may be left
out is `nullable`, and fields have an `x-order`. Nullable is a word of the description alone:
an explicit null is refused, as Cog refuses it. Unknown inputs are dropped without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
REF = "#/components/schemas/"


class Field(msgspec.Struct, frozen=True):
    """One input. `default` None is one that is required, unless it is `nullable`."""

    name: str
    type: Literal["string", "integer", "number", "boolean"]
    about: str
    default: Any = None
    nullable: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()
    uri: bool = False

    @property
    def required(self) -> bool:
        """Whether there is nothing to fall back on."""
        return self.default is None and not self.nullable


class Wrong(Exception):
    """The input is not what the model takes; `fields` is what Replicate says of it."""

    def __init__(self, fields: list[dict[str, str]]) -> None:
        super().__init__(fields)
        self.fields = fields


def document(fields: Sequence[Field], output: Mapping[str, Any]) -> dict[str, Any]:
    """The `openapi_schema` of a version: as much of Cog's as says something."""
    enums = {
        field.name: {
            "description": "An enumeration.",
            "enum": list(field.choices),
            "title": field.name,
            "type": field.type,
        }
        for field in fields
        if field.choices
    }
    properties = {field.name: _property(field, at) for at, field in enumerate(fields)}
    required = [field.name for field in fields if field.required]
    schemas = {
        "Input": {
            "properties": properties,
            **({"required": required} if required else {}),
            "title": "Input",
            "type": "object",
        },
        "Output": {"title": "Output", **output},
        "Status": {
            "description": "An enumeration.",
            "enum": ["starting", "processing", "succeeded", "canceled", "failed"],
            "title": "Status",
            "type": "string",
        },
        **enums,
    }
    return {
        "components": {"schemas": schemas},
        "info": {"title": "Cog", "version": "0.1.0"},
        "openapi": "3.0.2",
        "paths": {"/predictions": {"post": {"summary": "Predict"}}},
    }


def checked(fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """The input with its defaults, for the model. Raises Wrong."""
    wrong = [
        {"type": "required", "field": "input", "description": f"{field.name} is required"}
        for field in fields
        if field.required and field.name not in given
    ]
    whole: dict[str, Any] = {}
    for field in fields:
        if field.name not in given:
            whole[field.name] = field.default
        elif (trouble := _trouble(field, given[field.name])) is not None:
            wrong.append(
                {"type": trouble[0], "field": f"input.{field.name}", "description": trouble[1]}
            )
        else:
            whole[field.name] = given[field.name]
    if wrong:
        raise Wrong(wrong)
    return whole


def _trouble(field: Field, value: Any) -> tuple[str, str] | None:
    if not _is(field.type, value):
        found = "null" if value is None else type(value).__name__
        return "invalid_type", f"Invalid type. Expected: {field.type}, given: {found}"
    if field.choices and value not in field.choices:
        known = ", ".join(f'"{each}"' for each in field.choices)
        return "enum", f"{field.name} must be one of the following: {known}"
    if field.least is not None and value < field.least:
        return "number_gte", f"Must be greater than or equal to {field.least:g}"
    if field.most is not None and value > field.most:
        return "number_lte", f"Must be less than or equal to {field.most:g}"
    if field.uri and not str(value).startswith(("http://", "https://", "data:")):
        return "format", "Does not match format 'uri'"
    return None


def _is(type: str, value: Any) -> bool:
    return isinstance(value, TYPES[type]) and isinstance(value, bool) == (type == "boolean")


def _property(field: Field, at: int) -> dict[str, Any]:
    told: dict[str, Any] = {"description": field.about, "x-order": at}
    if field.choices:
        told["allOf"] = [{"$ref": REF + field.name}]
    else:
        told |= {"type": field.type, "title": field.name.replace("_", " ").title()}
    if field.default is not None:
        told["default"] = field.default
    if field.nullable:
        told["nullable"] = True
    if field.least is not None:
        told["minimum"] = field.least
    if field.most is not None:
        told["maximum"] = field.most
    if field.uri:
        told["format"] = "uri"
    return told
