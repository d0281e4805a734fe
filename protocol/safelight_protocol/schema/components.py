"""JSON Schema from the structs of the wire, in the form from which all else is written.

A component is a JSON Schema (2020-12) whose `$ref` is a bare name; `located` gives
the references their place in a document. What msgspec says of a struct is made exact
here: a field that is always sent is required, a closed set of words has one name, and
fields that mean the same everywhere get their words from `notes.py`. Knows no door.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

import msgspec
from msgspec import UnsetType

from ..commands import JoinTask
from ..events import Charge, Kind, Status
from ..identity import Reuse
from .notes import NOTES

Schema = dict[str, Any]
"""One JSON Schema. A document of a standard, not a type of ours."""

Components = dict[str, Schema]


def _words(struct: type[msgspec.Struct], field: str) -> tuple[str, ...]:
    """The words of a field that is a Literal, or one or null."""
    found = next(f for f in msgspec.structs.fields(struct) if f.name == field)
    literals = [found.type, *get_args(found.type)]
    return next(get_args(one) for one in literals if getattr(one, "__origin__", None) is Literal)


WORDS: dict[str, tuple[str, ...]] = {
    "Kind": get_args(Kind),
    "TaskStatus": get_args(Status),
    "ChargeVerdict": _words(Charge, "verdict"),
    "Reuse": get_args(Reuse),
    "PreviewMode": _words(JoinTask, "previews"),
}
"""The sets of words that have a name of their own, in the order of their meaning."""

_MEANINGS = {
    "Kind": "What a task makes.",
    "TaskStatus": "Where a task stands. The last three are its end.",
    "ChargeVerdict": "What is known of the cost.",
    "Reuse": "Which task that is alike may be taken instead of a new one.",
    "PreviewMode": "How previews are sent: as bytes, or as an address to fetch.",
}


def word_components() -> Components:
    """The named sets of words."""
    return {
        name: {"type": "string", "description": _MEANINGS[name], "enum": list(words)}
        for name, words in WORDS.items()
    }


def struct_components(types: Mapping[str, Any]) -> Components:
    """The structs under the names they are given, and those inside them under their own.

    A value may also be a tagged union, whose members keep their own names.
    """
    found: dict[str, type[msgspec.Struct]] = {
        struct.__name__: struct
        for info in msgspec.inspect.multi_type_info(types.values())
        for struct in _structs(info, set())
    }
    tops, raw = msgspec.json.schema_components(types.values(), ref_template="{name}")
    names = {top["$ref"]: name for name, top in zip(types, tops, strict=True) if "$ref" in top}
    made = {names.get(name, name): _exact(raw[name], found[name]) for name in raw}
    unions = {n: _union(top) for n, top in zip(types, tops, strict=True) if "$ref" not in top}
    return {name: renamed(schema, names) for name, schema in (unions | made).items()}


def _structs(
    info: msgspec.inspect.Type, seen: set[type[msgspec.Struct]]
) -> Iterator[type[msgspec.Struct]]:
    match info:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            if cls not in seen:
                seen.add(cls)
                yield cls
                for field in fields:
                    yield from _structs(field.type, seen)
        case msgspec.inspect.UnionType(types=members):
            for member in members:
                yield from _structs(member, seen)
        case (
            msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item)
        ):
            yield from _structs(item, seen)
        case msgspec.inspect.DictType(value_type=value):
            yield from _structs(value, seen)


def _exact(raw: Schema, struct: type[msgspec.Struct]) -> Schema:
    """What msgspec says of a struct, as a reader of our own output may rely on it."""
    omits = struct.__struct_config__.omit_defaults
    properties: Schema = {}
    required: list[str] = ["type"] if struct.__struct_config__.tag else []
    for tag in required:
        properties[tag] = {"type": "string", "const": struct.__struct_config__.tag}
    for field in msgspec.structs.fields(struct):
        absent = UnsetType in get_args(field.type) or (omits and not field.required)
        if not absent:
            required.append(field.encode_name)
        found = _property(field.encode_name, raw["properties"][field.encode_name])
        properties[field.encode_name] = _without_null(found) if omits and absent else found
    return {
        "type": "object",
        "description": prose(struct.__doc__ or ""),
        "properties": properties,
        "required": required,
    }


def _property(name: str, raw: Schema) -> Schema:
    schema: Schema = _named({key: value for key, value in raw.items() if key != "default"})
    options = schema.get("anyOf", [schema])
    note = dict(NOTES.get(name, {}))
    limits = {key: note.pop(key) for key in list(note) if key != "description"}
    for option in options:
        if "$ref" not in option and option.get("type") != "null":
            option.update(limits)
    return schema | note


def _named(schema: Any) -> Any:
    """Every anonymous set of words replaced by a reference to its name; one word alone
    is a constant."""
    if isinstance(schema, list):
        return [_named(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = next((n for n, words in WORDS.items() if set(words) == set(schema.get("enum", ()))), "")
    if name:
        return {"$ref": name}
    if len(schema.get("enum", ())) == 1:
        (only,) = schema["enum"]
        return {"type": "boolean" if isinstance(only, bool) else "string", "const": only}
    return {key: _named(value) for key, value in schema.items()}


def _without_null(schema: Schema) -> Schema:
    if "anyOf" not in schema:
        return schema
    options = [one for one in schema["anyOf"] if one.get("type") != "null"]
    left: Schema = options[0] if len(options) == 1 else {"anyOf": options}
    return left | {key: value for key, value in schema.items() if key != "anyOf"}


def _union(top: Schema) -> Schema:
    return {"oneOf": top["anyOf"], "discriminator": top["discriminator"]}


def renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """The schema with its references under other names."""
    if isinstance(schema, list):
        return [renamed(item, names) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: renamed(value, names) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str):
        made["$ref"] = names.get(schema["$ref"], schema["$ref"])
    return made


def extended(components: Components, base: str, by: str, description: str) -> Schema:
    """The object `base` with the properties of the object `by` after its own."""
    first, second = components[base], components[by]
    return {
        "type": "object",
        "description": description,
        "properties": first["properties"] | second["properties"],
        "required": [*first["required"], *second["required"]],
    }


def located(schema: Any, place: str) -> Any:
    """The schema with every reference pointing into `place`, `#/$defs/` say."""
    if isinstance(schema, list):
        return [located(item, place) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: located(value, place) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str):
        made["$ref"] = place + schema["$ref"]
    if "discriminator" in schema:
        mapping = schema["discriminator"]["mapping"]
        told = {tag: place + name for tag, name in mapping.items()}
        made["discriminator"] = schema["discriminator"] | {"mapping": told}
    return made


def closure(components: Components, roots: Iterable[str]) -> Components:
    """The components that the roots need, themselves among them, in their order."""
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += references(components[name])
    return {name: schema for name, schema in components.items() if name in needed}


def references(schema: Any) -> Iterator[str]:
    """Every name that a schema refers to."""
    if isinstance(schema, list):
        for item in schema:
            yield from references(item)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)


def prose(text: str) -> str:
    """A docstring as running text: paragraphs without line breaks, in words of JSON."""
    paragraphs = re.sub(r"\bNone\b", "null", inspect.cleandoc(text)).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
