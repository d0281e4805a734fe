"""docs/lifecycle.md's diagram and table, read from the table that the server steps by.

Owns their form only: a diagram in Mermaid of every move, and all cells of states and
inputs with their verdicts.
"""

from __future__ import annotations

import re

from safelight_protocol.inputs import HAPPENINGS, Happening
from safelight_protocol.lifecycle import TABLE, Effect, Row, verdict
from safelight_protocol.schema import Schema, emitted
from safelight_protocol.schema.components import prose
from safelight_protocol.task import ENDED_STATES, STATUS, State

from .markdown import code, table

_EFFECTS = {
    Effect.NONE: "nothing",
    Effect.RUN: "start the prediction and follow it",
    Effect.STOP: "ask the provider to stop it",
    Effect.ENQUEUE: "put the task into the queue",
    Effect.RECONCILE: "go on asking what became of it, until the deadline",
    Effect.RELEASE: "give its place to the next task",
}


def words(kind: type[Happening]) -> str:
    """An input's name as it is spoken: `cancel asked`."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).lower()


def diagram() -> str:
    """All moves, the inputs of each in one label."""
    labels: dict[tuple[State, State], list[str]] = {}
    for (state, kind), row in TABLE.items():
        labels.setdefault((state, row.to), []).append(words(kind))
    lines = ["stateDiagram-v2", "    [*] --> queued: created"]
    for (state, to), inputs in labels.items():
        lines.append(f"    {state} --> {to}: {', '.join(inputs)}")
    lines += [f"    {state} --> [*]" for state in State if state in ENDED_STATES]
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def cells() -> str:
    """Every pair of input and state."""
    head = ["input", *(code(state) for state in State)]
    rows = [[words(kind), *(_cell(state, kind) for state in State)] for kind in HAPPENINGS]
    return table(head, rows) + "\n" + _count()


def _cell(state: State, kind: type[Happening]) -> str:
    match verdict(state, kind):
        case Row(to=to, emit=emit, effect=effect):
            event = f", {code(emitted(emit))}" if emit else ""
            told = "" if effect is Effect.NONE else f", *{effect}*"
            return f"→ {to}{event}{told}"
        case other:
            return other


def _count() -> str:
    all_cells = [verdict(state, kind) for state in State for kind in HAPPENINGS]
    late, wrong = all_cells.count("late"), all_cells.count("wrong")
    moves = len(all_cells) - late - wrong
    return f"{len(all_cells)} cells: {moves} moves, {late} late, {wrong} wrong.\n"


def states() -> str:
    """The states and their words on the wire."""
    rows = [[code(s), code(STATUS[s]), "yes" if s in ENDED_STATES else None] for s in State]
    return table(["state", "status on the wire", "end"], rows)


def inputs() -> str:
    """What each input says."""
    rows = [[words(kind), prose(kind.__doc__ or "")] for kind in HAPPENINGS]
    return table(["input", "says"], rows)


def effects() -> str:
    """What the server does after the commit of a move."""
    return table(["effect", "after the commit"], [[f"*{e}*", _EFFECTS[e]] for e in Effect])


def parts() -> Schema:
    """The generated parts of docs/lifecycle.md."""
    return {
        "diagram": diagram(),
        "cells": cells(),
        "states": states(),
        "inputs": inputs(),
        "effects": effects(),
    }
