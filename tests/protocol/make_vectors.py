"""Writes what other languages test themselves against: lifecycle.json and folds.json.

    python -m tests.protocol.make_vectors

Both come from the code alone. `test_lifecycle` and `test_snapshot` fail when the files
in vectors/ are no longer what it says; tests/browser/fold.test.js reads folds.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from safelight_protocol import inputs as happened
from safelight_protocol.events import Charge, Eta, error_data
from safelight_protocol.inputs import HAPPENINGS, Happening
from safelight_protocol.lifecycle import Row, step, verdict
from safelight_protocol.snapshot import fold, opening
from safelight_protocol.task import ENDED_STATES, STATUS, State, Task
from tests.doubles.lives import (
    ARTIFACT,
    CHARGED,
    ERROR,
    NOW,
    asked,
    brought_to,
    events,
    example,
    fresh,
    lived,
    resolved,
    result,
)

FOLDER = Path(__file__).parent / "vectors"

CLAIMED = happened.Claimed(NOW + 60_000)
FAULTED = happened.Faulted(ERROR, retry_at=NOW + 2_000)


def lifecycle_vectors() -> dict[str, Any]:
    """The states with their words on the wire, and every cell of the table."""
    states = [
        {"state": state.value, "status": STATUS[state], "ended": state in ENDED_STATES}
        for state in State
    ]
    cells = [_cell(state, kind) for state in State for kind in HAPPENINGS]
    return {"states": states, "cells": cells}


def _cell(state: State, kind: type[Happening]) -> dict[str, Any]:
    row = verdict(state, kind)
    cell: dict[str, Any] = {"state": state.value, "input": kind.__name__}
    if not isinstance(row, Row):
        return cell | {"verdict": row}
    event = step(brought_to(state), example(kind), NOW).event
    told = None if event is None else msgspec.to_builtins(event)["type"]
    return cell | {"verdict": "row", "to": row.to.value, "event": told, "effect": row.effect.value}


def fold_vectors() -> list[dict[str, Any]]:
    """Lives of tasks: the snapshot before, the events, and the snapshot after each."""
    return [_folded(name, task, happenings) for name, (task, happenings) in _lives().items()]


def _folded(name: str, task: Task, happenings: tuple[Happening, ...]) -> dict[str, Any]:
    told = events(lived(task, happenings))
    told.insert(2, told[0])  # a repeat, which changes nothing
    snapshots = [opening(task)]
    for event in told:
        snapshots.append(fold(snapshots[-1], event))
    start, *folds = map(msgspec.to_builtins, snapshots)
    return {
        "name": name,
        "start": start,
        "events": [msgspec.to_builtins(event) for event in told],
        "folds": folds,
        "end": folds[-1],
    }


def _lives() -> dict[str, tuple[Task, tuple[Happening, ...]]]:
    picture = fresh("picture")
    story = fresh("story", asked=asked(kind="text", prompt="Tell me a story"))
    film = fresh("film", asked=asked(kind="video", prompt="waves"))
    return {
        "a picture in steps": (picture, _painted(picture)),
        "a text whose first attempt is void": (story, _told_twice(story)),
        "a video that fails keeps its still": (film, _still_kept()),
        "it waits, then nobody can run it": (fresh("waits"), _waited()),
        "canceled while it waits for its next attempt": (fresh("retry"), _given_up()),
        "a seed that was refused": (fresh("seed"), _reseeded()),
        "a cancel that nobody confirms": (fresh("lost"), _unconfirmed()),
        "a finished prediction beats a cancel": (picture, _beaten(picture)),
        "another model stands in, with a seed above 2**53": (_odd(), (CLAIMED,)),
        "each attempt on its backend's address": (_sent(), _moved_between(_sent())),
    }


def _painted(task: Task) -> tuple[Happening, ...]:
    return (
        CLAIMED,
        happened.HandleSaved("p-1"),
        happened.Progressed(0.25, 1, 4, "the sky", Eta(0.5, 1.5)),
        happened.Progressed(0.1, 1, 4),
        happened.Progressed(None, message="drying"),
        happened.Produced(ARTIFACT),
        happened.Finished(msgspec.structs.replace(result(task, NOW + 9), artifacts=(ARTIFACT,))),
    )


def _sent() -> Task:
    where = {"provider": "comfyui", "model": "comfyui/txt2img", "backend": "kerniegen"}
    return fresh("sent", resolved=resolved(**where))


def _moved_between(task: Task) -> tuple[Happening, ...]:
    there = happened.Claimed(NOW + 60_000, "http://127.0.0.1:8190")
    done = msgspec.structs.replace(result(task, NOW + 9), backend_url=there.place)
    return (
        happened.Claimed(NOW + 60_000, "http://127.0.0.1:8189"),
        FAULTED,
        there,
        happened.HandleSaved("p-2"),
        happened.Progressed(0.5),
        happened.Finished(done),
    )


def _told_twice(task: Task) -> tuple[Happening, ...]:
    done = msgspec.structs.replace(result(task, NOW + 9), content="Once upon a time")
    return (
        CLAIMED,
        happened.HandleSaved("p-1"),
        happened.Wrote("Twice "),
        FAULTED,
        happened.Waiting("local is busy (2 of 2 places)", Eta(1.0, 4.0)),
        CLAIMED,
        happened.Wrote("Once upon "),
        happened.HandleSaved("p-2"),
        happened.Wrote("a time"),
        happened.Finished(done, CHARGED),
    )


def _still_kept() -> tuple[Happening, ...]:
    refused = error_data("invalid_input", "the still is too dark", retryable=False)
    return (
        CLAIMED,
        happened.Produced(ARTIFACT),
        happened.Progressed(0.5),
        FAULTED,
        CLAIMED,
        happened.GaveUp(refused, CHARGED),
    )


def _waited() -> tuple[Happening, ...]:
    gone = error_data("provider_not_configured", "the provider is gone", retryable=False)
    return (happened.Waiting("local is busy", None), happened.GaveUp(gone))


def _given_up() -> tuple[Happening, ...]:
    return (
        CLAIMED,
        happened.HandleSaved("p-1"),
        happened.Progressed(0.5, 2, 4, "the sky", Eta(0.5, 1.5)),
        happened.Wrote("half a"),
        FAULTED,
        happened.CancelAsked("owner"),
    )


def _reseeded() -> tuple[Happening, ...]:
    refused = error_data("seed_conflict", "seen before", retryable=True)
    again = happened.Faulted(refused, retry_at=NOW + 2_000, seed=2**53)
    return (CLAIMED, happened.Produced(ARTIFACT), again, CLAIMED, happened.Progressed(0.5))


def _unconfirmed() -> tuple[Happening, ...]:
    unknown = error_data("outcome_unknown", "nobody answers", retryable=False)
    return (
        CLAIMED,
        happened.HandleSaved("p-1"),
        happened.CancelAsked("ann"),
        happened.Progressed(0.75, 3, 4),
        happened.InDoubt(),
        happened.GaveUp(unknown, Charge(verdict="unknown")),
    )


def _beaten(task: Task) -> tuple[Happening, ...]:
    return (CLAIMED, happened.CancelAsked("ann"), happened.Finished(result(task, NOW), CHARGED))


def _odd() -> Task:
    ran = resolved(requested="acme/flux", seed=2**63, substituted_for="acme/flux")
    return fresh("odd", asked=asked(model="acme/flux", seed=2**63), resolved=ran)


def main() -> None:
    """Write both files."""
    for name, vectors in (("lifecycle", lifecycle_vectors()), ("folds", fold_vectors())):
        text = json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
