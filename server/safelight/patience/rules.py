"""The figures that patience goes by: what the settings say of it, and what is fixed."""

from __future__ import annotations

import msgspec

from ..dispatch import label_of

Key = tuple[str, str]
"""A host, and a model there: what is learnt, and what fails, is of the two together."""


MOST_OPEN_SECONDS = 900.0
"""The longest that a breaker stays open before it is tried again, unless the setting is more."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """After `faults` verified faults in a row a breaker opens for `open_seconds`, and for twice
    as long each time that the trial fails, up to `most_seconds`. An attempt may take `factor`
    times what nearly all of its kind take, `floor_seconds` at least and `attempt_seconds` at
    most."""

    faults: int = 5
    open_seconds: float = 30.0
    most_seconds: float = MOST_OPEN_SECONDS
    factor: float = 4.0
    floor_seconds: float = 120.0
    attempt_seconds: float = 600.0


def clock_time(at: int) -> str:
    """An instant as people read it: hours, minutes and seconds, UTC."""
    seconds = at // 1000 % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d} UTC"


def label(key: Key) -> str:
    """A model at its host, in a sentence."""
    host, model = key
    return f"{model} on {label_of(host)}"
