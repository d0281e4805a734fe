"""Ends that are made of the task as it is when they happen.

The one who brings one about does not hold the task; the orchestrator does, and turns
the marker into an input under the task's lock. Pure: no clock, no store.
"""

from __future__ import annotations

import msgspec

from safelight_protocol.events import Charge, error_data
from safelight_protocol.inputs import FREE, Finished, GaveUp, Happening
from safelight_protocol.snapshot import Snapshot, result_of
from safelight_protocol.task import Task

UNKNOWN = Charge(verdict="unknown")


class Finishing(msgspec.Struct, frozen=True):
    """The prediction is done; its result is made from the log."""

    charge: Charge


class Overdue(msgspec.Struct, frozen=True):
    """The task has not ended in the time it may take, whatever it was doing."""

    billed: bool


def input_of(
    what: Happening | Finishing | Overdue, task: Task, seen: Snapshot, now: int
) -> Happening:
    """The input that happens to the task; `seen` is its snapshot."""
    match what:
        case Finishing(charge=charge):
            return Finished(result_of(seen, task, now), charge)
        case Overdue(billed=billed):
            begun = task.deadline is not None
            message = "the task did not end in the time that it may take"
            error = error_data("timeout", message, retryable=True)
            return GaveUp(error, UNKNOWN if billed and begun else FREE)
        case _:
            return what
