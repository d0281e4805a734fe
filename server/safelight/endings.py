"""Ends that are made of the task as it is when they happen.

The one who brings one about does not hold the task; the orchestrator does, and turns
the marker into an input under the task's lock. Pure: no clock, no store.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight_protocol.charges import FREE, unknown
from safelight_protocol.events import Charge, error_data
from safelight_protocol.inputs import Finished, GaveUp, Happening
from safelight_protocol.snapshot import Snapshot, result_of
from safelight_protocol.task import Task


class Finishing(msgspec.Struct, frozen=True):
    """The prediction is done; its result is made from the log."""

    charge: Charge


class Overdue(msgspec.Struct, frozen=True):
    """The task has not ended in the time it may take, whatever it was doing."""

    billed: bool


class Broken(msgspec.Struct, frozen=True):
    """A defect of ours met the task; the log has it under the reference."""

    reference: str
    billed: bool


What = Happening | Finishing | Overdue | Broken
"""What a task can meet: an input, or one that is made of the task as it is then."""


def begun(task: Task) -> bool:
    """Whether its attempt was claimed, so that it may run at its provider."""
    return task.deadline is not None or task.handle is not None


def input_of(what: What, task: Task, seen: Callable[[Task], Snapshot], now: int) -> Happening:
    """The input that happens to the task; `seen` gives its snapshot."""
    match what:
        case Finishing(charge=charge):
            return Finished(result_of(seen(task), task, now), charge)
        case Overdue(billed=billed):
            message = "the task did not end in the time that it may take"
            error = error_data("timeout", message, retryable=True)
            return GaveUp(error, _charge(task, billed, message))
        case Broken(reference=reference, billed=billed):
            message = f"the task met a bug of the server, logged as {reference}"
            error = error_data("internal", message, retryable=True)
            return GaveUp(error, _charge(task, billed, message))
        case _:
            return what


def _charge(task: Task, billed: bool, why: str) -> Charge:
    """What the attempt that ends with its task may have cost."""
    return unknown(why) if billed and begun(task) else FREE
