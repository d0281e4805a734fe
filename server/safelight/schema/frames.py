"""The recorded frames of docs/frames.json as chapters of docs/wire.md.

Frames are printed as they were recorded, but that a snapshot or a result that was
shown once in a chapter is cut to its first fields. How they are recorded, and that
servers still send their like, is in tests/e2e.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

from safelight_protocol.schema import Schema

from .types import components

CUT: dict[str, str] = {"…": "…"}
"""Stands for the fields that are left out, until it is printed."""

KEPT = 4
"""How many fields of something that was shown before are shown again."""


class Line(msgspec.Struct, frozen=True):
    """One thing that was said."""

    by: Literal["client", "server"]
    text: str


class Scene(msgspec.Struct, frozen=True):
    """A short exchange."""

    name: str
    door: Literal["rest", "socket"]
    says: str
    lines: list[Line]


def chapters(recorded: bytes) -> Schema:
    """The generated parts `frames-rest` and `frames-socket`."""
    scenes = msgspec.json.decode(recorded, type=list[Scene])
    return {
        f"frames-{door}": _chapter([scene for scene in scenes if scene.door == door])
        for door in ("rest", "socket")
    }


def _chapter(scenes: list[Scene]) -> str:
    printer = _Printer()
    return "\n\n".join(
        f"**{scene.name}.** {scene.says}\n\n```text\n{_lines(scene, printer)}\n```"
        for scene in scenes
    )


def _lines(scene: Scene, printer: _Printer) -> str:
    made = []
    for line in scene.lines:
        arrow = "→ " if line.by == "client" else "← "
        told = [printer.line(part) for part in line.text.split("\n")]
        made.append(arrow + "\n".join(part and f"  {part}" for part in told).removeprefix("  "))
    return "\n".join(made)


class _Printer:
    """Remembers which objects of a chapter were shown."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def line(self, text: str) -> str:
        """A line of a frame, its JSON cut where it repeats itself."""
        prefix = "data: " if text.startswith("data: {") else ""
        if not prefix and text[:1] not in ("{", "["):
            return text
        cut = self._cut(json.loads(text.removeprefix(prefix)))
        printed = json.dumps(cut, ensure_ascii=False, separators=(",", ":"))
        return prefix + printed.replace('"…":"…"', "…")

    def _cut(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._cut(item) for item in value]
        if not isinstance(value, dict):
            return value
        name = next((name for name in ("Snapshot", "ResultData") if _is(value, name)), None)
        if name is not None and name in self._shown:
            own = [key for key in value if key in components()[name]["properties"]]
            others = {key: self._cut(inner) for key, inner in value.items() if key not in own}
            return {key: value[key] for key in own[:KEPT]} | CUT | others
        if name is not None:
            self._shown.add(name)
        return {key: self._cut(inner) for key, inner in value.items()}


def _is(value: dict[str, Any], name: str) -> bool:
    return set(components()[name]["required"]) <= value.keys()
