"""Reads recorded talks: what was submitted, cached, uploaded and given out, frame by frame.

Nothing here speaks to a server.
"""

from __future__ import annotations

import io
import json
from typing import Any

from PIL import Image

Event = dict[str, Any]


def upload(event: Event) -> dict[str, Any]:
    """The form of a recorded upload: its pictures were of 98 bytes, its largest of 101 MiB."""
    note, field = event.get("note", ""), "image"
    content = PICTURES[note in ("other bytes, same name", "overwrite")]
    if note == "wrong field name":
        field = "file"
    if note == "101 MiB":
        content = bytes(101 * 1024 * 1024)
    data = event.get("form") or {}
    return {"files": {field: ("lab in.png", content, "image/png")}, "data": data}


def _picture(color: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (24, 24), color).save(out, "PNG")
    return out.getvalue()


PICTURES = (_picture((200, 30, 30)), _picture((30, 200, 30)))


def submitted(event: Event) -> str:
    """The prompt that a request brought about, if it did."""
    accepted = event.get("path") == "/prompt" and event.get("status") == 200
    return str(event.get("response_json", {}).get("prompt_id", "")) if accepted else ""


def cached_first(events: list[Event]) -> dict[str, Any]:
    """A graph that makes the results which the first prompt of a talk found cached."""
    for event in events:
        prompt_id = submitted(event)
        if not prompt_id:
            continue
        graph = event["request_json"]["prompt"]
        cached = _cached(events, prompt_id, list(graph))
        kept = {node_id: graph[node_id] for node_id in cached}
        shown = {
            f"show{node_id}": {"class_type": "PreviewAny", "inputs": {"source": [node_id, 0]}}
            for node_id in cached
        }
        return kept | shown
    return {}


def _cached(events: list[Event], prompt_id: str, nodes: list[str]) -> list[str]:
    """Which nodes were cached: it was told, or they never began."""
    begun: set[str] = set()
    for event in events:
        message = event.get("json", {})
        if prompt_id not in json.dumps(message):
            continue
        if message["type"] == "execution_cached":
            return list(message["data"]["nodes"])
        if message["type"] == "progress_state":
            begun |= set(message["data"]["nodes"])
    return [node_id for node_id in nodes if begun and node_id not in begun]


def files(events: list[Event]) -> list[dict[str, str]]:
    """The files that were told, in order."""
    told = [e["json"]["data"] for e in events if e.get("json", {}).get("type") == "executed"]
    return [file for each in told for file in (each["output"] or {}).get("images", [])]


def frame(message: str | bytes) -> Event:
    """A frame as the recorder wrote it."""
    if isinstance(message, str):
        return {"json": json.loads(message)}
    event = int.from_bytes(message[:4], "big")
    size = int.from_bytes(message[4:8], "big")
    found: Event = {"event": event}
    if event == 1:
        found |= {"image_type_int": size, "image_magic_hex": message[8:16].hex(" ")}
    elif event == 3:
        found["node_id"] = message[8 : 8 + size].decode()
        found["text"] = message[8 + size :].decode()
    else:
        found["metadata"] = json.loads(message[8 : 8 + size])
        found["image_magic_hex"] = message[8 + size : 16 + size].hex(" ")
    return {"binary": found}
