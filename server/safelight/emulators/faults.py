"""What goes wrong on request: how faults are written, and when they strike.

A fault is `name`, `name=value`, `name@n` or `name=value@n`: it strikes each time it could,
or the n-th time alone, counted from when it was armed. The value is a number (of seconds),
a place, or both with a colon between: `throttle=2:get`. Nothing is done here; whoever
answers asks whether a fault strikes, and does it. docs/emulators.md lists all.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import msgspec

COMMON = {
    "lost-answer": "create",
    "lost-request": "create",
    "hang": "create",
    "http-500": "create",
    "http-503": "create",
    "http-529": "create",
    "throttle": "create",
    "unauthorized": "create",
    "no-credit": "create",
    "moderated": "create",
    "cut": "stream",
    "fail": "run",
    "late": "run",
    "abort": "run",
    "lost-webhook": "webhook",
    "duplicate-webhook": "webhook",
    "disorder": "webhook",
    "bad-signature": "webhook",
}
"""Names that mean the same wherever they apply, and where each strikes by default: at a
create, at another request (`get`, `list`, `cancel`, `file` ...), at a stream, in a run that
was begun, or at a call of a webhook."""


class BadFault(Exception):
    """A fault that cannot be read; the message says what was found and what is known."""


def common(*names: str) -> dict[str, str]:
    """Rows of the table above, for the faults that an emulator knows."""
    return {name: COMMON[name] for name in names}


class Fault(msgspec.Struct, frozen=True):
    """`at` is the place where it strikes, `number` the seconds that were given, if any.
    `turn` 0 is every time."""

    name: str
    at: str
    number: float | None = None
    turn: int = 0

    def seconds(self, otherwise: float) -> float:
        """The number that was given, or else this one."""
        return otherwise if self.number is None else self.number

    def written(self) -> str:
        """As one would write it."""
        number = [] if self.number is None else [f"{self.number:g}"]
        value = ":".join([*number, self.at])
        return f"{self.name}={value}" + (f"@{self.turn}" if self.turn else "")


def read_fault(text: str, known: Mapping[str, str]) -> Fault:
    """A fault as it is written. Raises BadFault."""
    rest, _, turn = text.strip().partition("@")
    name, _, value = rest.partition("=")
    if name not in known:
        raise BadFault(f"fault {text!r}: expected one of {', '.join(sorted(known))}")
    if turn and not turn.isdecimal():
        raise BadFault(f"fault {text!r}: found {turn!r} after @, expected a whole number")
    at, number = known[name], None
    for part in filter(None, value.split(":")):
        try:
            number = float(part)
        except ValueError:
            at = part
    return Fault(name, at, number, int(turn or 0))


class Faults:
    """The faults that wait for their time. `share` of all occasions go wrong by chance, by
    one of the faults that whoever asks names; `seed` decides which."""

    def __init__(self, known: Mapping[str, str], share: float = 0.0, seed: int = 0) -> None:
        self._known = known
        self._share = share
        self._random = random.Random(seed)
        self._armed: list[tuple[Fault, list[int]]] = []

    def arm(self, written: Iterable[str]) -> None:
        """Add faults, all or none; they count from now. Raises BadFault."""
        faults = [read_fault(text, self._known) for text in written]
        self._armed += [(fault, [0]) for fault in faults]

    def disarm(self) -> None:
        """Nothing goes wrong any more, by chance neither."""
        self._armed.clear()
        self._share = 0.0

    def written(self) -> list[str]:
        """Those that are armed, as one would write them."""
        return [fault.written() for fault, _ in self._armed]

    def strikes(self, name: str, on: str | None = None) -> Fault | None:
        """Whether an armed fault of that name strikes now, at this place (by default the one
        of its row). Each call is one occasion, which counts. Nothing comes by chance."""
        at = self._known[name] if on is None else on
        alike = [(one, count) for one, count in self._armed if (one.name, one.at) == (name, at)]
        due = [fault for fault, count in alike if _is_due(fault, count)]
        return due[0] if due else None

    def one_of(self, *names: str, on: str, armed: Iterable[str] = ()) -> Fault | None:
        """Which of these strikes now, if any: one that is armed, or one of `names` by chance;
        those in `armed` do not come by chance. One call is one occasion for all of them, so
        ask once per request, run or call."""
        asked = (*armed, *names)
        struck = [fault for name in asked if (fault := self.strikes(name, on))]
        if struck:
            return struck[0]
        if self._share and self._random.random() < self._share:
            return Fault(self._random.choice(names), on)
        return None


def _is_due(fault: Fault, count: list[int]) -> bool:
    count[0] += 1
    return fault.turn in (0, count[0])
