"""What a prompt came to: its end by the history, which is the truth, and what it made.

Files are gathered from every node's outputs in the order of the graph's nodes, whatever
list they are in. Those of a preview (`temp`) count only where nothing else was made.
Texts are told as text of a text task, and are files otherwise. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

import msgspec

from safelight_protocol.events import Kind

from ..base import Delta, Done, Found, Made, Never
from .answers import Entry
from .client import Client
from .refusals import of_failure

VIDEOS = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
}
IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
TEXTS = {".txt": "text/plain", ".md": "text/plain", ".json": "text/plain"}

MOST_FILES = 1000
MOST_TEXT = 4 * 1024 * 1024


class File(msgspec.Struct, frozen=True):
    """One file that a node named; `moves` if it is animated."""

    node: str
    place: int
    name: str
    subfolder: str
    type: str
    moves: bool

    @property
    def ending(self) -> str:
        """`.png`, say."""
        return PurePosixPath(self.name.replace("\\", "/")).suffix.lower()


class Text(msgspec.Struct, frozen=True):
    """Words that a node put out."""

    node: str
    text: str


End = Literal["success", "error", "interrupted"]


def end_of(entry: Entry) -> End:
    """How it ended: the last message says, since an interrupted one is called an error, too."""
    status = entry.status
    if status is None:
        return "success"  # very old servers keep no status, and only what went well
    for message in reversed(status.messages):
        match message[:1]:
            case ["execution_success"]:
                return "success"
            case ["execution_error"]:
                return "error"
            case ["execution_interrupted"]:
                return "interrupted"
    return "success" if status.completed or status.status_str == "success" else "error"


def failure_of(entry: Entry) -> tuple[Never, list[str]]:
    """Why it failed, and a traceback for the log."""
    messages = entry.status.messages if entry.status is not None else []
    for message in reversed(messages):
        if message[:1] == ["execution_error"] and len(message) > 1:
            return of_failure(message[1])
    return of_failure(None)


def outputs_of(entry: Entry) -> list[File | Text]:
    """All that is kept of what it made, in the order of the nodes in the graph."""
    order = {node: place for place, node in enumerate(entry.graph)}
    nodes = sorted(entry.outputs, key=lambda node: order.get(node, len(order)))
    found = [item for node in nodes for item in _of_node(node, entry.outputs[node])]
    kept = [item for item in found if isinstance(item, Text) or item.type == "output"]
    if not any(isinstance(item, File) for item in kept):
        kept = [item for item in found if isinstance(item, Text) or item.type == "temp"]
    return kept[:MOST_FILES]


def _of_node(node: str, output: Any) -> Iterator[File | Text]:
    if not isinstance(output, dict):
        return
    flags = output.get("animated")
    moves = isinstance(flags, list | tuple) and any(flag is True for flag in flags)
    place = 0
    for name, values in output.items():
        if not isinstance(values, list):
            continue
        for value in values:
            if isinstance(value, str) and name == "text":
                yield Text(node, value[:MOST_TEXT])
            elif isinstance(value, dict) and isinstance(value.get("filename"), str):
                subfolder, type_ = value.get("subfolder"), value.get("type")
                yield File(
                    node,
                    place,
                    value["filename"],
                    subfolder if isinstance(subfolder, str) else "",
                    type_ if isinstance(type_, str) else "output",
                    moves,
                )
                place += 1


def reports_of(
    outputs: list[File | Text], kind: Kind, client: Client, headers: dict[str, str]
) -> list[Found | Made | Delta]:
    """What is to be reported, in order. Files of a type that nobody here keeps are left out."""
    reports: list[Found | Made | Delta] = []
    for item in outputs:
        if isinstance(item, File):
            report = _found(item, client, headers)
            if report is not None:
                reports.append(report)
        elif item.text and kind == "text":
            reports.append(Delta(item.text))
        elif item.text:
            reports.append(Made("text", "text/plain; charset=utf-8", item.text.encode()))
    return reports


def _found(file: File, client: Client, headers: dict[str, str]) -> Found | None:
    kind: Kind = "image"
    if file.ending in VIDEOS or (file.moves and file.ending in IMAGES):
        kind = "video"
    elif file.ending in TEXTS:
        kind = "text"
    elif file.ending not in IMAGES:
        return None
    return Found(
        kind=kind,
        key=f"{file.node}/{file.place}/{file.name}",
        url=client.view(file.name, file.subfolder, file.type),
        headers=headers,
        media_type=(VIDEOS | IMAGES | TEXTS)[file.ending],
    )


def ended_well(reports: int, outputs: list[File | Text]) -> Done | Never:
    """Done, if anything came of it."""
    if reports:
        return Done()
    endings = ", ".join(sorted({o.ending or o.name for o in outputs if isinstance(o, File)}))
    what = f"only files of other types ({endings})" if endings else "nothing"
    return Never("provider_failed", f"the prompt ended well and made {what}")
