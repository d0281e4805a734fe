"""The tables of the documents: codes, events, objects, decisions, settings, log events.

Owns their columns. Every cell is read from the code that the table is about, except
what a setting is for, which the code does not say.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from safelight_protocol.codes import CODES
from safelight_protocol.schema import Schema, common, spelt

from ..settings import NAMED, NAMES, PREFIX, Settings
from ..vocabulary import EVENTS, STATISTICS
from .decisions import DECISIONS
from .markdown import code, table
from .meanings import field_meaning, meaning
from .types import components

OBJECTS = ("Snapshot", "ResultData", "Artifact", "ErrorData", "Charge", "Eta", "Timings")

_RETRY = {"no": "no", "changed": "once mended", "later": "later"}


def codes() -> str:
    """The codes table."""
    rows = [
        [code(row.name), row.meaning, _RETRY[row.retry], row.http, row.close, code(row.app)]
        for row in CODES.values()
    ]
    return table(["code", "meaning", "try again", "HTTP", "close", "the app's word"], rows)


def events() -> str:
    """What all events carry, then each type with what it adds."""
    made = components()
    members = made["TaskEvent"]["discriminator"]["mapping"]
    shared = common([made[name] for name in members.values()])
    rows = [_event_row(tag, made[name], shared) for tag, name in members.items()]
    events = table(["type", "status", "meaning", "its own fields"], rows)
    return f"{_fields(shared)}\n{events}"


def _event_row(tag: str, schema: Schema, shared: Schema) -> list[str]:
    own = [
        f"{code(name)}: {_type(field)}"
        for name, field in schema["properties"].items()
        if name not in shared["properties"] and name not in ("type", "status")
    ]
    status = schema["properties"]["status"]["const"]
    return [code(tag), code(status), schema["description"], "; ".join(own)]


def objects() -> str:
    """The objects inside events and snapshots, one table each."""
    made = components()
    return "\n".join(
        f"#### {name}\n\n{made[name]['description']}\n\n{_fields(made[name])}" for name in OBJECTS
    )


def _fields(schema: Schema) -> str:
    rows = [
        [
            code(name),
            _type(field),
            None if name in schema["required"] else "may be absent",
            field.get("description"),
        ]
        for name, field in schema["properties"].items()
    ]
    return table(["field", "type", "", "meaning"], rows)


def _type(schema: Schema) -> str:
    return spelt(schema).replace(" | ", " or ")


def decisions() -> str:
    """The decision table of a create."""
    rows = [[d.id, d.key, d.alike, d.result, d.rest, d.socket] for d in DECISIONS]
    return table(["id", "key", "fingerprint", "result", "REST", "socket"], rows)


def settings() -> str:
    """Every setting, in the order of `Settings`."""
    rows = [
        [
            code(name),
            meaning(name),
            _TABLES.get(name) or _takes(field),
            code(_default(Settings, name)),
            code(PREFIX + name.upper()) if name not in _BY_NAME else "",
        ]
        for name, field in _properties(Settings, NAMES)
    ]
    return table(["setting", "what it is for", "takes", "default", "variable"], rows)


def named(table_: str) -> str:
    """Every field of the entries of a table, `backends` say, in its order."""
    of = _BY_NAME[table_]
    rows = [
        [
            code(of.spelt("<name>", name)),
            field_meaning(table_, name),
            _takes(field),
            code(_default(of.type, name)),
            code(f"{of.variable}<NAME>__{name.upper()}"),
        ]
        for name, field in _properties(of.type, of.names)
    ]
    return table(["field", "what it is for", "takes", "default", "variable"], rows)


_BY_NAME = {one.table: one for one in NAMED}

_TABLES = {
    "tokens": 'a table of owner = "token" or owner = ["token", …]',
    "backends": "tables, [backends.kerniegen] say",
    "providers": "tables, [providers.replicate] say",
}


def _properties(type_: Any, names: tuple[str, ...]) -> list[tuple[str, Schema]]:
    made = msgspec.json.schema_components([type_], ref_template="{name}")[1]
    return [(name, made[type_.__name__]["properties"][name]) for name in names]


def _default(type_: Any, name: str) -> str | None:
    """As in JSON; None where there is no default."""
    field = next(f for f in msgspec.structs.fields(type_) if f.name == name)
    if field.required:
        return None
    value: Any = (
        field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    )
    return "none" if value is None else json.dumps(value)


def _takes(schema: Schema) -> str:
    """In words, what a setting takes."""
    if "anyOf" in schema:
        options = [one for one in schema["anyOf"] if one.get("type") != "null"]
        none = ", or none" if len(options) < len(schema["anyOf"]) else ""
        return " or ".join(map(_takes, options)) + none
    if "description" in schema:
        return str(schema["description"])
    match schema:
        case {"enum": list(values)}:
            return "one of " + ", ".join(values) if len(values) > 1 else str(values[0])
        case {"type": "array", "items": dict(item)}:
            return f"a list, each of it {_takes(item)}"
    return "true or false"


def log_events() -> str:
    """Every log event."""
    rows = [
        [code(name), row.level, row.meaning, ", ".join(map(code, row.fields))]
        for name, row in EVENTS.items()
    ]
    return table(["event", "level", "meaning", "fields"], rows)


def statistics() -> str:
    """Every figure of /healthz."""
    return table(["figure", "meaning"], [[code(n), told] for n, told in STATISTICS.items()])
