"""The published schemas: every type of the wire as JSON Schema, TypeScript and Swift.

`wire` makes the components from the structs of this package, the readers' limits and
whatever types a server adds; the writers turn them into text. Pure: what is written
where, and the documents around it, is the business of `safelight.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..codes import CODES
from ..events import TaskEvent
from ..lifecycle import TABLE
from ..snapshot import Snapshot
from ..task import STATUS, State
from . import replies
from .bodies import body_components
from .components import (
    Components,
    Schema,
    closure,
    extended,
    located,
    struct_components,
    word_components,
)
from .swift import swift
from .typescript import common, spelt, typescript

__all__ = [
    "Components",
    "Schema",
    "closure",
    "common",
    "emitted",
    "located",
    "spelt",
    "swift",
    "typescript",
    "wire",
]

_STRUCTS: dict[str, Any] = {
    "TaskEvent": TaskEvent,
    "Snapshot": Snapshot,
    **{
        struct.__name__: struct
        for struct in (
            replies.SnapshotPlace,
            replies.Creation,
            replies.BatchData,
            replies.TextData,
            replies.TaskListData,
            replies.EventsData,
            replies.GapData,
            replies.DeletedData,
            replies.HealthData,
            replies.ReadyData,
            replies.Problem,
            replies.AppProblem,
            replies.SocketError,
            replies.JoinTaskReply,
            replies.JoinGalleryReply,
            replies.Preferences,
            replies.ListReply,
            replies.GenerateReply,
            replies.GalleryTask,
            replies.GalleryDeletion,
            replies.PreviewUrl,
            replies.Accepted,
            replies.TextResponse,
            replies.Refusal,
        )
    },
}

_PARTS = ("SnapshotPlace", "Creation", "PreviewUrl")
"""What is only there to extend others."""


_TRUNCATED: Schema = {
    "type": "boolean",
    "description": "True when texts were cut, so that it fits into a frame of the socket.",
}

_WHOLE: Schema = {"type": "string", "description": "Beside `truncated`: where the whole is."}

_FROM_SEQ: Schema = {
    "type": "integer",
    "description": "On a socket: the frame stands for all events from this seq to its own.",
}


def wire(types: Mapping[str, Any]) -> Components:
    """Every component by name. `types` are the server's own: `StatusPush`,
    `PreviewHeader` and `ModelsData`, and what they contain."""
    made = word_components() | struct_components(_STRUCTS | dict(types)) | body_components()
    place, creation = ("SnapshotPlace", "Creation")
    made["TaskData"] = extended(made, "Snapshot", place, "A snapshot, as REST shows it.")
    made["CreatedData"] = extended(made, "TaskData", creation, "The answer to a create.")
    made["PreviewReady"] = extended(
        made, "PreviewHeader", "PreviewUrl", "The push `preview_ready`: a preview can be fetched."
    )
    made["TaskEvent"]["description"] = "One event of a task; `type` tells which."
    for tag, name in made["TaskEvent"]["discriminator"]["mapping"].items():
        status = made[name]["properties"]["status"]
        made[name]["properties"]["status"] = status | {"const": status_of(tag)}
    made["Progress"]["properties"]["from_seq"] = _FROM_SEQ
    for name in made["TaskEvent"]["discriminator"]["mapping"].values():
        made[name]["properties"]["truncated"] = _TRUNCATED
    for name in ("StatusPush", "TextResponse", "Refusal"):
        made[name]["properties"] |= {"truncated": _TRUNCATED, "url": _WHOLE}
    result = made["BatchResult"]["properties"]
    result["data"] = {"$ref": "CreatedData"}
    result["problem"] = {"anyOf": [{"$ref": "Problem"}, {"$ref": "AppProblem"}]}
    made["ErrorCode"] = _codes()
    for name in ("Problem", "AppProblem", "SocketError", "ErrorBody", "ErrorData"):
        made[name]["properties"]["code"] = {"$ref": "ErrorCode"}
    return {name: schema for name, schema in made.items() if name not in _PARTS}


def status_of(type_: str) -> str:
    """The one status that events of a type have, by the lifecycle table."""
    states = {row.to for row in TABLE.values() if row.emit and emitted(row.emit) == type_}
    (status,) = {STATUS[state] for state in states or {State.QUEUED}}
    return status


def emitted(emit: Any) -> str:
    """The type of the events that a row of the lifecycle table writes."""
    name: str = emit.__name__
    return name.removeprefix("_")


def _codes() -> Schema:
    """The codes, as words that a later version may add to."""
    return {
        "type": "string",
        "description": "A row of the codes table; later versions add rows.",
        "examples": list(CODES),
    }
