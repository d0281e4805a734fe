"""What goes wrong on request: which faults there are, how they are written, when they strike.

A fault is written `name`, `name=value`, `name@n` or `name=value@n`: it strikes each time
it could, or the n-th time alone, counted from when it was armed. Faults of a prompt are
decided when it is submitted, those of an answer when a request comes. Nothing is done
here; docs/kerniegen.md tells what each does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import msgspec

NODE_FAULTS = (
    "slow",
    "fail",
    "oom",
    "hang",
    "stall",
    "late-history",
    "drop-socket",
    "restart",
    "die",
)
"""What may happen to a prompt that runs."""

HTTP_FAULTS = (
    "http-500",
    "html",
    "hang-http",
    "late-answer",
    "lost-answer",
    "lost-request",
    "huge",
    "gone",
    "truncated",
)
"""What may happen to a request."""

POINTS = ("start", "sampling", "end")
"""Where a restart, a death or a dropped socket comes: after execution_start, in the middle of
the first node that tells its progress, after execution_success and before history."""

TIMED = ("slow", "hang", "stall", "late-history", "late-answer", "huge")
"""Those whose value is a number: seconds, or megabytes."""

ROUTES = {"huge": "view", "gone": "view", "truncated": "view", "html": "view"}
"""The route that a fault of a request is about when it does not say; else `prompt`."""


class BadFault(Exception):
    """A fault that cannot be read; the message says what was found and what is known."""


class OutOfMemory(Exception):
    """Stands for the exception that a graphics card's library raises."""

    kind = "torch.OutOfMemoryError"


class Fault(msgspec.Struct, frozen=True):
    """`value` is a number of seconds, a node or class, a point, a route or megabytes,
    as the fault has it; empty for its default. `turn` 0 is every time."""

    name: str
    value: str = ""
    turn: int = 0

    def seconds(self, otherwise: float) -> float:
        """The value as a number. Raises BadFault."""
        try:
            return float(self.value) if self.value else otherwise
        except ValueError:
            raise BadFault(f"{self.name}: found {self.value!r}, expected a number") from None

    @property
    def point(self) -> str:
        """When a fault of the running prompt comes."""
        return self.value or "sampling"

    @property
    def route(self) -> str:
        """The first part of the paths that a fault of a request is about."""
        given = "" if self.name in TIMED or self.name in ("gone", "truncated") else self.value
        return given or ROUTES.get(self.name, "prompt")


def read_fault(text: str) -> Fault:
    """A fault as it is written. Raises BadFault."""
    rest, _, turn = text.strip().partition("@")
    name, _, value = rest.partition("=")
    known = (*NODE_FAULTS, *HTTP_FAULTS)
    if name not in known:
        raise BadFault(f"fault {text!r}: expected one of {', '.join(known)}")
    if turn and not turn.isdecimal():
        raise BadFault(f"fault {text!r}: found {turn!r} after @, expected a whole number")
    fault = Fault(name, value, int(turn or 0))
    if name in ("restart", "die", "drop-socket") and fault.point not in POINTS:
        raise BadFault(f"fault {text!r}: expected one of {', '.join(POINTS)} after =")
    if name in TIMED:
        fault.seconds(0)
    return fault


def read_faults(text: str | None) -> list[Fault]:
    """A list with commas, as in the header. Raises BadFault."""
    return [read_fault(part) for part in (text or "").split(",") if part.strip()]


class Armed:
    """The faults that wait for their time. Safe between threads."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._waiting = [(fault, [0]) for fault in faults]
        self._lock = threading.Lock()

    def arm(self, faults: Iterable[Fault]) -> None:
        """Add faults; they count from now."""
        with self._lock:
            self._waiting += [(fault, [0]) for fault in faults]

    def disarm(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()

    def written(self) -> list[str]:
        """All of them, as one would write them."""
        with self._lock:
            return [_written(fault) for fault, _ in self._waiting]

    def for_prompt(self) -> list[Fault]:
        """What shall happen to the prompt that is submitted now."""
        with self._lock:
            return [f for f, count in self._waiting if f.name in NODE_FAULTS and _due(f, count)]

    def for_request(self, route: str) -> Fault | None:
        """What shall happen to a request for `route` now."""
        with self._lock:
            for fault, count in self._waiting:
                if fault.name in HTTP_FAULTS and fault.route == route and _due(fault, count):
                    return fault
        return None


def _due(fault: Fault, count: list[int]) -> bool:
    count[0] += 1
    return fault.turn in (0, count[0])


def _written(fault: Fault) -> str:
    text = f"{fault.name}={fault.value}" if fault.value else fault.name
    return f"{text}@{fault.turn}" if fault.turn else text
