"""The published schemas: nothing has drifted, and they say what the code does.

Whether they say what a server sends is held by test_schema_frames.py, for bodies of
clients by test_schema_bodies.py.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from starlette.routing import Route

from safelight import schema
from safelight.app import ROUTES
from safelight.schema import types
from safelight.schema.decisions import DECISIONS, Case, Decision
from safelight.schema.lifecycle import cells
from safelight.schema.meanings import Undescribed, meaning
from safelight_protocol.codes import CODES, Refused
from safelight_protocol.events import TaskEvent
from safelight_protocol.identity import Comparison, Difference, Found, decide
from safelight_protocol.inputs import HAPPENINGS
from safelight_protocol.lifecycle import TABLE
from safelight_protocol.schema import emitted
from safelight_protocol.schema.components import struct_components
from safelight_protocol.task import Asked, Resolved, Task

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs/schema").glob("*.json"))


def test_nothing_has_drifted() -> None:
    """Every generated file is what `safelight schema` would write now."""
    assert schema.differing() == []


def test_drift_is_named(tmp_path: Path) -> None:
    """A generated file that is edited or gone is named, and no other."""
    for path in schema.files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copy(ROOT / schema.FRAMES, tmp_path / schema.FRAMES)
    edited = tmp_path / "docs/wire.md"
    edited.write_text(edited.read_text().replace("| `invalid` |", "| `odd` |"))
    (tmp_path / "clients/browser/types.d.ts").unlink()
    assert sorted(schema.differing(tmp_path)) == ["clients/browser/types.d.ts", "docs/wire.md"]


def test_prose_is_kept(tmp_path: Path) -> None:
    """What is written by hand around a generated part stays as it is."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    page = tmp_path / "docs/settings.md"
    page.write_text("By hand, before.\n" + page.read_text() + "By hand, after.\n")
    made = schema.files(tmp_path)["docs/settings.md"]
    assert made.startswith("By hand, before.\n") and made.endswith("By hand, after.\n")


def test_a_lost_marker_is_an_error(tmp_path: Path) -> None:
    """A document without one of its markers is refused by name, not written short."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "docs/settings.md").write_text("Nothing is generated here.\n")
    with pytest.raises(schema.BadMarkers, match=r"docs/settings\.md"):
        schema.files(tmp_path)


def test_a_wheel_has_no_documents(tmp_path: Path) -> None:
    """Outside a checkout there is nothing to compare with, and that is said."""
    with pytest.raises(schema.NoCheckout, match="no checkout"):
        schema.checkout(str(tmp_path / "site-packages/safelight/schema/__init__.py"))
    with pytest.raises(schema.NoCheckout, match="no checkout"):
        schema.files(tmp_path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/schema").glob("*.schema.json")), ids=lambda path: path.name
)
def test_the_schemas_are_json_schema(path: Path) -> None:
    """Each file keeps to the dialect that it names."""
    found = json.loads(path.read_text())
    assert found["$schema"] == types.DIALECT
    Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_reference_leads_somewhere(path: Path) -> None:
    """No document points at a part of itself that is not there."""
    found = json.loads(path.read_text())
    assert [ref for ref in references(found) if not resolves(found, ref)] == []


def references(value: Any) -> Iterator[str]:
    """Every `$ref` of a document, and every place of a discriminator."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        if isinstance(value.get("discriminator"), dict):
            yield from value["discriminator"]["mapping"].values()
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        yield from references(inner)


def resolves(document: Any, reference: str) -> bool:
    """Whether a JSON pointer names something."""
    for part in reference.removeprefix("#/").split("/"):
        if part not in document:
            return False
        document = document[part]
    return True


class Spare(msgspec.Struct, omit_defaults=True):
    """A struct that leaves out what is as it always is; None says nothing."""

    name: str
    size: int = 3
    note: str | None = None


def test_what_is_left_out_may_be_absent_and_is_never_null() -> None:
    """The schema of a struct that omits its defaults says what is really sent."""
    made = struct_components({"Spare": Spare})["Spare"]
    assert made["required"] == ["name"]
    assert made["properties"]["size"] == {"type": "integer"}
    assert made["properties"]["note"] == {"type": "string"}
    assert made["description"].endswith("; null says nothing.")


def test_a_setting_needs_its_sentence() -> None:
    """A setting that nobody has described is refused by name."""
    with pytest.raises(Undescribed, match="setting nothing"):
        meaning("nothing")


def test_every_event_has_its_schema() -> None:
    """The union of events in the schema is that of the code."""
    mapping = types.components()["TaskEvent"]["discriminator"]["mapping"]
    assert list(mapping.values()) == [event.__name__ for event in TaskEvent.__args__]
    assert list(mapping) == [event.__struct_config__.tag for event in TaskEvent.__args__]


def test_events_are_named_as_the_lifecycle_emits_them() -> None:
    """Each row of the table that writes an event writes one of the union's types."""
    mapping = types.components()["TaskEvent"]["discriminator"]["mapping"]
    assert {emitted(row.emit) for row in TABLE.values() if row.emit} == set(mapping)


def test_the_lifecycle_page_has_every_cell() -> None:
    """One line for each input, one column for each state, and a verdict in each cell."""
    lines = [line for line in cells().splitlines()[2:] if line.startswith("|")]
    assert len(lines) == len(HAPPENINGS)
    assert all(len(re.split(r"(?<!\\)\|", line)) == 7 + 3 for line in lines)


def test_openapi_and_the_routes_agree() -> None:
    """Every route of the application is in openapi.json, and nothing else is."""
    document = json.loads((ROOT / "docs/schema/openapi.json").read_text())
    written = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    served = {
        (method, re.sub(r":\w+}", "}", route.path))
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert written == served


def test_openapi_links_lead_to_operations() -> None:
    """From a created task one gets to its snapshot, its events, its cancel and its end."""
    text = (ROOT / "docs/schema/openapi.json").read_text()
    links = json.loads(text)["paths"]["/api/tasks"]["post"]["responses"]["202"]["links"]
    assert {"getTask", "followTask", "cancelTask", "deleteTask"} == set(links)
    for link in links.values():
        assert text.count(f'"operationId": "{link["operationId"]}"\n') <= 1
        assert f'"operationId": "{link["operationId"]}",' in text


def test_swift_keeps_every_word_and_field() -> None:
    """Wire.swift names every field of its types, and its braces match. It was checked as
    text only: where this was written there was no Swift compiler."""
    swift = types.swift_file()
    assert swift.count("{") == swift.count("}")
    for name, one in types.swift_components().items():
        if "properties" in one:
            body = swift.split(f"struct {name}: ")[1].split("public struct ")[0]
            fields = re.findall(r"public (?:let|var) `?(\w+)`?: ", body)
            kept = [n for n, field in one["properties"].items() if field.get("type") != "null"]
            assert len(fields) == len(kept), name


def test_swift_survives_what_it_does_not_know() -> None:
    """Words are structs and not enums, and an unknown event is kept whole."""
    swift = types.swift_file()
    assert re.findall(r"enum (\w+)", swift.replace("enum CodingKeys", "")) == [
        "Wire",
        "TaskEvent",
        "Tag",
    ]
    assert "case unknown(JSONValue)" in swift
    assert "default: self = .unknown(try JSONValue(from: decoder))" in swift
    assert "case .unknown(let value): try value.encode(to: encoder)" in swift
    for word in ("Kind", "TaskStatus", "ErrorCode"):
        assert f"struct {word}: OpenWord" in swift


def test_typescript_tells_events_apart() -> None:
    """Each event is an interface of its own `type` and `status` over a common envelope."""
    text = types.declarations()
    for tag, name in types.components()["TaskEvent"]["discriminator"]["mapping"].items():
        body = text.split(f"export interface {name} extends EventEnvelope {{")[1].split("}")[0]
        assert f'type: "{tag}";' in body and "status: " in body
    assert all(f'"{code}"' in text for code in CODES)


def outcome(case: Case) -> str:
    """What the code decides about a case of the decision table."""
    tasks = {name: a_task(name) for name in ("a", "b", "alike")}
    by_id = tasks["a"] if case.by_id else None
    by_key = (tasks["a"] if case.one else tasks["b"]) if case.by_key else None
    found = Found(
        by_id=by_id,
        by_key=by_key,
        alike=tasks["alike"] if case.alike else None,
        id_gone=case.gone == "id",
        key_gone=case.gone == "key",
    )
    other = Comparison(conflicts=(Difference("prompt", "this", "that"),))
    comparisons = {"alike": Comparison()}
    for task, likeness in ((by_key, case.by_key), (by_id, case.by_id)):
        if task is not None:
            comparisons[task.uid] = Comparison() if likeness == "same" else other
    try:
        chosen = decide(found, comparisons, wants_id="a" if case.wants_id else None)
    except Refused as refused:
        return refused.code.name
    return "new" if chosen is None else "attach"


def a_task(name: str) -> Task:
    """A task of which only the id matters."""
    resolved = Resolved(
        requested="m", model="m", provider="p", backend=None, params={}, seed=1, n=1
    )
    return Task(
        uid=name,
        owner="local",
        id=name,
        asked=Asked(kind="image", prompt="p"),
        resolved=resolved,
        created_at=0,
        updated_at=0,
    )


@pytest.mark.parametrize("row", DECISIONS, ids=lambda row: f"{row.id}, {row.key}: {row.outcome}")
def test_the_decision_table_is_what_the_code_does(row: Decision) -> None:
    """Every printed row is decided by the code as the row says."""
    assert [outcome(case) for case in row.cases] == [row.outcome] * len(row.cases)
