"""What a model takes, out of its OpenAPI document: a plain JSON Schema, in its own order.

Cog writes choices as `allOf: [$ref]` to a schema beside, and `nullable` as OpenAPI 3.0 has
it; both are resolved here, once, into words of JSON Schema 2020-12. What refers to itself,
or to nothing, takes anything: who made the model looks at it again. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Fragment = dict[str, Any]
Fields = dict[str, Fragment]

_BESIDE = "#/components/schemas/"
_DEEPEST = 12
_LAST = 1 << 30


class Shape:
    """What one model takes: its fields, resolved and in order, and those that are required."""

    def __init__(self, fields: Fields, required: tuple[str, ...]) -> None:
        self.fields = fields
        self.required = required


def shape_of(document: Any) -> Shape | None:
    """The shape that an OpenAPI document tells; None if it tells none."""
    schemas = _at(document, "components", "schemas")
    told = _at(schemas, "Input")
    properties = _at(told, "properties")
    if not isinstance(properties, dict) or not isinstance(schemas, dict):
        return None
    named = sorted(properties.items(), key=lambda item: _place(item[1]))
    fields = {name: resolved(one, schemas) if isinstance(one, dict) else {} for name, one in named}
    required = told.get("required")
    names = required if isinstance(required, list) else []
    return Shape(fields, tuple(name for name in names if name in fields))


def resolved(fragment: Fragment, schemas: Mapping[str, Any], depth: int = 0) -> Fragment:
    """A fragment that needs nothing around it."""
    if depth > _DEEPEST:
        return {}
    made = {name: value for name, value in fragment.items() if name not in ("allOf", "$ref")}
    for part in [fragment, *_list(fragment.get("allOf"))]:
        if not isinstance(part, dict):
            continue
        within = _referred(part, schemas) if part.get("$ref") else part
        if within is not fragment and isinstance(within, dict):
            # What stands beside a reference is said of this place, and goes before it.
            made = resolved(within, schemas, depth + 1) | made
    for name in ("anyOf", "oneOf"):
        if isinstance(made.get(name), list):
            made[name] = [
                resolved(one, schemas, depth + 1) for one in made[name] if isinstance(one, dict)
            ]
    if isinstance(made.get("items"), dict):
        made["items"] = resolved(made["items"], schemas, depth + 1)
    return _nullable(made)


def _nullable(fragment: Fragment) -> Fragment:
    """`nullable` in the words of JSON Schema; beside `enum` null is one of the choices."""
    said = fragment.pop("nullable", None)
    for name in ("anyOf", "oneOf"):
        others = [one for one in _list(fragment.get(name)) if one != {"type": "null"}]
        if len(others) == 1 and len(fragment[name]) == 2:
            # "This, or null", as newer generators write it.
            fragment = others[0] | {key: it for key, it in fragment.items() if key != name}
            said = True
    if said is not True:
        return fragment
    if isinstance(fragment.get("type"), str):
        fragment["type"] = [fragment["type"], "null"]
    if isinstance(fragment.get("enum"), list) and None not in fragment["enum"]:
        fragment["enum"] = [*fragment["enum"], None]
    return fragment


def _referred(part: Fragment, schemas: Mapping[str, Any]) -> Any:
    name = part["$ref"]
    if not isinstance(name, str) or not name.startswith(_BESIDE):
        return None
    return schemas.get(name.removeprefix(_BESIDE))


def _place(fragment: Any) -> int:
    place = fragment.get("x-order") if isinstance(fragment, dict) else None
    return place if isinstance(place, int) and not isinstance(place, bool) else _LAST


def _at(said: Any, *names: str) -> Any:
    for name in names:
        said = said.get(name) if isinstance(said, dict) else None
    return said


def _list(said: Any) -> list[Any]:
    return said if isinstance(said, list) else []
